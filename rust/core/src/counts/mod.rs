//! Tokens and pictures of every record, counted once and kept beside the data.
//!
//! A plan needs the length of each record, and to learn it each record is encoded: seconds for most
//! data sets, minutes for the largest, much longer where the headers of pictures decide. So the
//! figures of each file are kept in a side file, one for each set of settings, and shared by all
//! processes and by all mixtures that take records from that file. What is chosen comes afterwards:
//! only records that are taken are counted, and a mixture that takes others adds to the same file.

mod block;
mod bytes;
mod fault;
mod file;
mod key;
mod measure;
mod one;
mod pace;
mod store;
mod table;
#[cfg(test)]
mod tests;
mod wanted;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use block::codes;
use file::FileCounts;
use pace::Pace;

use crate::error::{Class, Error, record_place};
use crate::loader::Dataset;

pub use block::SHORTENED;
pub use key::place;
pub use measure::Measure;

/// Counts of a data set that are under way.
pub struct Counts {
    dataset: Arc<Dataset>,
    files: Vec<FileCounts>,
    pace: Pace,
}

/// What is known of all records without decoding a picture.
#[derive(Debug, Default)]
pub struct Figures {
    /// tokens by record, 0 = not usable
    pub lengths: Vec<u32>,
    /// pictures by record; the largest number stands for any larger one
    pub images: Vec<u16>,
    /// in how many usable records what was put right, by code; [`SHORTENED`] among them
    pub repairs: BTreeMap<&'static str, usize>,
    /// the records that are not usable, in order
    pub bad: Vec<Bad>,
}

/// A record that cannot be used, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bad {
    /// its number
    pub record: usize,
    /// the exception in Python
    pub class: Class,
    /// short stable word
    pub code: String,
    /// with the record's place
    pub message: String,
}

impl Counts {
    /// Nothing is read or counted yet. `fresh`: whether to count anew what is kept.
    #[must_use]
    pub fn new(dataset: Arc<Dataset>, fresh: bool) -> Self {
        let files = 0..dataset.records.parts();
        let files = files.map(|part| FileCounts::new(&dataset, part, fresh)).collect();
        Self { dataset, files, pace: Pace::new() }
    }

    /// Records to be counted; one that is taken several times counts once.
    #[must_use]
    pub fn total(&self) -> usize {
        self.files.iter().map(FileCounts::total).sum()
    }

    /// Those of them that are counted, by this process or another.
    #[must_use]
    pub fn done(&self) -> usize {
        self.files.iter().map(FileCounts::done).sum()
    }

    /// Those of them that were kept when this began.
    #[must_use]
    pub fn found(&self) -> usize {
        self.files.iter().map(FileCounts::found).sum()
    }

    /// Whether there is nothing left to do.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.files.iter().all(FileCounts::is_over)
    }

    /// Goes on for about a tenth of a second.
    pub fn advance(&mut self, threads: usize) {
        if let Some(file) = self.files.iter_mut().find(|file| !file.is_over()) {
            file.advance(&self.dataset, threads, &mut self.pace);
        }
    }

    /// By file of the records, where its counts are kept, or why they are not.
    pub fn kept(&self) -> impl Iterator<Item = Result<&Path, &str>> {
        self.files.iter().map(FileCounts::kept)
    }

    /// The figures of all records.
    ///
    /// # Errors
    /// [`Error::Argument`] unless [`Counts::is_over`].
    pub fn figures(&self) -> Result<Figures, Error> {
        let unfinished = || Error::Argument("the records are not all counted yet".to_owned());
        let mut figures = Figures::default();
        for (part, counts) in self.files.iter().enumerate() {
            let file = self.dataset.records.file(part);
            for number in numbers(file.chosen(), file.records()) {
                let (row, fault) = counts.row(number).ok_or_else(unfinished)?;
                if let Some(fault) = fault {
                    let place = record_place(number, &fault.id, file.name());
                    let message = format!("{place}: {}", fault.cause);
                    let (class, code) = (fault.class(), fault.code.to_string());
                    let record = figures.lengths.len();
                    figures.bad.push(Bad { record, class, code, message });
                }
                figures.lengths.push(row.tokens);
                figures.images.push(row.images);
                for code in codes(row.repairs) {
                    *figures.repairs.entry(code).or_default() += 1;
                }
            }
        }
        Ok(figures)
    }
}

/// Numbers of the records that are taken from a file.
fn numbers(chosen: Option<&[u32]>, records: usize) -> impl Iterator<Item = usize> {
    let all = if chosen.is_none() { 0..records } else { 0..0 };
    all.chain(chosen.unwrap_or_default().iter().map(|&number| number as usize))
}

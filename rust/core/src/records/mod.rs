//! Lists of records: one file, or several with a choice from each.
//!
//! Opening reads a file once, block by block, and keeps where each record lies in a side file: sixteen
//! bytes a record, of which none stays in memory. The next time that is all there is to open. A record is read and parsed when it is asked for, so one
//! malformed record does not make the others unreadable.

mod choice;
mod container;
mod lines;
mod list;
mod part;
mod scan;
mod source;
mod spans;
#[cfg(test)]
mod tests;
mod together;

use std::borrow::Cow;
use std::path::{Path, PathBuf};

pub use choice::{Amount, Choice, Rule};
pub use part::Part;

use crate::counter::fold;
use crate::error::{Error, Result};
use crate::index::Place;
use crate::record::{Reading, Record};
use part::too_many;

/// Where records come from.
#[derive(Clone, Debug)]
pub enum Input {
    /// a file: a JSON list, one record a line, or a parquet file with pictures
    File(PathBuf),
    /// the same in memory, and what stands for it in messages
    Text(String, String),
}

/// Records of one or more files, numbered through.
#[derive(Debug)]
pub struct Records {
    parts: Vec<Part>,
    /// number of the first record of each part
    starts: Vec<usize>,
    len: usize,
}

impl Records {
    /// Opens one file, all of which is taken.
    ///
    /// # Errors
    /// As [`Records::mixture`].
    pub fn open(path: &Path) -> Result<Self> {
        Self::mixture(vec![(Input::File(path.to_owned()), Choice::ALL)], 0, &Place::default())
    }

    /// Takes the text of a list; `name` stands for it in messages.
    ///
    /// # Errors
    /// As [`Records::mixture`].
    pub fn from_json(name: &str, text: String) -> Result<Self> {
        Self::mixture(vec![(Input::Text(name.to_owned(), text), Choice::ALL)], 0, &Place::default())
    }

    /// Opens several files and takes from each what is chosen, one after the other. `place` is where
    /// their side files are.
    ///
    /// # Errors
    /// [`Error::Data`] naming the file, and line and column where it stops being a list of records.
    pub fn mixture(sources: Vec<(Input, Choice)>, seed: u64, place: &Place) -> Result<Self> {
        let (mut parts, mut choices) = (Vec::new(), Vec::new());
        for (input, choice) in sources {
            parts.push(match input {
                Input::File(path) => Part::open(&path, place)?,
                Input::Text(name, text) => Part::from_text(&name, text)?,
            });
            choices.push(choice);
        }
        together::choose(&mut parts, &choices, seed)?;
        let (mut starts, mut len) = (Vec::new(), 0);
        for part in &parts {
            starts.push(len);
            len += part.len();
            if len > u32::MAX as usize {
                return Err(too_many(&part.name));
            }
        }
        Ok(Self { parts, starts, len })
    }

    /// How many records there are, good or bad.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many files they come from.
    #[must_use]
    pub fn parts(&self) -> usize {
        self.parts.len()
    }

    /// The file number `part`, below [`Records::parts`].
    #[must_use]
    pub fn file(&self, part: usize) -> &Part {
        &self.parts[part]
    }

    /// The number of the file that record `index` comes from.
    ///
    /// # Panics
    /// If `index` is not below [`Records::len`].
    #[must_use]
    pub fn part(&self, index: usize) -> usize {
        assert!(index < self.len, "record {index} of {}", self.len);
        // Parts without a record share their start with the next one.
        self.starts.partition_point(|&start| start <= index) - 1
    }

    /// The name of the file that record `index` comes from, and its number there.
    ///
    /// # Panics
    /// If `index` is not below [`Records::len`].
    #[must_use]
    pub fn origin(&self, index: usize) -> (&str, usize) {
        let (part, number) = self.find(index);
        (&part.name, number)
    }

    /// The id of record `index` as far as it can be read, else its number.
    ///
    /// # Panics
    /// If `index` is not below [`Records::len`].
    #[must_use]
    pub fn id(&self, index: usize) -> String {
        let (part, number) = self.find(index);
        part.id(number)
    }

    /// Reads, parses and checks record `index`.
    ///
    /// # Errors
    /// The [`crate::RecordFault`], or why the file cannot be read any more, with record number, id
    /// and file.
    ///
    /// # Panics
    /// If `index` is not below [`Records::len`].
    pub fn get(&self, index: usize, reading: Reading) -> Result<Record> {
        let (part, number) = self.find(index);
        part.get(number, reading).map_err(|error| self.place(index, error))
    }

    /// Record `index` as it is written.
    ///
    /// # Errors
    /// It is too long or not UTF-8, or the file cannot be read any more; with the same place.
    ///
    /// # Panics
    /// If `index` is not below [`Records::len`].
    pub fn json(&self, index: usize) -> Result<Cow<'_, str>> {
        let (part, number) = self.find(index);
        part.text(number).map_err(|error| self.place(index, error))
    }

    /// Adds record number, id and file to an error that came up later, such as a bad picture. The
    /// number is that in its file.
    #[must_use]
    pub fn place(&self, index: usize, error: Error) -> Error {
        let (part, number) = self.find(index);
        error.in_record(number, &part.id(number), &part.name)
    }

    /// Tells these records from others; their order and spelling count, and what is chosen.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let prints: Vec<_> = self.parts.iter().map(Part::fingerprint).collect();
        if let [(file, None)] = prints[..] {
            return file;
        }
        let numbers = |&(file, chosen): &(u64, Option<u64>)| [file, chosen.unwrap_or(0)];
        fold(&prints.iter().flat_map(numbers).collect::<Vec<_>>())
    }

    fn find(&self, index: usize) -> (&Part, usize) {
        let part = self.part(index);
        let place = index - self.starts[part];
        (&self.parts[part], self.parts[part].number(place))
    }
}

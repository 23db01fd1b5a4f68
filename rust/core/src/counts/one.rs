//! The figures of one record.

use super::block::{Outcome, Row, mask};
use super::fault::Fault;
use super::measure::Measure;
use crate::error::Result;
use crate::image::Mode;
use crate::loader::Dataset;
use crate::parallel;
use crate::record::Record;

/// Record `number` of the file `part` of a data set.
fn count(dataset: &Dataset, part: usize, number: u32) -> Result<Row> {
    let record = dataset.records.file(part).get(number as usize, dataset.reading)?;
    let Measure { tokens, pictures, cut_rounds, .. } =
        Measure::of(&record, &slots(dataset, part, &record)?, dataset)?;
    let images = u16::try_from(pictures).unwrap_or(u16::MAX);
    Ok(Row { tokens: tokens as u32, images, repairs: mask(&record.repairs, cut_rounds > 0) })
}

/// Several records of a file, in the order of `numbers`.
pub fn count_all(dataset: &Dataset, part: usize, numbers: &[u32], threads: usize) -> Vec<Outcome> {
    let work = |number| count(dataset, part, number);
    let counted = parallel::map(numbers.to_vec(), threads, work).into_iter();
    let file = dataset.records.file(part);
    let fault = |number, error| Fault::new(&file.id(number as usize), &error);
    let counted = counted.zip(numbers);
    counted.map(|(row, &number)| row.map_err(|error| fault(number, error))).collect()
}

/// Positions of each picture of a record. Their files are read only where their sizes decide.
fn slots(dataset: &Dataset, part: usize, record: &Record) -> Result<Vec<usize>> {
    let config = &dataset.image;
    if config.mode != Mode::AnyRes {
        return Ok(vec![config.patches(); record.images.len()]);
    }
    let tokens = |path: &String| match dataset.size_in(part, path) {
        Ok((width, height)) => Ok(config.image_tokens(width, height)),
        Err(error) => Err(error.in_image(path)),
    };
    record.images.iter().map(tokens).collect()
}

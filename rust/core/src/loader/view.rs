//! A record as the loader takes it, with what else there is to show of it.

use super::Dataset;
use crate::conversation::Sample;
use crate::error::{Error, Result};

/// What becomes of a record. Its pictures are not decoded.
pub struct View {
    /// the record as it is written, good or bad
    pub json: String,
    /// ids and labels, or why there are none
    pub sample: Result<Sample>,
    /// (path, tokens) of the pictures that are kept
    pub pictures: Vec<(String, usize)>,
}

impl Dataset {
    /// Record `index` through [`Dataset::encode`], as every batch has it.
    ///
    /// # Errors
    /// An index that is not below the number of records.
    pub fn view(&self, index: usize) -> Result<View> {
        let records = self.records.len();
        if index >= records {
            return Err(Error::Argument(format!("record {index}: there are {records} records")));
        }
        let json = self.records.json(index).to_owned();
        let (sample, pictures) = match self.encode(index) {
            Ok((sample, pictures)) => (Ok(sample), pictures),
            Err(error) => (Err(error), Vec::new()),
        };
        let pictures = pictures.into_iter().map(|picture| (picture.path, picture.tokens)).collect();
        Ok(View { json, sample, pictures })
    }

    /// The bytes of a picture file, from where batches take it.
    ///
    /// # Errors
    /// As [`crate::source::Images::read`], with the name.
    pub fn picture(&self, path: &str) -> Result<Vec<u8>> {
        self.read(path).map_err(|error| error.in_image(path))
    }
}

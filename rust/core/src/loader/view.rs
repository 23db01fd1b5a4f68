//! A record as the loader takes it, with what else there is to show of it.

use super::Dataset;
use crate::conversation::Sample;
use crate::error::Result;

/// What becomes of a record. Its pictures are not decoded.
pub struct View {
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
        self.check_index(index)?;
        let (sample, pictures) = match self.encode_record(index, true) {
            Ok((sample, pictures)) => (Ok(sample), pictures),
            Err(error) => (Err(error), Vec::new()),
        };
        let pictures = pictures.into_iter().map(|picture| (picture.path, picture.tokens)).collect();
        Ok(View { sample, pictures })
    }

    /// Record `index` as it is written, good or bad.
    ///
    /// # Errors
    /// As [`Dataset::view`].
    pub fn json(&self, index: usize) -> Result<&str> {
        self.check_index(index)?;
        Ok(self.records.json(index))
    }

    /// The bytes of a picture file, from where batches take it.
    ///
    /// # Errors
    /// As [`crate::source::Images::read`], with the name.
    pub fn picture(&self, path: &str) -> Result<Vec<u8>> {
        self.read(path).map_err(|error| error.in_image(path))
    }
}

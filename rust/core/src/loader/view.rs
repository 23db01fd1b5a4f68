//! A record as the loader takes it, with what else there is to show of it.

use std::borrow::Cow;

use super::{Dataset, Encoded};
use crate::conversation::Sample;
use crate::error::Result;
use crate::record::Repair;

/// What becomes of a record. Its pictures are not decoded.
pub struct View {
    /// ids and labels, or why there are none
    pub sample: Result<Sample>,
    /// (path, tokens) of the pictures that are kept
    pub pictures: Vec<(String, usize)>,
    /// what was put right
    pub repairs: Vec<Repair>,
}

/// Where a record comes from and what it names.
pub struct Described {
    /// name of its file
    pub file: String,
    /// its number there
    pub number: usize,
    /// its own id, as far as it can be read
    pub id: String,
    /// paths of its pictures; none if it cannot be read
    pub images: Vec<String>,
}

impl Dataset {
    /// Record `index`, good or bad. No picture is opened.
    ///
    /// # Errors
    /// An index that is not below the number of records.
    pub fn describe(&self, index: usize) -> Result<Described> {
        self.check_index(index)?;
        let (file, number) = self.records.origin(index);
        let images = self.records.get(index, self.reading).map(|record| record.images);
        let (file, id) = (file.to_owned(), self.records.id(index));
        Ok(Described { file, number, id, images: images.unwrap_or_default() })
    }

    /// Record `index`, encoded as every batch has it.
    ///
    /// # Errors
    /// An index that is not below the number of records.
    pub fn view(&self, index: usize) -> Result<View> {
        self.check_index(index)?;
        let (sample, pictures, repairs) = match self.encode_record(index, true) {
            Ok(Encoded { sample, pictures, repairs }) => (Ok(sample), pictures, repairs),
            Err(error) => (Err(error), Vec::new(), Vec::new()),
        };
        let pictures = pictures.into_iter().map(|picture| (picture.path, picture.tokens)).collect();
        Ok(View { sample, pictures, repairs })
    }

    /// Record `index` as it is written, good or bad.
    ///
    /// # Errors
    /// As [`Dataset::view`], and as [`crate::Records::json`].
    pub fn json(&self, index: usize) -> Result<String> {
        self.check_index(index)?;
        self.records.json(index).map(Cow::into_owned)
    }

    /// The bytes of a picture file of record `index`, from where batches take it.
    ///
    /// # Errors
    /// As [`Dataset::view`], and as [`crate::source::Images::read`], with the name.
    pub fn picture(&self, index: usize, path: &str) -> Result<Vec<u8>> {
        self.check_index(index)?;
        self.read(index, path).map_err(|error| error.in_image(path))
    }
}

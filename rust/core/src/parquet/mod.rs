//! Records in a parquet file, with the bytes of their pictures beside them, as the Hugging Face Hub
//! keeps data sets.
//!
//! Everything but the pictures is read once, when the file is opened, and becomes the same JSON as
//! any other record. A picture is read when it is asked for, by its row: pages before it are skipped
//! by their headers alone, so that a file costs its conversations and no more.

mod pictures;
mod positioned;
mod rows;
mod schema;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use parquet::errors::ParquetError;
use parquet::file::reader::SerializedFileReader;

use crate::{Error, Result};
use positioned::Positioned;

pub use pictures::Pictures;

type Reader = SerializedFileReader<Positioned>;

/// A parquet file as records and pictures.
pub struct Table {
    /// a JSON list of records; their `image` holds names that [`Table::pictures`] knows
    pub records: String,
    /// the pictures of all rows
    pub pictures: Pictures,
}

/// What each parquet file begins with.
pub const MAGIC: &[u8] = b"PAR1";

impl Table {
    /// Reads all columns except the pictures: `image` or `images`, as bytes, structs of `bytes` and
    /// `path`, or lists of either.
    ///
    /// # Errors
    /// [`Error::Data`] naming the file and what is wrong with it.
    pub fn open(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let named = |cause: String| Error::Data(format!("`{name}`: {cause}"));
        let file = Positioned::open(path).map_err(|error| named(error.to_string()))?;
        guarded(|| {
            let reader = SerializedFileReader::new(file)?;
            let column = schema::picture_column(&reader);
            let records = rows::json(&reader, column.as_ref())?;
            let pictures = Pictures::new(reader, column.map(|column| column.leaf));
            Ok(Self { records, pictures })
        })
        .map_err(named)
    }
}

/// A panic in the decoder is an error of the file.
fn guarded<T>(
    work: impl FnOnce() -> std::result::Result<T, ParquetError>,
) -> std::result::Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|error| cause(&error)),
        Err(_) => Err("malformed parquet: the decoder panicked".to_owned()),
    }
}

fn cause(error: &ParquetError) -> String {
    let text = error.to_string();
    let text = text.split_once(": ").map_or(text.as_str(), |(_, detail)| detail);
    format!("malformed parquet: {text}")
}

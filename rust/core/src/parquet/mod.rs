//! Records in a parquet file, with the bytes of their pictures beside them, as the Hugging Face Hub
//! keeps data sets.
//!
//! Everything but the pictures is read once and becomes the same JSON as any other record, one in a
//! line. A picture is read when it is asked for, by its row: pages before it are skipped
//! by their headers alone, so that a file costs its conversations and no more.

mod pictures;
mod positioned;
mod rows;
mod schema;

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use parquet::errors::ParquetError;
use parquet::file::reader::SerializedFileReader;

use crate::{Error, Result};
use positioned::Positioned;
use schema::Column;

pub use pictures::Pictures;

type Reader = SerializedFileReader<Positioned>;

/// An open parquet file.
pub struct Table {
    reader: Reader,
    column: Option<Column>,
}

/// What each parquet file begins with.
pub const MAGIC: &[u8] = b"PAR1";

impl Table {
    /// Opens a parquet file. Its pictures are those of the column `image` or `images`, as bytes,
    /// structs of `bytes` and `path`, or lists of either.
    ///
    /// # Errors
    /// [`Error::Data`] naming the file and what is wrong with it.
    pub fn open(path: &Path) -> Result<Self> {
        let named = |cause: String| Error::Data(format!("`{}`: {cause}", path.display()));
        let file = Positioned::open(path).map_err(|error| named(error.to_string()))?;
        guarded(|| {
            let reader = SerializedFileReader::new(file)?;
            let column = schema::picture_column(&reader);
            Ok(Self { reader, column })
        })
        .map_err(named)
    }

    /// Writes a line for each row, with everything but the pictures; `image` has names that
    /// [`Pictures`] knows.
    ///
    /// # Errors
    /// [`Error::Data`] with the cause, which may be that `out` takes no more.
    pub fn write(&self, out: &mut dyn Write) -> Result<()> {
        let mut unwritten = None;
        let take = |line: &str| match writeln!(out, "{line}") {
            Ok(()) => true,
            Err(error) => {
                unwritten = Some(error);
                false
            }
        };
        guarded(|| rows::each(&self.reader, self.column.as_ref(), take)).map_err(Error::Data)?;
        unwritten.map_or(Ok(()), |error| Err(crate::pairs::unwritten(&error)))
    }

    /// The pictures of all rows.
    #[must_use]
    pub fn into_pictures(self) -> Pictures {
        Pictures::new(self.reader, self.column.map(|column| column.leaf))
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

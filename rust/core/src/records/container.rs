//! Files that hold records together with their pictures: parquet, tars of pairs.

use std::io::Write;
use std::path::Path;

use crate::error::{Error, Result};
use crate::pairs::{Pairs, is_tar};
use crate::parquet::{self, Table};
use crate::source::Images;

/// Bytes at the start of a file by which containers are told.
pub(super) const START: usize = 512;

/// An open file whose records are written out as lines once, and its pictures left where they are.
pub(super) enum Container {
    Table(Box<Table>),
    Pairs(Pairs),
}

impl Container {
    /// The container at `path` if the first [`START`] bytes say that it is one.
    pub(super) fn open(path: &Path, start: &[u8]) -> Result<Option<Self>> {
        let named = |error| Error::Data(format!("`{}`: {error}", path.display()));
        if start.starts_with(parquet::MAGIC) {
            return Ok(Some(Self::Table(Box::new(Table::open(path)?))));
        }
        if is_tar(start) {
            return Ok(Some(Self::Pairs(Pairs::open(path).map_err(named)?)));
        }
        Ok(None)
    }

    /// Writes one line for each record.
    pub(super) fn write(&self, name: &str, out: &mut dyn Write) -> Result<()> {
        let written = match self {
            Self::Table(table) => table.write(out),
            Self::Pairs(pairs) => pairs.write(out),
        };
        written.map_err(|error| Error::Data(format!("`{name}`: {error}")))
    }

    /// Whether a line is a [`crate::pairs::Pair`] and not the record itself.
    pub(super) fn has_pairs(&self) -> bool {
        matches!(self, Self::Pairs(_))
    }

    pub(super) fn into_images(self) -> Images {
        match self {
            Self::Table(table) => table.into_pictures().into(),
            Self::Pairs(pairs) => pairs.into(),
        }
    }
}

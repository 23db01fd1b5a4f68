//! Pictures by row.

use std::fmt;

use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::FileReader;

use super::{Reader, guarded};
use crate::image::Limits;
use crate::{Error, ImageFault};

/// The pictures of a parquet file, by the names that its records give them: row and place in it.
pub struct Pictures {
    reader: Reader,
    leaf: Option<usize>,
    /// first row of each row group, and the number of rows at the end
    starts: Vec<usize>,
}

impl fmt::Debug for Pictures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pictures").field("leaf", &self.leaf).finish_non_exhaustive()
    }
}

/// The name of a picture in its record.
pub fn name(row: usize, place: usize) -> String {
    format!("row {row}, picture {place}")
}

fn parsed(name: &str) -> Option<(usize, usize)> {
    let (row, place) = name.strip_prefix("row ")?.split_once(", picture ")?;
    Some((row.parse().ok()?, place.parse().ok()?))
}

impl Pictures {
    pub(super) fn new(reader: Reader, leaf: Option<usize>) -> Self {
        let groups = reader.metadata().row_groups().iter();
        let mut starts = vec![0];
        starts.extend(groups.scan(0, |end, group| {
            *end += usize::try_from(group.num_rows()).unwrap_or(0);
            Some(*end)
        }));
        Self { reader, leaf, starts }
    }

    /// The bytes of a picture file.
    ///
    /// # Errors
    /// `Unreadable` with the cause; `Refused` for more than `limits.file_bytes`.
    pub fn read(&self, name: &str, limits: &Limits) -> crate::Result<Vec<u8>> {
        let fault = |cause: String| Error::from(ImageFault::Unreadable(cause));
        let (row, place) = parsed(name).ok_or_else(|| {
            fault("the pictures of a parquet file are named by its records".to_owned())
        })?;
        let bytes = guarded(|| self.bytes(row, place)).map_err(fault)?;
        let bytes = bytes.ok_or_else(|| fault("the row has no bytes for it".to_owned()))?;
        if bytes.len() > limits.file_bytes {
            let text = format!("the file is larger than {} bytes", limits.file_bytes);
            return Err(ImageFault::Refused(text).into());
        }
        Ok(bytes.data().to_vec())
    }

    /// `None` where the row says there is a picture and has no bytes of it.
    fn bytes(&self, row: usize, place: usize) -> Result<Option<ByteArray>> {
        let group = self.starts.partition_point(|&start| start <= row).saturating_sub(1);
        let Some(leaf) = self.leaf.filter(|_| group + 1 < self.starts.len()) else {
            return Ok(None);
        };
        let group_reader = self.reader.get_row_group(group)?;
        let mut column = byte_arrays(group_reader.get_column_reader(leaf)?)?;
        column.skip_records(row - self.starts[group])?;
        let (mut levels, mut repeats, mut values) = (Vec::new(), Vec::new(), Vec::new());
        column.read_records(1, Some(&mut levels), Some(&mut repeats), &mut values)?;
        let full =
            self.reader.metadata().file_metadata().schema_descr().column(leaf).max_def_level();
        // Without definition levels every value is there.
        let there = |place: usize| levels.get(place).is_none_or(|&level| level == full);
        let before = (0..place).filter(|&earlier| there(earlier)).count();
        Ok(if there(place) { values.into_iter().nth(before) } else { None })
    }
}

/// The reader of a column of bytes.
pub fn byte_arrays(column: ColumnReader) -> Result<ColumnReaderImpl<ByteArrayType>> {
    match column {
        ColumnReader::ByteArrayColumnReader(column) => Ok(column),
        _ => Err(ParquetError::General("the pictures are no byte arrays".to_owned())),
    }
}

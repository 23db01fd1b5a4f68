//! Rows as the JSON of records.

use parquet::errors::{ParquetError, Result};
use parquet::file::reader::FileReader;
use serde_json::{Map, Value};

use super::Reader;
use super::pictures::{byte_arrays, name};
use super::schema::{Column, without};

/// Rows whose levels are read at once, to count pictures that nothing else counts.
const AT_ONCE: usize = 64;

/// `take(record)` with the JSON of each row, in one line, until it is false.
pub fn each(
    reader: &Reader,
    pictures: Option<&Column>,
    mut take: impl FnMut(&str) -> bool,
) -> Result<()> {
    let schema = reader.metadata().file_metadata().schema_descr();
    let projection = match pictures {
        None => None,
        Some(column) => {
            let path = schema.column(column.leaf).path().parts().to_vec();
            let left = without(schema.root_schema(), &path)?;
            Some(left.ok_or_else(|| ParquetError::General("no column but pictures".to_owned()))?)
        }
    };
    let counts = match pictures {
        Some(column) if !column.counted => Some(counted(reader, column.leaf)?),
        _ => None,
    };
    for (row, fields) in reader.get_row_iter(projection)?.enumerate() {
        let Value::Object(mut record) = fields?.to_json_value() else { continue };
        if let Some(column) = pictures {
            let count = match &counts {
                Some(counts) => counts.get(row).copied().unwrap_or(0),
                None => told(record.get(&column.root)),
            };
            set_names(&mut record, &column.root, row, count);
        }
        if !take(&Value::Object(record).to_string()) {
            break;
        }
    }
    Ok(())
}

/// How many pictures the other fields of the column speak of.
fn told(left: Option<&Value>) -> usize {
    match left {
        None | Some(Value::Null) => 0,
        Some(Value::Array(list)) => list.len(),
        Some(_) => 1,
    }
}

fn set_names(record: &mut Map<String, Value>, root: &str, row: usize, count: usize) {
    record.remove(root);
    let names: Vec<Value> = (0..count).map(|place| name(row, place).into()).collect();
    record.insert("image".to_owned(), names.into());
}

/// Pictures by row, from the levels of a column that stands alone.
fn counted(reader: &Reader, leaf: usize) -> Result<Vec<usize>> {
    let full = reader.metadata().file_metadata().schema_descr().column(leaf).max_def_level();
    let mut counts = Vec::new();
    for group in 0..reader.num_row_groups() {
        let group_reader = reader.get_row_group(group)?;
        let mut column = byte_arrays(group_reader.get_column_reader(leaf)?)?;
        loop {
            let (mut levels, mut repeats, mut values) = (Vec::new(), Vec::new(), Vec::new());
            let (records, _, read) =
                column.read_records(AT_ONCE, Some(&mut levels), Some(&mut repeats), &mut values)?;
            if records == 0 {
                break;
            }
            for place in 0..read {
                if repeats.get(place).is_none_or(|&level| level == 0) {
                    counts.push(0);
                }
                let there = levels.get(place).is_none_or(|&level| level == full);
                *counts.last_mut().unwrap_or(&mut 0) += usize::from(there);
            }
        }
    }
    Ok(counts)
}

//! Which column holds the pictures.

use std::sync::Arc;

use parquet::basic::{LogicalType, Type as Physical};
use parquet::errors::Result;
use parquet::file::reader::FileReader;
use parquet::schema::types::{ColumnDescriptor, Type};

use super::Reader;

/// The column of picture bytes.
pub struct Column {
    /// its number among the leaves of the schema
    pub leaf: usize,
    /// `image` or `images`
    pub root: String,
    /// whether another leaf of the same root says how many pictures a row has
    pub counted: bool,
}

const ROOTS: [&str; 2] = ["image", "images"];

/// The leaf of bytes under `image` or `images`; `None` if there is none.
pub fn picture_column(reader: &Reader) -> Option<Column> {
    let schema = reader.metadata().file_metadata().schema_descr();
    let under = |column: &ColumnDescriptor| {
        column.path().parts().first().filter(|root| ROOTS.contains(&root.as_str())).cloned()
    };
    let leaf = schema.columns().iter().position(|c| under(c).is_some() && holds_bytes(c));
    leaf.and_then(|leaf| {
        let root = under(&schema.columns()[leaf])?;
        let same = |(number, column): (usize, &Arc<ColumnDescriptor>)| {
            number != leaf && column.path().parts().first() == Some(&root)
        };
        let counted = schema.columns().iter().enumerate().any(same);
        Some(Column { leaf, root, counted })
    })
}

fn holds_bytes(column: &ColumnDescriptor) -> bool {
    column.physical_type() == Physical::BYTE_ARRAY
        && column.logical_type_ref() != Some(&LogicalType::String)
}

/// The schema without one leaf; `None` for what is empty then.
pub fn without(schema: &Type, path: &[String]) -> Result<Option<Type>> {
    let Some((first, rest)) = path.split_first() else { return Ok(None) };
    let mut fields = Vec::new();
    for field in schema.get_fields() {
        if field.name() != first {
            fields.push(Arc::clone(field));
        } else if let Some(left) = without(field, rest)? {
            fields.push(Arc::new(left));
        }
    }
    if fields.is_empty() {
        return Ok(None);
    }
    let info = schema.get_basic_info();
    let mut builder = Type::group_type_builder(schema.name())
        .with_converted_type(info.converted_type())
        .with_logical_type(info.logical_type_ref().cloned())
        .with_fields(fields);
    if info.has_repetition() {
        builder = builder.with_repetition(info.repetition());
    }
    builder.build().map(Some)
}

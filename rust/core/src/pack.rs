//! Documents to batches: three layouts of the same ids and labels.
//!
//! T tokens, d documents, B rows, L columns, R supervised rows, n images.

use std::cmp::Reverse;

use crate::conversation::{IGNORE, Sample};
use crate::image::Output;
use crate::{Error, Result};

/// How documents are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// one row for transformers
    Packed,
    /// one row per document
    Padded,
    /// one row for the models of this project
    Native,
}

impl Layout {
    /// The layout of that name.
    ///
    /// # Errors
    /// `Argument` naming the known ones.
    pub fn find(name: &str) -> Result<Self> {
        match name {
            "packed" => Ok(Self::Packed),
            "padded" => Ok(Self::Padded),
            "native" => Ok(Self::Native),
            _ => Err(Error::Argument(format!(
                "layout: got `{name}`, expected one of packed, padded, native"
            ))),
        }
    }

    /// The form of the pictures that goes with it.
    #[must_use]
    pub fn output(self) -> Output {
        match self {
            Self::Packed | Self::Padded => Output::Values,
            Self::Native => Output::Patches,
        }
    }
}

/// One document of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// record number; -1 for a document that only fills up a rank's last batch
    pub record: i64,
    /// ids
    pub input_ids: Vec<i64>,
    /// ids of the supervised positions, -100 elsewhere
    pub labels: Vec<i64>,
    /// first position of each image
    pub image_starts: Vec<i64>,
}

impl Document {
    /// An encoded record.
    #[must_use]
    pub fn new(record: usize, sample: Sample) -> Self {
        let Sample { input_ids, labels, image_starts, .. } = sample;
        Self { record: record as i64, input_ids, labels, image_starts }
    }

    /// `length` pad tokens, none of them supervised: the place of a record that cannot be used, or
    /// (`record` -1) of none at all.
    #[must_use]
    pub fn hole(record: i64, length: usize, pad: u32) -> Self {
        Self {
            record,
            input_ids: vec![i64::from(pad); length],
            labels: vec![IGNORE; length],
            image_starts: Vec::new(),
        }
    }
}

/// One row for transformers: documents one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packed {
    /// (T,)
    pub input_ids: Vec<i64>,
    /// (T,); the first of each document is -100, or the document before would predict it
    pub labels: Vec<i64>,
    /// (T,); restarts at 0 per document, which is how transformers finds the borders
    pub position_ids: Vec<i64>,
    /// (d + 1,) first token of each document, and T
    pub cu_seqlens: Vec<i32>,
    /// tokens of the longest document
    pub max_seqlen: usize,
}

/// One row per document, filled up on the right.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Padded {
    /// B
    pub rows: usize,
    /// L, the longest document
    pub columns: usize,
    /// (B, L)
    pub input_ids: Vec<i64>,
    /// (B, L), -100 on the filling
    pub labels: Vec<i64>,
    /// (B, L), 1 on documents, 0 on the filling
    pub attention_mask: Vec<i64>,
}

/// What the models of this project read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Native {
    /// (T,)
    pub input_ids: Vec<i64>,
    /// (T,); restarts at 0 per document
    pub position_ids: Vec<i32>,
    /// (d + 1,) first token of each document, and T
    pub cu_seqlens: Vec<i32>,
    /// tokens of the longest document
    pub max_seqlen: usize,
    /// (R,) positions whose hidden state predicts a target, the token after them
    pub loss_rows: Vec<i32>,
    /// (R,)
    pub targets: Vec<i64>,
    /// (n,) first position of each image
    pub image_row_starts: Vec<i32>,
    /// (d,) record numbers
    pub records: Vec<i64>,
    /// (a, 2) document and first row of each tile of queries, see [`tiles`]
    pub q_tiles: Vec<[i32; 2]>,
    /// (b, 2) document and first row of each tile of keys
    pub kv_tiles: Vec<[i32; 2]>,
}

/// First token of each document, and T.
fn borders(documents: &[Document]) -> Vec<i32> {
    let ends = documents.iter().scan(0, |end, document| {
        *end += document.input_ids.len();
        Some(*end as i32)
    });
    std::iter::once(0).chain(ends).collect()
}

fn longest(documents: &[Document]) -> usize {
    documents.iter().map(|document| document.input_ids.len()).max().unwrap_or(0)
}

fn joined_ids(documents: &[Document]) -> Vec<i64> {
    documents.iter().flat_map(|document| &document.input_ids).copied().collect()
}

/// The row that [`Packed`] describes.
#[must_use]
pub fn packed(documents: &[Document]) -> Packed {
    let labels = documents.iter().flat_map(|document| {
        let first = document.labels.first().map(|_| IGNORE);
        first.into_iter().chain(document.labels.iter().skip(1).copied())
    });
    Packed {
        input_ids: joined_ids(documents),
        labels: labels.collect(),
        position_ids: documents.iter().flat_map(|d| 0..d.input_ids.len() as i64).collect(),
        cu_seqlens: borders(documents),
        max_seqlen: longest(documents),
    }
}

/// The rows that [`Padded`] describes.
#[must_use]
pub fn padded(documents: &[Document], pad: u32) -> Padded {
    let (rows, columns) = (documents.len(), longest(documents));
    let mut out = Padded {
        rows,
        columns,
        input_ids: vec![i64::from(pad); rows * columns],
        labels: vec![IGNORE; rows * columns],
        attention_mask: vec![0; rows * columns],
    };
    for (row, document) in documents.iter().enumerate() {
        let place = row * columns..row * columns + document.input_ids.len();
        out.input_ids[place.clone()].copy_from_slice(&document.input_ids);
        out.labels[place.clone()].copy_from_slice(&document.labels);
        out.attention_mask[place].fill(1);
    }
    out
}

/// The row that [`Native`] describes.
#[must_use]
pub fn native(documents: &[Document]) -> Native {
    let cu_seqlens = borders(documents);
    let [q_tiles, kv_tiles] = tiles(documents);
    let mut out = Native {
        q_tiles,
        kv_tiles,
        input_ids: joined_ids(documents),
        position_ids: documents.iter().flat_map(|d| 0..d.input_ids.len() as i32).collect(),
        max_seqlen: longest(documents),
        records: documents.iter().map(|document| document.record).collect(),
        ..Native::default()
    };
    for (document, &start) in documents.iter().zip(&cu_seqlens) {
        out.image_row_starts.extend(document.image_starts.iter().map(|&at| start + at as i32));
        for (token, &label) in document.labels.iter().enumerate().skip(1) {
            if label != IGNORE {
                out.loss_rows.push(start + token as i32 - 1);
                out.targets.push(label);
            }
        }
    }
    out.cu_seqlens = cu_seqlens;
    out
}

/// Rows of a tile of attention: what one program of the kernel works on.
const TILE: usize = 128;

/// Tiles of [`TILE`] rows over the documents (queries, keys). Under the causal mask a tile of queries
/// meets all keys up to its end, and one of keys all queries from its start on; the longest work comes
/// first, so that what runs last is short, and of equals the first document and row.
fn tiles(documents: &[Document]) -> [Vec<[i32; 2]>; 2] {
    let (mut queries, mut keys) = (Vec::new(), Vec::new());
    for (number, document) in documents.iter().enumerate() {
        let length = document.input_ids.len();
        for row in (0..length).step_by(TILE) {
            let tile = [number as i32, row as i32];
            queries.push((Reverse(length.min(row + TILE)), tile));
            keys.push((Reverse(length - row), tile));
        }
    }
    [queries, keys].map(|mut tiles| {
        tiles.sort_unstable();
        tiles.into_iter().map(|(_, tile)| tile).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents() -> Vec<Document> {
        vec![
            Document {
                record: 7,
                input_ids: vec![1, 9, 9, 5, 2],
                labels: vec![1, -100, -100, 5, 2],
                image_starts: vec![1],
            },
            Document::hole(3, 2, 0),
            Document {
                record: 4,
                input_ids: vec![1, 9, 6],
                labels: vec![-100, -100, 6],
                image_starts: vec![1],
            },
        ]
    }

    #[test]
    fn packed_restarts_positions_and_hides_first_labels() {
        let row = packed(&documents());
        assert_eq!(row.input_ids, [1, 9, 9, 5, 2, 0, 0, 1, 9, 6]);
        assert_eq!(row.labels, [-100, -100, -100, 5, 2, -100, -100, -100, -100, 6]);
        assert_eq!(row.position_ids, [0, 1, 2, 3, 4, 0, 1, 0, 1, 2]);
        assert_eq!((row.cu_seqlens, row.max_seqlen), (vec![0, 5, 7, 10], 5));
    }

    #[test]
    fn padded_fills_up_on_the_right() {
        let rows = padded(&documents(), 0);
        assert_eq!((rows.rows, rows.columns), (3, 5));
        assert_eq!(rows.input_ids[5..], [0, 0, 0, 0, 0, 1, 9, 6, 0, 0]);
        assert_eq!(rows.labels[10..], [-100, -100, 6, -100, -100]);
        assert_eq!(rows.attention_mask, [1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0]);
    }

    #[test]
    fn tiles_come_longest_first_and_cover_every_row() {
        let documents = [300, 128, 1].map(|length| Document::hole(0, length, 0));
        let [queries, keys] = tiles(&documents);
        assert_eq!(queries, [[0, 256], [0, 128], [0, 0], [1, 0], [2, 0]]);
        assert_eq!(keys, [[0, 0], [0, 128], [1, 0], [0, 256], [2, 0]]);
    }

    #[test]
    fn native_rows_predict_the_token_after_them() {
        let row = native(&documents());
        assert_eq!((row.loss_rows, row.targets), (vec![2, 3, 8], vec![5, 2, 6]));
        assert_eq!((row.image_row_starts, row.records), (vec![1, 8], vec![7, 3, 4]));
    }
}

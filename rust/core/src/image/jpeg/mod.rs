//! JPEG with 8 bits and Huffman codes, sequential or progressive, bit-equal to libjpeg-turbo's defaults
//! and so to Pillow.
//!
//! markers -> tables and frame header -> entropy decoding and inverse DCT into one plane per component,
//! row by row, or for progressive files after the last scan -> fancy upsampling and colour, row by row.
//!
//! libjpeg decodes damaged data to something and warns. Here a scan that breaks a rule is an error:
//! invented pixels are worse than none.

mod band;
mod bits;
mod coefficients;
mod colour;
mod component;
mod cursor;
mod decoder;
mod frame;
mod huffman;
mod idct;
mod info;
mod lines;
mod markers;
mod pairs;
mod planes;
mod progressive;
mod quant;
mod scan;
mod scan_header;
mod segments;
mod upsample;

pub(super) use info::{metadata, size};
pub use planes::Planes;

use super::DecodeOptions;
use crate::{Error, ImageFault, Result};

/// Opens a file that starts with a JPEG start marker and decodes it up to the planes of its components.
pub(super) fn open(bytes: &[u8], options: &DecodeOptions) -> Result<Planes> {
    decoder::Decoder::new(options).run(bytes)
}

fn malformed(detail: impl Into<String>) -> Error {
    ImageFault::Malformed { format: "JPEG", detail: detail.into() }.into()
}

fn truncated(detail: impl Into<String>) -> Error {
    ImageFault::Truncated { format: "JPEG", detail: detail.into() }.into()
}

fn unsupported(kind: impl std::fmt::Display) -> Error {
    ImageFault::Unsupported(format!("{kind} JPEG; convert it to a baseline JPEG or a PNG")).into()
}

/// `ZIGZAG[k]`: place in the 8 x 8 block (row by row) of the k-th coefficient of the file. Indices
/// beyond the block, which only damaged files and end-of-block symbols reach, lead to a place behind it.
const ZIGZAG: [u8; 256] = {
    let mut places = [64; 256];
    let mut k = 0;
    while k < 64 {
        places[k] = ORDER[k];
        k += 1;
    }
    places
};

const ORDER: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20,
    13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59,
    52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

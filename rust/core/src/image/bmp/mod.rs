//! BMP to RGB by Pillow's rules: the same headers, palettes, masks and run lengths are read and the
//! same refused, 5 and 6 bits scale to 8 rounding down, alpha is dropped.

mod colours;
mod header;
mod rle;

use colours::Colours;
use header::{Compression, Header};

use super::limits::allocate;
use super::{DecodeOptions, Limits, Rgb8, Truncated};
use crate::{Error, ImageFault, Result};

/// Decodes a file that starts with `BM`.
pub(super) fn decode(file: &[u8], options: &DecodeOptions) -> Result<Rgb8> {
    let header = Header::read(file, &options.limits)?;
    let colours = Colours::of(&header)?;
    let (width, height) = (header.width, header.height);
    let row_bytes = colours.row_bytes(width);
    let runs;
    let (data, stride) =
        if header.compression == Compression::Rle8 || header.compression == Compression::Rle4 {
            runs = rle::samples(file, &header)?;
            (&runs[..], width)
        } else {
            (file.get(header.offset..).unwrap_or_default(), header.stride())
        };
    let missing = vec![0; row_bytes];
    if options.truncated == Truncated::Error && data.len() < (height - 1) * stride + row_bytes {
        return Err(truncated("too few pixel data for its size"));
    }
    let mut pixels = allocate(width * height * 3)?;
    for (index, out) in pixels.chunks_exact_mut(width * 3).enumerate() {
        let stored = if header.top_down { index } else { height - 1 - index };
        let row = data.get(stored * stride..).and_then(|rest| rest.get(..row_bytes));
        colours.row_into(row.unwrap_or(&missing), out);
    }
    Ok(Rgb8 { width, height, pixels })
}

/// Width and height from the header.
pub(super) fn size(file: &[u8], limits: &Limits) -> Result<(usize, usize)> {
    let header = Header::read(file, limits)?;
    Ok((header.width, header.height))
}

fn malformed(detail: impl Into<String>) -> Error {
    ImageFault::Malformed { format: "BMP", detail: detail.into() }.into()
}

fn truncated(detail: impl Into<String>) -> Error {
    ImageFault::Truncated { format: "BMP", detail: detail.into() }.into()
}

fn unsupported(kind: impl std::fmt::Display) -> Error {
    ImageFault::Unsupported(format!("BMP with {kind}; Pillow does not read it either")).into()
}

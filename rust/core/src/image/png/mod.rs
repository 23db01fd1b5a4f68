//! PNG to RGB by the rules of Pillow's `convert("RGB")`: alpha and transparency are dropped, 16-bit
//! gray is cut at 255, other 16-bit samples give their high byte. An APNG gives its first frame.
//!
//! The `png` crate inflates and unfilters. What it sees is a picture rebuilt from the chunks that
//! carry pixels: text, profiles and animations are passed over unread, so none of them can blow up.

mod adam7;
mod chunks;
mod header;
mod samples;

use std::io::Cursor;

use chunks::Picture;
use samples::Converter;

use super::limits::allocate;
use super::{DecodeOptions, Rgb8};
use crate::{Error, ImageFault, Result};

/// Decodes a file that starts with the PNG signature.
pub(super) fn decode(bytes: &[u8], options: &DecodeOptions) -> Result<Rgb8> {
    let picture = chunks::read(bytes, &options.limits)?;
    let header = &picture.header;
    let (width, height) = (header.width, header.height);
    let converter = Converter::new(header, picture.palette)?;
    check_length(&picture)?;
    let mut pixels = allocate(width * height * 3)?;
    let mut reader = open(&picture)?;
    if header.interlaced {
        for row in adam7::rows(width, height) {
            let packed = next_row(&mut reader)?;
            row.scatter(&converter.row(packed, row.width)?, &mut pixels, width);
        }
    } else {
        for out in pixels.chunks_exact_mut(width * 3) {
            converter.row_into(next_row(&mut reader)?, out)?;
        }
    }
    Ok(Rgb8 { width, height, pixels })
}

/// Fails before anything is allocated if the data cannot hold the picture: deflate shrinks to a
/// 1032nd at best.
fn check_length(picture: &Picture<'_>) -> Result<()> {
    let Picture { header, stream, .. } = picture;
    let bits = header.colour.channels() * usize::from(header.depth);
    if stream.len() * 1032 < (header.width * bits).div_ceil(8) * header.height {
        return Err(truncated("too few pixel data for its size"));
    }
    Ok(())
}

type Reader<'a> = png::Reader<Cursor<&'a [u8]>>;

fn open<'a>(picture: &'a Picture<'_>) -> Result<Reader<'a>> {
    let mut options = png::DecodeOptions::default();
    options.set_ignore_adler32(false);
    options.set_ignore_crc(true); // checked while the stream was built
    let mut decoder = png::Decoder::new_with_options(Cursor::new(&picture.stream[..]), options);
    decoder.set_transformations(png::Transformations::IDENTITY);
    decoder.read_info().map_err(|error| in_stream(&error))
}

fn next_row<'a>(reader: &'a mut Reader<'_>) -> Result<&'a [u8]> {
    match reader.next_interlaced_row().map_err(|error| in_stream(&error))? {
        Some(row) => Ok(row.data()),
        None => Err(truncated("the pixel data end early")),
    }
}

fn in_stream(error: &png::DecodingError) -> Error {
    match error {
        png::DecodingError::IoError(_) => truncated("the pixel data end early"),
        other => malformed(other.to_string()),
    }
}

fn malformed(detail: impl Into<String>) -> Error {
    ImageFault::Malformed { format: "PNG", detail: detail.into() }.into()
}

fn truncated(detail: impl Into<String>) -> Error {
    ImageFault::Truncated { format: "PNG", detail: detail.into() }.into()
}

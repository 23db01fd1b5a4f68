//! PNG to RGB by the rules of Pillow's `convert("RGB")`: alpha and transparency are dropped, 16-bit
//! gray is cut at 255 if nothing else is asked for, other 16-bit samples give their high byte. An
//! APNG gives its first frame.
//!
//! The `png` crate inflates and unfilters. What it sees is a picture rebuilt from the chunks that
//! carry pixels: text, profiles and animations are passed over unread, so none of them can blow up.

mod adam7;
mod chunks;
mod cut;
mod header;
mod info;
mod samples;
mod stream;

use chunks::Picture;
use header::Header;
pub(super) use info::{metadata, size};
use samples::Converter;
use stream::Stream;

use super::limits::allocate;
use super::{DecodeOptions, Rgb8};
use crate::{Error, ImageFault, Result};

/// Decodes a file that starts with the PNG signature.
pub(super) fn decode(bytes: &[u8], options: &DecodeOptions) -> Result<Rgb8> {
    let picture = chunks::read(bytes, options)?;
    let (width, height) = (picture.header.width, picture.header.height);
    let converter = Converter::new(&picture.header, picture.palette, options.png16)?;
    check_length(&picture)?;
    let mut pixels = allocate(width * height * 3)?;
    read_rows(picture, &converter, &mut pixels)?;
    Ok(Rgb8 { width, height, pixels })
}

fn read_rows(picture: Picture<'_>, converter: &Converter, pixels: &mut [u8]) -> Result<()> {
    let Header { width, height, interlaced, .. } = picture.header;
    let mut reader = open(picture.stream)?;
    if interlaced {
        for row in adam7::rows(width, height) {
            let packed = next_row(&mut reader)?;
            row.scatter(&converter.row(packed, row.width)?, pixels, width);
        }
    } else {
        for out in pixels.chunks_exact_mut(width * 3) {
            converter.row_into(next_row(&mut reader)?, out)?;
        }
    }
    Ok(())
}

/// Fails before anything is allocated if the data cannot hold the picture: deflate shrinks to a
/// 1032nd at best.
fn check_length(picture: &Picture<'_>) -> Result<()> {
    if picture.stream.pixel_bytes() * 1032 < picture.header.packed_bytes() {
        return Err(truncated("too few pixel data for its size"));
    }
    Ok(())
}

type Reader<'a> = png::Reader<Stream<'a>>;

fn open(stream: Stream<'_>) -> Result<Reader<'_>> {
    let mut options = png::DecodeOptions::default();
    options.set_ignore_adler32(false);
    options.set_ignore_crc(true); // checked while the chunks were followed
    let mut decoder = png::Decoder::new_with_options(stream, options);
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

//! Compressed frames to RGB through the `image-webp` crate. What it sees is a file of one chunk: the
//! container was read before, and none of its tolerance is needed.

use std::io::Cursor;

use image_webp::{DecodingError, WebPDecoder};

use super::container::Frame;
use super::{malformed, truncated};
use crate::image::limits::{reserve, zeroed};
use crate::{Error, Result};

/// Place of the bit that says that a VP8L frame has alpha.
const ALPHA_BYTE: usize = 20 + 4;
const ALPHA_BIT: u8 = 0x10;

/// RGB of a frame, row by row.
pub(super) fn rgb(frame: &Frame<'_>) -> Result<Vec<u8>> {
    let pixels = frame.width * frame.height;
    if frame.lossless {
        let mut rgba = zeroed(pixels * 4)?;
        decode_lossless(frame.data, &mut rgba)?;
        drop_alpha(&mut rgba);
        return Ok(rgba);
    }
    let mut rgb = zeroed(pixels * 3)?;
    read(&file(*b"VP8 ", frame.data)?, &mut rgb)?;
    if let Some(alpha) = frame.alpha {
        check_alpha(alpha, frame)?;
    }
    Ok(rgb)
}

/// Decodes VP8L data to RGBA. The crate decodes a frame without alpha to RGBA too, and then copies
/// it; saying that it has some leaves the copy out.
fn decode_lossless(data: &[u8], rgba: &mut [u8]) -> Result<()> {
    let mut file = file(*b"VP8L", data)?;
    file[ALPHA_BYTE] |= ALPHA_BIT;
    read(&file, rgba)
}

/// Moves the colours together.
fn drop_alpha(rgba: &mut Vec<u8>) {
    let pixels = rgba.len() / 4;
    for pixel in 0..pixels {
        rgba.copy_within(pixel * 4..pixel * 4 + 3, pixel * 3);
    }
    rgba.truncate(pixels * 3);
}

/// Alpha is dropped, but a file whose alpha is damaged is a damaged file.
fn check_alpha(alpha: &[u8], frame: &Frame<'_>) -> Result<()> {
    let (info, data) = alpha.split_first().ok_or_else(|| truncated("no alpha"))?;
    let pixels = frame.width * frame.height;
    match (info & 3, info >> 4 & 3, info >> 6) {
        (0, 0 | 1, 0 | 1) if data.len() >= pixels => Ok(()),
        (0, 0 | 1, 0 | 1) => Err(truncated("too few alpha data for its size")),
        (1, 0 | 1, 0 | 1) => {
            // The same stream as that of a lossless picture, without the sides.
            let sides = (frame.width - 1) | (frame.height - 1) << 14;
            let [b0, b1, b2, b3, ..] = sides.to_le_bytes();
            let mut whole = reserve(5 + data.len())?;
            whole.extend_from_slice(&[0x2F, b0, b1, b2, b3]);
            whole.extend_from_slice(data);
            decode_lossless(&whole, &mut zeroed(pixels * 4)?)
        }
        _ => Err(malformed(format!("alpha of kind {info:#04x}"))),
    }
}

/// A file with one chunk.
fn file(kind: [u8; 4], data: &[u8]) -> Result<Vec<u8>> {
    let length = data.len() as u32;
    let mut file = reserve(20 + data.len())?;
    file.extend_from_slice(b"RIFF");
    file.extend_from_slice(&(length + 12).to_le_bytes());
    file.extend_from_slice(b"WEBP");
    file.extend_from_slice(&kind);
    file.extend_from_slice(&length.to_le_bytes());
    file.extend_from_slice(data);
    Ok(file)
}

fn read(file: &[u8], out: &mut [u8]) -> Result<()> {
    let mut decoder = WebPDecoder::new(Cursor::new(file)).map_err(|error| in_frame(&error))?;
    decoder.read_image(out).map_err(|error| in_frame(&error))
}

fn in_frame(error: &DecodingError) -> Error {
    match error {
        DecodingError::IoError(_) | DecodingError::BitStreamError => {
            truncated("the pixel data end early")
        }
        other => malformed(other.to_string()),
    }
}

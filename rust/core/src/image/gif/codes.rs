//! The compressed indices of a frame.

use weezl::{BitOrder, LzwStatus, decode::Decoder};

use super::header::Frame;
use super::{malformed, truncated};
use crate::Result;
use crate::image::Truncated;
use crate::image::limits::reserve;

/// Codes that are unpacked at a time, in bytes.
const PIECE: usize = 1 << 15;
/// Indices that are unpacked at a time.
const STEP: usize = 1 << 16;
/// Indices that one code can stand for, at most.
const LONGEST: usize = 4096;

/// The indices of the frame in file order, fewer than it has pixels only if the file ends early and
/// that is wanted. What follows the last pixel is not read.
///
/// # Errors
/// `Truncated` if they end early, `Malformed` for a code that is none.
pub(super) fn indices(frame: &Frame<'_>, truncation: Truncated) -> Result<Vec<u8>> {
    let total = frame.width * frame.height;
    if truncation == Truncated::Error && frame.data.len().saturating_mul(8 * LONGEST) < total {
        return Err(truncated("too few pixel data for its size"));
    }
    let mut indices = reserve(total)?;
    let mut decoder = Decoder::new(BitOrder::Lsb, frame.code_size);
    let mut data = frame.data;
    let mut codes = Vec::with_capacity(PIECE + 255);
    while indices.len() < total {
        let end = gather(&mut data, &mut codes);
        let done = unpack(&mut decoder, &codes, &mut indices, total)?;
        match end {
            _ if indices.len() == total => {}
            None if !done => {}
            Some(End::File) if truncation == Truncated::Fill && !done => break,
            _ => return Err(truncated("the pixel data end early")),
        }
    }
    Ok(indices)
}

/// How blocks end.
enum End {
    /// with the file, inside a block or before one
    File,
    /// with an empty block
    Frame,
}

/// Takes the next blocks, about `PIECE` bytes of them, without their lengths; a block that the file
/// cuts is left out, as Pillow does.
fn gather(data: &mut &[u8], codes: &mut Vec<u8>) -> Option<End> {
    codes.clear();
    while codes.len() < PIECE {
        let Some((length, rest)) = data.split_first() else { return Some(End::File) };
        let Some((block, rest)) = rest.split_at_checked((*length).into()) else {
            return Some(End::File);
        };
        if block.is_empty() {
            return Some(End::Frame);
        }
        codes.extend_from_slice(block);
        *data = rest;
    }
    None
}

/// Appends what `codes` stand for, up to `total`; true at the code that ends the picture.
fn unpack(
    decoder: &mut Decoder,
    mut codes: &[u8],
    indices: &mut Vec<u8>,
    total: usize,
) -> Result<bool> {
    loop {
        let start = indices.len();
        indices.resize(total.min(start + STEP), 0);
        let result = decoder.decode_bytes(codes, &mut indices[start..]);
        indices.truncate(start + result.consumed_out);
        codes = &codes[result.consumed_in..];
        match result.status {
            Ok(LzwStatus::Done) => return Ok(true),
            Err(error) => return Err(malformed(error.to_string())),
            Ok(_) if indices.len() == total => return Ok(false),
            Ok(LzwStatus::NoProgress) => return Ok(false),
            Ok(LzwStatus::Ok) if result.consumed_in + result.consumed_out == 0 => return Ok(false),
            Ok(LzwStatus::Ok) => {}
        }
    }
}

//! Walking through the chunks of a file.

use super::header::Header;
use super::{malformed, truncated};
use crate::Result;
use crate::image::Limits;
use crate::image::limits::reserve;

const SIGNATURE: usize = 8;
/// An empty end chunk with its checksum.
const IEND: &[u8] = b"\0\0\0\0IEND\xae\x42\x60\x82";

/// What of a file makes the picture.
pub(super) struct Picture<'a> {
    pub(super) header: Header,
    /// bytes of the palette, if there is one
    pub(super) palette: Option<&'a [u8]>,
    /// a PNG of nothing but signature, header, palette, pixel data and end
    pub(super) stream: Vec<u8>,
}

struct Chunk<'a> {
    kind: [u8; 4],
    payload: &'a [u8],
    /// length, kind, payload and checksum
    whole: &'a [u8],
}

/// Takes the picture from the first run of pixel data and follows the chunks to the end of the file:
/// one that was cut or damaged behind its pixels is still a damaged file.
///
/// # Errors
/// `Truncated` if the file ends before its end chunk, `Malformed` for a wrong checksum or order.
pub(super) fn read<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Picture<'a>> {
    let mut rest = &bytes[SIGNATURE..];
    let first = next(&mut rest)?;
    if first.kind != *b"IHDR" {
        return Err(malformed(format!("the first chunk is `{}`", first.kind.escape_ascii())));
    }
    let header = Header::read(first.payload, limits)?;
    let mut stream = reserve(bytes.len() + IEND.len())?;
    stream.extend_from_slice(&bytes[..SIGNATURE]);
    stream.extend_from_slice(first.whole);
    let palette = before_pixels(&mut rest, &header, &mut stream)?;
    while rest.get(4..8) == Some(b"IDAT") {
        stream.extend_from_slice(next(&mut rest)?.whole);
    }
    while next(&mut rest)?.kind != *b"IEND" {}
    stream.extend_from_slice(IEND);
    Ok(Picture { header, palette, stream })
}

/// Passes over the chunks up to the pixel data; the palette comes back and goes into `stream`.
fn before_pixels<'a>(
    rest: &mut &'a [u8],
    header: &Header,
    stream: &mut Vec<u8>,
) -> Result<Option<&'a [u8]>> {
    let mut palette = None;
    while rest.get(4..8) != Some(b"IDAT") {
        let chunk = next(rest)?;
        match &chunk.kind {
            b"PLTE" if palette.is_some() => return Err(malformed("two palettes")),
            b"PLTE" => {
                palette = Some(chunk.payload);
                stream.extend_from_slice(chunk.whole);
            }
            b"fcTL" => check_first_frame(chunk.payload, header)?,
            b"IEND" => return Err(truncated("no pixel data")),
            [b'A'..=b'Z', ..] => {
                return Err(malformed(format!("critical chunk `{}`", chunk.kind.escape_ascii())));
            }
            _ => {}
        }
    }
    Ok(palette)
}

/// The first frame of an APNG fills the whole picture.
fn check_first_frame(payload: &[u8], header: &Header) -> Result<()> {
    let number = |at: usize| payload.get(at..at + 4).and_then(|four| four.first_chunk().copied());
    let numbers = [0, 4, 8, 12, 16].map(|at| number(at).map(u32::from_be_bytes));
    let whole = [0, header.width as u32, header.height as u32, 0, 0].map(Some);
    if payload.len() != 26 || numbers != whole {
        return Err(malformed("the first animation frame does not fill the picture"));
    }
    Ok(())
}

/// Takes the next chunk and checks it.
fn next<'a>(rest: &mut &'a [u8]) -> Result<Chunk<'a>> {
    let file = *rest;
    let ends_early = || truncated("the file ends inside a chunk");
    let length = file.first_chunk().map(|four| u32::from_be_bytes(*four)).ok_or_else(ends_early)?;
    let kind: [u8; 4] = *file.get(4..).and_then(|f| f.first_chunk()).ok_or_else(ends_early)?;
    if !kind.iter().all(u8::is_ascii_alphabetic) {
        return Err(malformed(format!("chunk name `{}`", kind.escape_ascii())));
    }
    let end = length as usize + 8;
    let checksum =
        file.get(end..end + 4).and_then(|four| four.first_chunk()).ok_or_else(ends_early)?;
    if crc32fast::hash(&file[4..end]) != u32::from_be_bytes(*checksum) {
        return Err(malformed(format!("wrong checksum of chunk `{}`", kind.escape_ascii())));
    }
    *rest = &file[end + 4..];
    Ok(Chunk { kind, payload: &file[8..end], whole: &file[..end + 4] })
}

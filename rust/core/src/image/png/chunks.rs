//! Walking through the chunks of a file.

use std::borrow::Cow;

use super::cut::completed;
use super::header::Header;
use super::stream::Stream;
use super::{malformed, truncated};
use crate::image::{DecodeOptions, Truncated};
use crate::{Error, ImageFault, Result};

const SIGNATURE: usize = 8;
/// Pixel data whose checksums are read beyond what the pixels can need: packed data can only grow by
/// headers of blocks.
const SLACK: usize = 1 << 20;

/// What of a file makes the picture.
pub(super) struct Picture<'a> {
    pub(super) header: Header,
    /// bytes of the palette, if there is one
    pub(super) palette: Option<&'a [u8]>,
    /// a PNG of nothing but signature, header, palette, pixel data and end
    pub(super) stream: Stream<'a>,
}

/// One chunk.
pub(super) struct Chunk<'a> {
    pub(super) kind: [u8; 4],
    pub(super) payload: &'a [u8],
    /// length, kind, payload and checksum
    whole: &'a [u8],
}

/// Takes the picture from the first run of pixel data and follows the chunks to the end of the file:
/// one that was cut or damaged behind its pixels is still a damaged file.
///
/// # Errors
/// `Truncated` if the file ends before its end chunk, unless that is filled and pixel data were
/// found; `Malformed` for a wrong checksum or order.
pub(super) fn read<'a>(bytes: &'a [u8], options: &DecodeOptions) -> Result<Picture<'a>> {
    let mut rest = &bytes[SIGNATURE..];
    let first = header_chunk(&mut rest)?;
    let header = Header::read(first.payload, &options.limits)?;
    let mut head = bytes[..SIGNATURE].to_vec();
    head.extend_from_slice(first.whole);
    let palette = before_pixels(&mut rest, &header, &mut head)?;
    let checked = check_to_end(rest, header.packed_bytes() + SLACK);
    let cut = options.truncated == Truncated::Fill
        && matches!(checked, Err(Error::Image(ImageFault::Truncated { .. })));
    if !cut {
        checked?;
    }
    let run = pixel_run(rest);
    let pixels = if cut { Cow::Owned(completed(&header, run)?) } else { Cow::Borrowed(run) };
    Ok(Picture { header, palette, stream: Stream::new(head, pixels) })
}

/// Takes the first chunk.
pub(super) fn header_chunk<'a>(rest: &mut &'a [u8]) -> Result<Chunk<'a>> {
    let first = next(rest)?;
    if first.kind != *b"IHDR" {
        return Err(malformed(format!("the first chunk is `{}`", first.kind.escape_ascii())));
    }
    Ok(first)
}

/// The chunks of pixel data that `file` starts with, without a look into them.
fn pixel_run(file: &[u8]) -> &[u8] {
    let mut rest = file;
    while let Some((length, chunk)) = rest.split_first_chunk()
        && chunk.starts_with(b"IDAT")
    {
        let length = u32::from_be_bytes(*length) as usize;
        rest = chunk.get(length + 8..).unwrap_or_default();
    }
    &file[..file.len() - rest.len()]
}

/// Checks all chunks up to the end chunk, but reads no more than `most` bytes of pixel data.
fn check_to_end(mut rest: &[u8], most: usize) -> Result<()> {
    let pixels = rest.len();
    while rest.get(4..8) == Some(b"IDAT") {
        if pixels - rest.len() < most {
            next(&mut rest)?;
        } else {
            split(&mut rest)?;
        }
    }
    loop {
        match &next(&mut rest)?.kind {
            b"IEND" => return Ok(()),
            b"IHDR" => return Err(malformed("two headers")),
            _ => {}
        }
    }
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
    let chunk = split(rest)?;
    let Chunk { kind, whole, .. } = chunk;
    let (named, checksum) = whole.split_last_chunk().unwrap_or((&[], &[0; 4]));
    if !kind.iter().all(u8::is_ascii_alphabetic) {
        return Err(malformed(format!("chunk name `{}`", kind.escape_ascii())));
    }
    if crc32fast::hash(&named[4..]) != u32::from_be_bytes(*checksum) {
        return Err(malformed(format!("wrong checksum of chunk `{}`", kind.escape_ascii())));
    }
    Ok(chunk)
}

/// Takes the next chunk unread.
pub(super) fn split<'a>(rest: &mut &'a [u8]) -> Result<Chunk<'a>> {
    let file = *rest;
    let chunk = || {
        let length = u32::from_be_bytes(*file.first_chunk()?) as usize;
        let kind = *file.get(4..)?.first_chunk()?;
        let (whole, after) = file.split_at_checked(length + 12)?;
        Some((Chunk { kind, payload: &whole[8..length + 8], whole }, after))
    };
    let (chunk, after) = chunk().ok_or_else(|| truncated("the file ends inside a chunk"))?;
    *rest = after;
    Ok(chunk)
}

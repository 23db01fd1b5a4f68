//! The first picture of a file, by the rules of libwebp's demuxer.

use super::chunks::{Chunk, Chunks};
use super::{malformed, truncated};
use crate::Result;

const ANIMATION: u8 = 0x02;
const XMP: u8 = 0x04;
const EXIF: u8 = 0x08;
const ALPHA: u8 = 0x10;
const ICC: u8 = 0x20;

/// Pixels that libwebp allows a frame to claim, plus one.
const LARGEST_AREA: usize = 1 << 32;

/// What a file holds of interest.
#[derive(Debug)]
pub(super) struct Picture<'a> {
    pub(super) canvas: (usize, usize),
    /// the only frame, or the first one
    pub(super) frame: Frame<'a>,
    pub(super) exif: Option<&'a [u8]>,
    pub(super) xmp: Option<&'a [u8]>,
}

/// A compressed frame and its place on the canvas.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    pub(super) left: usize,
    pub(super) top: usize,
    pub(super) width: usize,
    pub(super) height: usize,
    /// VP8L, else VP8
    pub(super) lossless: bool,
    pub(super) data: &'a [u8],
    /// the alpha that a VP8 frame has beside it
    pub(super) alpha: Option<&'a [u8]>,
}

/// # Errors
/// `Truncated` or `Malformed`.
pub(super) fn read(file: &[u8]) -> Result<Picture<'_>> {
    let mut chunks = Chunks::of_file(file)?;
    let first = chunks.peek()?.ok_or_else(no_picture)?;
    if first.kind == *b"VP8X" {
        chunks.next()?;
        return extended(first.payload, chunks);
    }
    if first.kind == *b"ALPH" {
        return Err(malformed("alpha without a header that announces it"));
    }
    let frame = frame(&mut chunks)?.ok_or_else(no_picture)?;
    while let Some(Chunk { kind, .. }) = chunks.next()? {
        if kind == *b"ALPH" {
            return Err(malformed("alpha behind its picture"));
        }
    }
    Ok(Picture { canvas: (frame.width, frame.height), frame, exif: None, xmp: None })
}

fn extended<'a>(header: &[u8], mut chunks: Chunks<'a>) -> Result<Picture<'a>> {
    let Some(&[flags, _, _, _, w0, w1, w2, h0, h1, h2]) = header.first_chunk() else {
        return Err(malformed(format!("a header of {} bytes", header.len())));
    };
    let canvas = (u24(w0, w1, w2) + 1, u24(h0, h1, h2) + 1);
    if flags & !(ANIMATION | XMP | EXIF | ALPHA | ICC) != 0 {
        return Err(malformed(format!("unknown flags {flags:#04x}")));
    }
    let animated = flags & ANIMATION != 0;
    let (mut first, mut exif, mut xmp, mut control) = (None, None, None, false);
    while let Some(Chunk { kind, payload }) = chunks.peek()? {
        let found = match &kind {
            b"VP8X" => return Err(malformed("two headers")),
            b"ALPH" | b"VP8 " | b"VP8L" if animated || control || first.is_some() => {
                return Err(malformed("a picture outside the frames"));
            }
            b"ALPH" | b"VP8 " | b"VP8L" => Some(still(&mut chunks, flags & ALPHA != 0, canvas)?),
            b"ANMF" if !control => return Err(malformed("a frame before the animation header")),
            b"ANMF" => Some(animation_frame(payload, canvas)?).filter(|_| animated),
            _ => None,
        };
        match &kind {
            b"ALPH" | b"VP8 " | b"VP8L" => {}
            _ => drop(chunks.next()?),
        }
        match &kind {
            b"ANIM" if payload.len() < 6 => return Err(malformed("a short animation header")),
            b"ANIM" => control = true,
            b"EXIF" if flags & EXIF != 0 => exif = exif.or(Some(payload)),
            b"XMP " if flags & XMP != 0 => xmp = xmp.or(Some(payload)),
            _ => {}
        }
        first = first.or(found);
    }
    Ok(Picture { canvas, frame: first.ok_or_else(no_picture)?, exif, xmp })
}

/// The picture of a file without frames: it fills the canvas, and its alpha counts only if announced.
fn still<'a>(chunks: &mut Chunks<'a>, alpha: bool, canvas: (usize, usize)) -> Result<Frame<'a>> {
    let frame = frame(chunks)?.ok_or_else(no_picture)?;
    if (frame.width, frame.height) != canvas {
        return Err(malformed("the picture does not fill the canvas"));
    }
    Ok(Frame { alpha: frame.alpha.filter(|_| alpha), ..frame })
}

fn animation_frame(payload: &[u8], canvas: (usize, usize)) -> Result<Frame<'_>> {
    let Some((head, chunks)) = payload.split_first_chunk::<16>() else {
        return Err(malformed(format!("a frame of {} bytes", payload.len())));
    };
    let [x0, x1, x2, y0, y1, y2, w0, w1, w2, h0, h1, h2, ..] = *head;
    // What is claimed here is not used otherwise.
    if (u24(w0, w1, w2) + 1) * (u24(h0, h1, h2) + 1) >= LARGEST_AREA {
        return Err(malformed("a frame that is too large"));
    }
    let mut chunks = Chunks::of_payload(chunks);
    let frame = frame(&mut chunks)?.ok_or_else(no_picture)?;
    while let Some(Chunk { kind, .. }) = chunks.next()? {
        if matches!(&kind, b"ALPH" | b"VP8 " | b"VP8L" | b"VP8X") {
            return Err(malformed("two pictures in a frame"));
        }
    }
    let (left, top) = (2 * u24(x0, x1, x2), 2 * u24(y0, y1, y2));
    if left + frame.width > canvas.0 || top + frame.height > canvas.1 {
        return Err(malformed("a frame reaches outside the canvas"));
    }
    Ok(Frame { left, top, ..frame })
}

/// Takes a picture, and its alpha before it; `None` if the next chunk is something else.
fn frame<'a>(chunks: &mut Chunks<'a>) -> Result<Option<Frame<'a>>> {
    let mut alpha = None;
    if let Some(Chunk { kind: [b'A', b'L', b'P', b'H'], payload }) = chunks.peek()? {
        alpha = Some(payload);
        chunks.next()?;
    }
    let Some(Chunk { kind, payload: data }) = chunks.peek()? else { return Ok(None) };
    let (lossless, (width, height)) = match &kind {
        b"VP8 " => (false, lossy_size(data)?),
        b"VP8L" if alpha.is_some() => return Err(malformed("alpha beside a lossless picture")),
        b"VP8L" => (true, lossless_size(data)?),
        _ => return Ok(None),
    };
    chunks.next()?;
    Ok(Some(Frame { left: 0, top: 0, width, height, lossless, data, alpha }))
}

fn lossy_size(data: &[u8]) -> Result<(usize, usize)> {
    let Some(&[t0, t1, t2, 0x9D, 0x01, 0x2A, w0, w1, h0, h1]) = data.first_chunk() else {
        return Err(malformed("no start code of a VP8 frame"));
    };
    let tag = u24(t0, t1, t2);
    let (version, shown, first_partition) = (tag >> 1 & 7, tag >> 4 & 1, tag >> 5);
    if tag & 1 != 0 || version > 3 || shown == 0 || first_partition >= data.len() {
        return Err(malformed("a VP8 frame that is no picture"));
    }
    let side = |low, high| usize::from(u16::from_le_bytes([low, high]) & 0x3FFF);
    match (side(w0, w1), side(h0, h1)) {
        (0, _) | (_, 0) => Err(malformed("a VP8 frame without pixels")),
        size => Ok(size),
    }
}

fn lossless_size(data: &[u8]) -> Result<(usize, usize)> {
    let Some(&[0x2F, b0, b1, b2, b3]) = data.first_chunk() else {
        return Err(malformed("no signature of a VP8L frame"));
    };
    let bits = u32::from_le_bytes([b0, b1, b2, b3]) as usize;
    if bits >> 29 != 0 {
        return Err(malformed(format!("VP8L version {}", bits >> 29)));
    }
    Ok(((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1))
}

fn no_picture() -> crate::Error {
    truncated("no picture")
}

fn u24(low: u8, middle: u8, high: u8) -> usize {
    u32::from_le_bytes([low, middle, high, 0]) as usize
}

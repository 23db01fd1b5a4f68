//! What stands before the pixels of the first frame, read as Pillow reads it.

use super::{malformed, truncated};
use crate::Result;
use crate::image::Limits;
use crate::image::limits::check_sides;

/// The first frame and its place on the canvas.
#[derive(Debug)]
pub(super) struct Frame<'a> {
    /// width and height of the picture: the screen, grown where the frame reaches outside
    pub(super) canvas: (usize, usize),
    pub(super) left: usize,
    pub(super) top: usize,
    /// at least 1
    pub(super) width: usize,
    /// at least 1
    pub(super) height: usize,
    pub(super) interlaced: bool,
    /// RGB of each index
    pub(super) table: Box<[[u8; 3]; 256]>,
    /// index of the canvas around the frame
    pub(super) background: u8,
    /// bits of the smallest code
    pub(super) code_size: u8,
    /// blocks of codes, and whatever follows them
    pub(super) data: &'a [u8],
}

/// Labels of extensions.
const CONTROL: u8 = 0xF9;
const COMMENT: u8 = 0xFE;
const APPLICATION: u8 = 0xFF;

/// A cursor over the file.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, bytes: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes).ok_or_else(ends_early)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    /// A block of an extension; empty at the last one.
    fn block(&mut self) -> Result<&'a [u8]> {
        let length = self.byte()?;
        self.take(length.into())
    }

    fn colours(&mut self, flags: u8) -> Result<Option<&'a [u8]>> {
        if flags & 0x80 == 0 {
            return Ok(None);
        }
        self.take(6 << (flags & 7)).map(Some)
    }
}

fn ends_early() -> crate::Error {
    truncated("the file ends before its first frame")
}

/// # Errors
/// `Truncated`, `Malformed`, or `Refused` for the sides.
pub(super) fn read<'a>(file: &'a [u8], limits: &Limits) -> Result<Frame<'a>> {
    let mut cursor = Cursor(file);
    let screen = cursor.take(13)?;
    if !matches!(&screen[..6], b"GIF87a" | b"GIF89a") {
        return Err(malformed(format!("version `{}`", screen[..6].escape_ascii())));
    }
    let global = cursor.colours(screen[10])?;
    let background = before_frame(&mut cursor)?;
    let place = cursor.take(9)?;
    let [left, top, width, height] = [0, 2, 4, 6].map(|at| u16_at(place, at));
    let canvas = (u16_at(screen, 6).max(left + width), u16_at(screen, 8).max(top + height));
    check_sides(canvas.0, canvas.1, limits)?;
    if width == 0 || height == 0 {
        return Err(malformed("a frame without pixels"));
    }
    let local = cursor.colours(place[8])?;
    let code_size = cursor.byte()?;
    if !(2..=11).contains(&code_size) {
        return Err(malformed(format!("codes of {code_size} bits")));
    }
    Ok(Frame {
        canvas,
        left,
        top,
        width,
        height,
        interlaced: place[8] & 0x40 != 0,
        table: table([local, global]),
        background,
        code_size,
        data: cursor.0,
    })
}

/// Passes over extensions, and bytes that are nothing, up to the first frame. The transparent index
/// comes back, which Pillow also gives to the canvas around the frame; else 0.
fn before_frame(cursor: &mut Cursor<'_>) -> Result<u8> {
    let mut transparent = 0;
    loop {
        match cursor.byte()? {
            b',' => return Ok(transparent),
            b';' => return Err(ends_early()),
            b'!' => {
                if let Some(index) = extension(cursor)? {
                    transparent = index;
                }
            }
            _ => {}
        }
    }
}

/// Passes over an extension, and takes the transparent index from it. Where a block is missing, the
/// bytes behind the extension are taken for blocks of it, as Pillow takes them.
fn extension(cursor: &mut Cursor<'_>) -> Result<Option<u8>> {
    let label = cursor.byte()?;
    let mut block = cursor.block()?;
    let mut transparent = None;
    match label {
        CONTROL if !block.is_empty() => {
            let [flags, _, _, rest @ ..] = block else { return Err(short_control()) };
            if flags & 1 == 1 {
                transparent = Some(*rest.first().ok_or_else(short_control)?);
            }
        }
        COMMENT => {
            while !block.is_empty() {
                block = cursor.block()?;
            }
            return Ok(None);
        }
        APPLICATION if block.starts_with(b"NETSCAPE2.0") => drop(cursor.block()?),
        _ => {}
    }
    while !cursor.block()?.is_empty() {}
    Ok(transparent)
}

fn short_control() -> crate::Error {
    malformed("a short control block")
}

/// RGB of each index, by the first palette that is not just gray levels in order: for Pillow these
/// are no palette, so that a frame with gray levels of its own gets the colours of the screen.
/// Indices past the end of a palette are black; without a palette they are gray levels.
fn table(palettes: [Option<&[u8]>; 2]) -> Box<[[u8; 3]; 256]> {
    let levels = std::array::from_fn(|level| [level as u8; 3]);
    let mut palettes = palettes.into_iter().flatten().map(|bytes| bytes.as_chunks().0);
    let Some(colours) = palettes.find(|colours| *colours != &levels[..colours.len()]) else {
        return Box::new(levels);
    };
    let mut table = Box::new([[0; 3]; 256]);
    table[..colours.len()].copy_from_slice(colours);
    table
}

fn u16_at(bytes: &[u8], at: usize) -> usize {
    usize::from(bytes[at]) | usize::from(bytes[at + 1]) << 8
}

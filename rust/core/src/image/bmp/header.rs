//! File header, bitmap header and palette, read by Pillow's rules.

use super::{malformed, truncated, unsupported};
use crate::Result;
use crate::image::Limits;
use crate::image::limits::check_sides;

/// Bytes of the file header; the bitmap header follows.
const FILE_HEADER: usize = 14;

/// How pixels are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    Raw,
    Rle8,
    Rle4,
    BitFields,
}

/// A checked header.
#[derive(Debug)]
pub(super) struct Header<'a> {
    pub(super) width: usize,
    pub(super) height: usize,
    /// first row first; else the last one is
    pub(super) top_down: bool,
    /// bits per pixel
    pub(super) bits: u16,
    pub(super) compression: Compression,
    /// bits of red, green, blue and alpha in a pixel, with `BitFields`
    pub(super) masks: [u32; 4],
    /// of pictures of at most 8 bits
    pub(super) palette: Palette<'a>,
    /// place of the pixels in the file
    pub(super) offset: usize,
}

/// Colours as they stand in the file, blue first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Palette<'a> {
    pub(super) bytes: &'a [u8],
    /// entries that the header speaks of
    pub(super) colours: usize,
    /// bytes per entry, 3 or 4
    pub(super) step: usize,
}

impl<'a> Header<'a> {
    /// # Errors
    /// `Truncated`, `Malformed`, `Unsupported`, or `Refused` for the sides.
    pub(super) fn read(file: &'a [u8], limits: &Limits) -> Result<Self> {
        let size = u32_at(file, FILE_HEADER)? as usize;
        let header = file
            .get(FILE_HEADER..FILE_HEADER.saturating_add(size))
            .ok_or_else(|| truncated("the file ends inside its header"))?;
        match size {
            12 => Self::core(file, header, limits),
            40 | 52 | 56 | 64 | 108 | 124 => Self::info(file, header, limits),
            _ => Err(unsupported(format!("a header of {size} bytes"))),
        }
    }

    /// The header of Windows 2 and OS/2 1.
    fn core(file: &'a [u8], header: &[u8], limits: &Limits) -> Result<Self> {
        let (width, height) = (u16_at(header, 4)?, u16_at(header, 6)?);
        check_sides(width.into(), height.into(), limits)?;
        let start = Self {
            width: width.into(),
            height: height.into(),
            top_down: false,
            bits: u16_at(header, 10)?,
            compression: Compression::Raw,
            masks: [0; 4],
            palette: Palette { bytes: &[], colours: 0, step: 3 },
            offset: 0,
        };
        start.with_palette(file, FILE_HEADER + header.len())
    }

    /// The header of Windows 3 and later, and of OS/2 2.
    fn info(file: &'a [u8], header: &[u8], limits: &Limits) -> Result<Self> {
        let height = u32_at(header, 8)?;
        let top_down = header[11] == 0xFF;
        let (width, height) = (
            u32_at(header, 4)? as usize,
            (if top_down { height.wrapping_neg() } else { height }) as usize,
        );
        check_sides(width, height, limits)?;
        let compression = match u32_at(header, 16)? {
            0 => Compression::Raw,
            1 => Compression::Rle8,
            2 => Compression::Rle4,
            3 => Compression::BitFields,
            other => return Err(unsupported(format!("compression {other}"))),
        };
        let mut end = FILE_HEADER + header.len();
        let mut masks = [0; 4];
        if compression == Compression::BitFields {
            // The oldest header has no room for masks, and none knows alpha before 56 bytes.
            let (place, count) = match header.len() {
                40 => (end, 3),
                52 => (FILE_HEADER + 40, 3),
                _ => (FILE_HEADER + 40, 4),
            };
            for (index, mask) in masks[..count].iter_mut().enumerate() {
                *mask = u32_at(file, place + 4 * index)?;
            }
            end = end.max(place + 12);
        }
        let colours = u32_at(header, 32)? as usize;
        let palette = Palette { bytes: &[], colours, step: 4 };
        let bits = u16_at(header, 14)?;
        Self { width, height, top_down, bits, compression, masks, palette, offset: 0 }
            .with_palette(file, end)
    }

    /// Adds the palette, which starts at `end` of the headers, and the place of the pixels.
    fn with_palette(mut self, file: &'a [u8], end: usize) -> Result<Self> {
        if !matches!(self.bits, 1 | 4 | 8 | 16 | 24 | 32) {
            return Err(unsupported(format!("{} bits per pixel", self.bits)));
        }
        self.offset = u32_at(file, 10)? as usize;
        let mut next = end;
        if self.bits <= 8 {
            let Palette { colours, step, .. } = &mut self.palette;
            if *colours == 0 {
                *colours = 1 << self.bits;
            }
            if !(1..=65_536).contains(colours) {
                return Err(malformed(format!("a palette of {colours} colours")));
            }
            let length = *colours * *step;
            // Files that point to their palette in place of their pixels.
            if self.offset == end {
                self.offset += length;
            }
            next = end.saturating_add(length).min(file.len());
            self.palette.bytes = file.get(end..next).unwrap_or_default();
        }
        if self.offset == 0 {
            self.offset = next;
        }
        Ok(self)
    }

    /// Bytes from one row to the next where rows are not compressed.
    pub(super) fn stride(&self) -> usize {
        (self.width * usize::from(self.bits)).div_ceil(32) * 4
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16> {
    let two = bytes.get(at..).and_then(<[u8]>::first_chunk);
    two.map(|two| u16::from_le_bytes(*two))
        .ok_or_else(|| truncated("the file ends inside its header"))
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32> {
    let four = bytes.get(at..).and_then(<[u8]>::first_chunk);
    four.map(|four| u32::from_le_bytes(*four))
        .ok_or_else(|| truncated("the file ends inside its header"))
}

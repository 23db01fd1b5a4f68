//! The IHDR chunk.

use super::malformed;
use crate::Result;
use crate::image::Limits;
use crate::image::limits::check_sides;

/// How samples make colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colour {
    Gray,
    Rgb,
    Palette,
    GrayAlpha,
    RgbAlpha,
}

impl Colour {
    /// Samples per pixel.
    pub(super) fn channels(self) -> usize {
        match self {
            Self::Gray | Self::Palette => 1,
            Self::GrayAlpha => 2,
            Self::Rgb => 3,
            Self::RgbAlpha => 4,
        }
    }
}

/// A checked header.
#[derive(Clone, Debug)]
pub(super) struct Header {
    pub(super) width: usize,
    pub(super) height: usize,
    /// bits per sample
    pub(super) depth: u8,
    pub(super) colour: Colour,
    pub(super) interlaced: bool,
}

impl Header {
    /// # Errors
    /// `Malformed` for values outside the standard, `Refused` for the sides.
    pub(super) fn read(payload: &[u8], limits: &Limits) -> Result<Self> {
        let Ok([w3, w2, w1, w0, h3, h2, h1, h0, depth, colour, compression, filter, interlace]) =
            <[u8; 13]>::try_from(payload)
        else {
            return Err(malformed(format!("a header of {} bytes", payload.len())));
        };
        let width = u32::from_be_bytes([w3, w2, w1, w0]) as usize;
        let height = u32::from_be_bytes([h3, h2, h1, h0]) as usize;
        check_sides(width, height, limits)?;
        if compression != 0 || filter != 0 || interlace > 1 {
            return Err(malformed("unknown compression, filter or interlace method"));
        }
        let colour = match (colour, depth) {
            (0, 1 | 2 | 4 | 8 | 16) => Colour::Gray,
            (2, 8 | 16) => Colour::Rgb,
            (3, 1 | 2 | 4 | 8) => Colour::Palette,
            (4, 8 | 16) => Colour::GrayAlpha,
            (6, 8 | 16) => Colour::RgbAlpha,
            _ => return Err(malformed(format!("colour type {colour} with {depth} bits"))),
        };
        Ok(Self { width, height, depth, colour, interlaced: interlace == 1 })
    }

    /// Bytes of the samples before they were packed, without the filter bytes of the rows.
    pub(super) fn packed_bytes(&self) -> usize {
        let bits = self.colour.channels() * usize::from(self.depth);
        (self.width * bits).div_ceil(8) * self.height
    }
}

//! Stored pixels to RGB.

use super::header::{Compression, Header, Palette};
use super::{malformed, unsupported};
use crate::Result;

/// What a stored pixel means.
pub(super) enum Colours {
    /// samples of `depth` bits, the first in the high bits, and the RGB of each value
    Table { depth: usize, table: Box<[[u8; 3]; 256]> },
    /// two bytes: blue in the low five bits, then green, then five bits of red
    Packed { green_bits: u32 },
    /// `step` bytes, and the places of red, green and blue among them
    Bytes { step: usize, rgb: [usize; 3] },
}

/// Masks of red, green, blue and alpha in a pixel of 32 bits, and the bytes of red, green and blue.
/// Pillow reads these and refuses others.
const LAYOUTS_32: [([u32; 4], [usize; 3]); 8] = [
    ([0xFF_0000, 0xFF00, 0xFF, 0], [2, 1, 0]),
    ([0xFF00_0000, 0xFF_0000, 0xFF00, 0], [3, 2, 1]),
    ([0xFF00_0000, 0xFF00, 0xFF, 0], [3, 1, 0]),
    ([0xFF00_0000, 0xFF_0000, 0xFF00, 0xFF], [3, 2, 1]),
    ([0xFF, 0xFF00, 0xFF_0000, 0xFF00_0000], [0, 1, 2]),
    ([0xFF_0000, 0xFF00, 0xFF, 0xFF00_0000], [2, 1, 0]),
    ([0xFF00_0000, 0xFF00, 0xFF, 0xFF_0000], [3, 1, 0]),
    ([0; 4], [2, 1, 0]),
];

impl Colours {
    /// # Errors
    /// `Unsupported` or `Malformed` for what Pillow refuses.
    pub(super) fn of(header: &Header<'_>) -> Result<Self> {
        match (header.compression, header.bits) {
            (Compression::BitFields, bits) => Self::bit_fields(bits, header.masks),
            (_, 1 | 4 | 8) => Self::indexed(header),
            (Compression::Rle8 | Compression::Rle4, bits) => {
                Err(malformed(format!("run lengths of {bits} bits")))
            }
            (Compression::Raw, 16) => Ok(Self::Packed { green_bits: 5 }),
            (Compression::Raw, 24) => Ok(Self::Bytes { step: 3, rgb: [2, 1, 0] }),
            (Compression::Raw, _) => Ok(Self::Bytes { step: 4, rgb: [2, 1, 0] }),
        }
    }

    fn bit_fields(bits: u16, masks: [u32; 4]) -> Result<Self> {
        let [red, green, blue, _] = masks;
        match (bits, [red, green, blue]) {
            (16, [0xF800, 0x7E0, 0x1F]) => return Ok(Self::Packed { green_bits: 6 }),
            (16, [0x7C00, 0x3E0, 0x1F]) => return Ok(Self::Packed { green_bits: 5 }),
            (24, [0xFF_0000, 0xFF00, 0xFF]) => return Ok(Self::Bytes { step: 3, rgb: [2, 1, 0] }),
            _ => {}
        }
        match LAYOUTS_32.iter().find(|(known, _)| bits == 32 && *known == masks) {
            Some((_, rgb)) => Ok(Self::Bytes { step: 4, rgb: *rgb }),
            None => {
                Err(unsupported(format!("{bits} bits with the masks {red:x}, {green:x}, {blue:x}")))
            }
        }
    }

    /// Pillow takes a palette that is nothing but gray levels in order for no palette at all, and
    /// then reads one bit per pixel where it has at most two colours, else one byte.
    fn indexed(header: &Header<'_>) -> Result<Self> {
        let two = header.palette.colours <= 2;
        let run_lengths = header.compression != Compression::Raw;
        if !is_gray(&header.palette) {
            let depth = if run_lengths { 8 } else { usize::from(header.bits) };
            return Ok(Self::Table { depth, table: table(&header.palette)? });
        }
        let mut gray: Box<[[u8; 3]; 256]> = Box::new(std::array::from_fn(|level| [level as u8; 3]));
        if two {
            gray[1..].fill([255; 3]);
        }
        let depth = if two && !run_lengths { 1 } else { 8 };
        if (header.width * depth).div_ceil(8) > header.stride() && !run_lengths {
            return Err(unsupported(format!("{} bits with a gray palette", header.bits)));
        }
        Ok(Self::Table { depth, table: gray })
    }

    /// Bytes that the pixels of a row take.
    pub(super) fn row_bytes(&self, width: usize) -> usize {
        match self {
            Self::Table { depth, .. } => (width * depth).div_ceil(8),
            Self::Packed { .. } => width * 2,
            Self::Bytes { step, .. } => width * step,
        }
    }

    /// RGB of a row.
    pub(super) fn row_into(&self, packed: &[u8], out: &mut [u8]) {
        let (pixels, _) = out.as_chunks_mut::<3>();
        match self {
            Self::Table { depth: 8, table } => {
                for (pixel, index) in pixels.iter_mut().zip(packed) {
                    *pixel = table[usize::from(*index)];
                }
            }
            Self::Table { depth, table } => {
                for (x, pixel) in pixels.iter_mut().enumerate() {
                    let bit = x * depth;
                    let index = packed[bit / 8] << (bit % 8) >> (8 - depth);
                    *pixel = table[usize::from(index)];
                }
            }
            Self::Packed { green_bits } => {
                for (pixel, two) in pixels.iter_mut().zip(packed.as_chunks().0) {
                    *pixel = unpack(u16::from_le_bytes(*two), *green_bits);
                }
            }
            Self::Bytes { step: 3, .. } => {
                for (pixel, bgr) in pixels.iter_mut().zip(packed.as_chunks::<3>().0) {
                    *pixel = [bgr[2], bgr[1], bgr[0]];
                }
            }
            Self::Bytes { rgb, .. } => {
                for (pixel, four) in pixels.iter_mut().zip(packed.as_chunks::<4>().0) {
                    *pixel = rgb.map(|place| four[place]);
                }
            }
        }
    }
}

/// Five or six bits to eight, rounding down as Pillow does.
fn unpack(pixel: u16, green_bits: u32) -> [u8; 3] {
    let scale = |shift: u32, bits: u32| {
        let top = (1_u32 << bits) - 1;
        ((u32::from(pixel) >> shift & top) * 255 / top) as u8
    };
    [scale(5 + green_bits, 5), scale(5, green_bits), scale(0, 5)]
}

/// Whether each colour is the gray of its number; of two colours, black and white.
fn is_gray(palette: &Palette<'_>) -> bool {
    let white = |index| if palette.colours == 2 && index == 1 { 255 } else { index as u8 };
    (0..palette.colours).all(|index| {
        palette.bytes.get(index * palette.step..).and_then(<[u8]>::first_chunk)
            == Some(&[white(index); 3])
    })
}

/// RGB of the entries; values without an entry are black.
fn table(palette: &Palette<'_>) -> Result<Box<[[u8; 3]; 256]>> {
    let mut table = Box::new([[0; 3]; 256]);
    if palette.bytes.len() / palette.step > table.len() {
        return Err(malformed(format!("a palette of {} colours", palette.colours)));
    }
    for (rgb, entry) in table.iter_mut().zip(palette.bytes.chunks_exact(palette.step)) {
        *rgb = [entry[2], entry[1], entry[0]];
    }
    Ok(table)
}

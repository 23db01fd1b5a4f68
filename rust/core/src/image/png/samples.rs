//! Packed samples of a row to RGB.

use super::header::{Colour, Header};
use super::malformed;
use crate::Result;
use crate::image::Png16;

/// Converts the rows of one picture.
pub(super) struct Converter {
    depth: u8,
    colour: Colour,
    /// what becomes of 16-bit gray
    wide: Png16,
    /// RGB of each sample value below 256, for gray and palette pictures
    table: Vec<[u8; 3]>,
}

impl Converter {
    /// # Errors
    /// `Malformed` if a palette picture has no usable palette.
    pub(super) fn new(header: &Header, palette: Option<&[u8]>, wide: Png16) -> Result<Self> {
        let table = match (header.colour, palette) {
            (Colour::Palette, Some(bytes)) => palette_table(bytes)?,
            (Colour::Palette, None) => return Err(malformed("no palette")),
            _ => gray_table(header.depth),
        };
        Ok(Self { depth: header.depth, colour: header.colour, wide, table })
    }

    /// RGB of a row of `width` pixels.
    pub(super) fn row(&self, packed: &[u8], width: usize) -> Result<Vec<u8>> {
        let mut out = vec![0; width * 3];
        self.row_into(packed, &mut out)?;
        Ok(out)
    }

    /// Fills `out`, three bytes per pixel, from a row as it is stored.
    ///
    /// # Errors
    /// `Malformed` for a sample without a palette entry.
    pub(super) fn row_into(&self, packed: &[u8], out: &mut [u8]) -> Result<()> {
        let channels = self.colour.channels();
        let pixels = out.chunks_exact_mut(3);
        match (self.colour, self.depth) {
            (Colour::Gray, 16) if self.wide == Png16::Clip => {
                for (pixel, wide) in pixels.zip(packed.chunks_exact(2)) {
                    // Pillow cuts where a viewer would scale.
                    pixel.fill(if wide[0] > 0 { 255 } else { wide[1] });
                }
            }
            (Colour::GrayAlpha, depth) | (Colour::Gray, depth @ 16) => {
                let step = channels * usize::from(depth / 8);
                for (pixel, samples) in pixels.zip(packed.chunks_exact(step)) {
                    pixel.fill(samples[0]);
                }
            }
            (Colour::Rgb | Colour::RgbAlpha, 16) => {
                for (pixel, samples) in pixels.zip(packed.chunks_exact(2 * channels)) {
                    pixel.copy_from_slice(&[samples[0], samples[2], samples[4]]);
                }
            }
            (Colour::Rgb | Colour::RgbAlpha, _) => {
                for (pixel, samples) in pixels.zip(packed.chunks_exact(channels)) {
                    pixel.copy_from_slice(&samples[..3]);
                }
            }
            (Colour::Gray | Colour::Palette, _) => self.look_up(packed, out)?,
        }
        Ok(())
    }

    /// Samples of at most 8 bits, several to a byte, first sample in the high bits.
    fn look_up(&self, packed: &[u8], out: &mut [u8]) -> Result<()> {
        let depth = usize::from(self.depth);
        let mask = 0xFF_u8 >> (8 - depth);
        for (x, pixel) in out.chunks_exact_mut(3).enumerate() {
            let bit = x * depth;
            let sample = packed[bit / 8] >> (8 - depth - bit % 8) & mask;
            let Some(colour) = self.table.get(usize::from(sample)) else {
                return Err(malformed(format!("colour {sample} is not in the palette")));
            };
            pixel.copy_from_slice(colour);
        }
        Ok(())
    }
}

fn palette_table(bytes: &[u8]) -> Result<Vec<[u8; 3]>> {
    let (colours, rest) = bytes.as_chunks::<3>();
    if !rest.is_empty() || !(1..=256).contains(&colours.len()) {
        return Err(malformed(format!("a palette of {} bytes", bytes.len())));
    }
    Ok(colours.to_vec())
}

fn gray_table(depth: u8) -> Vec<[u8; 3]> {
    let levels = 1_usize << depth.min(8);
    (0..levels).map(|level| [(level * 255 / (levels - 1)) as u8; 3]).collect()
}

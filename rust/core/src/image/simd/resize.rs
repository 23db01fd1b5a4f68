//! The two passes of the resize over quads: four rows of an image in one word per channel and column.
//!
//! The functions here are the scalar twins; see `groups.rs` for how the others split the weights.
#![allow(unsafe_code, reason = "calls of functions for instructions that the path has")]

use super::Path;
use crate::image::blocks::Blocks;
use crate::image::groups::{GROUP, Group};
use crate::image::taps::{HALF, to_pixel};

/// Columns of a plane of a quad are a multiple of this.
pub(in crate::image) const STEP: usize = 16;

/// Input of the horizontal pass over four rows.
pub(in crate::image) struct Across<'a> {
    /// the rows, each as three planes of `plane_len` bytes
    pub(in crate::image) rows: &'a [u8],
    pub(in crate::image) plane_len: usize,
    pub(in crate::image) blocks: &'a Blocks,
    /// columns of a plane of the quad
    pub(in crate::image) columns: usize,
}

impl Across<'_> {
    /// Whether all that the pass reads and writes is there.
    fn fits(&self, out: &[u8]) -> bool {
        self.blocks.fit(self.plane_len)
            && self.rows.len() == 12 * self.plane_len
            && self.columns >= self.blocks.columns()
            && out.len() == 12 * self.columns
    }

    /// A plane of each row, in steps of a group.
    pub(super) fn planes(&self, channel: usize) -> [*const [u8; GROUP]; 4] {
        let plane = |row: usize| &self.rows[(3 * row + channel) * self.plane_len..];
        [plane(0), plane(1), plane(2), plane(3)].map(|plane| plane.as_ptr().cast())
    }
}

/// The horizontal pass: a quad of three planes from four rows.
pub(in crate::image) fn across(
    path: Path,
    work: &Across<'_>,
    scratch: &mut Vec<f64>,
    out: &mut [u8],
) {
    assert!(work.fits(out), "buffers of the horizontal pass");
    match path {
        // SAFETY: an available path has all instructions named at the function, and the buffers fit.
        #[cfg(target_arch = "x86_64")]
        Path::Avx512 => unsafe { super::resize_avx512::across(work, out) },
        #[cfg(target_arch = "x86_64")]
        Path::Avx2 => unsafe { super::resize_avx2::across(work, out) },
        _ => across_scalar(work, scratch, out),
    }
}

/// In doubles, which hold the sums exactly: the oldest processors of the kind multiply vectors of
/// those, but not of 32-bit integers.
fn across_scalar(work: &Across<'_>, scratch: &mut Vec<f64>, out: &mut [u8]) {
    scratch.resize(work.rows.len(), 0.0);
    let pixels = scratch.as_chunks_mut::<12>().0;
    for (index, plane) in work.rows.chunks_exact(work.plane_len).enumerate() {
        let (row, channel) = (index / 3, index % 3);
        for (pixel, value) in pixels.iter_mut().zip(plane) {
            pixel[4 * channel + row] = f64::from(*value);
        }
    }
    let (red, rest) = out.as_chunks_mut::<4>().0.split_at_mut(work.columns);
    let (green, blue) = rest.split_at_mut(work.columns);
    let quads = red.iter_mut().zip(green).zip(blue);
    for (block, ((red, green), blue)) in work.blocks.iter().zip(quads) {
        let first = block.parts.first().map_or(0, |part| part.places[0]);
        let mut sums = [WHOLE; 12];
        add(&mut sums, &pixels[first..], block.weights);
        let [r, g, b] = [0, 1, 2].map(|channel| block.start[channel]);
        let sums = sums.map(|sum| sum.to_bits() as i32);
        let starts = [r, r, r, r, g, g, g, g, b, b, b, b];
        let mut bytes = [0; 12];
        for (byte, (sum, start)) in bytes.iter_mut().zip(sums.iter().zip(starts)) {
            *byte = to_pixel(sum.wrapping_add(start));
        }
        let quads = bytes.as_chunks::<4>().0;
        (*red, *green, *blue) = (quads[0], quads[1], quads[2]);
    }
}

/// What is added to this has its whole part in the lowest bits, negative or not.
const WHOLE: f64 = (3_u64 << 51) as f64;

/// Not inlined: the compiler would take the sums apart in the loop, because they are so behind it.
#[inline(never)]
fn add(sums: &mut [f64; 12], pixels: &[[f64; 12]], weights: &[i32]) {
    let mut all = *sums;
    for (pixel, weight) in pixels.iter().zip(weights) {
        let weight = f64::from(*weight);
        for (sum, value) in all.iter_mut().zip(pixel) {
            *sum += value * weight;
        }
    }
    *sums = all;
}

/// Input of the vertical pass for one output row.
pub(in crate::image) struct Down<'a> {
    /// memory of the quads
    pub(in crate::image) quads: &'a [u8],
    /// where the quad of each group starts, and the group
    pub(in crate::image) layers: &'a [(usize, Group)],
    /// columns of a plane of a quad
    pub(in crate::image) columns: usize,
}

impl Down<'_> {
    /// Whether all that the pass reads and writes is there.
    fn fits(&self, out: &[u8]) -> bool {
        let quad_len = 12 * self.columns;
        self.columns.is_multiple_of(STEP)
            && quad_len <= self.quads.len()
            && self.layers.iter().all(|(place, _)| *place <= self.quads.len() - quad_len)
            && out.len() == 3 * self.columns
    }

    /// Bytes of a plane of a quad.
    pub(super) fn plane_len(&self) -> usize {
        GROUP * self.columns
    }

    /// The planes of the row in steps.
    pub(super) fn planes<'a>(&self, out: &'a mut [u8]) -> Planes<'a> {
        let steps = self.columns / STEP;
        let (red, rest) = out.as_chunks_mut().0.split_at_mut(steps);
        let (green, blue) = rest.split_at_mut(steps);
        (red, green, blue)
    }
}

/// Red, green and blue of a row, in steps.
type Planes<'a> = (&'a mut [[u8; STEP]], &'a mut [[u8; STEP]], &'a mut [[u8; STEP]]);

/// The vertical pass: one row of three planes.
pub(in crate::image) fn down(path: Path, work: &Down<'_>, out: &mut [u8]) {
    assert!(work.fits(out), "buffers of the vertical pass");
    match path {
        // SAFETY: an available path has all instructions named at the function, and the buffers fit.
        #[cfg(target_arch = "x86_64")]
        Path::Avx512 => unsafe { super::resize_avx512::down(work, out) },
        #[cfg(target_arch = "x86_64")]
        Path::Avx2 => unsafe { super::resize_avx2::down(work, out) },
        _ => down_scalar(work, out),
    }
}

fn down_scalar(work: &Down<'_>, out: &mut [u8]) {
    for (step, out) in out.as_chunks_mut::<STEP>().0.iter_mut().enumerate() {
        let mut sums = [HALF; STEP];
        for (place, weights) in work.layers {
            let words = &work.quads[place + step * STEP * GROUP..].as_chunks::<GROUP>().0[..STEP];
            for (sum, four) in sums.iter_mut().zip(words) {
                let word = u32::from_le_bytes(*four);
                for (row, weight) in weights.iter().enumerate() {
                    let value = (word >> (8 * row) & 0xFF) as i32;
                    *sum = sum.wrapping_add(value.wrapping_mul(*weight));
                }
            }
        }
        for (value, sum) in out.iter_mut().zip(sums) {
            *value = to_pixel(sum);
        }
    }
}

#[cfg(test)]
mod tests;

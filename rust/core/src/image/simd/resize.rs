//! The two passes of the resize over quads: four rows of an image in one word per channel and column.
//!
//! The functions here are the scalar twins; see `groups.rs` for how the others split the weights.
#![allow(unsafe_code, reason = "calls of functions for instructions that the path has")]

use super::Path;
use crate::image::groups::Group;
use crate::image::taps::to_pixel;

/// Bytes behind a source row that may be read besides those of groups.
pub(crate) const SLACK: usize = 16;

/// Input of the horizontal pass over four rows.
pub(crate) struct Across<'a> {
    /// the rows, interleaved colours, `row_len` apart
    pub(crate) rows: &'a [u8],
    pub(crate) row_len: usize,
    /// per output column: first source column
    pub(crate) first: &'a [usize],
    /// groups per output column, and all of them
    pub(crate) count: usize,
    pub(crate) weights: &'a [Group],
    /// per output column: what the sums start with
    pub(crate) start: &'a [Group],
    /// columns of a plane of the quad
    pub(crate) columns: usize,
}

impl Across<'_> {
    /// Whether all that the pass reads and writes is there.
    pub(super) fn fits(&self, out: &[u8]) -> bool {
        let last = self.first.iter().max().map_or(0, |first| 3 * first + 12 * self.count + SLACK);
        last <= self.row_len
            && self.rows.len() >= 4 * self.row_len
            && self.weights.len() == self.count * self.first.len()
            && self.start.len() == self.first.len()
            && self.columns >= self.first.len()
            && out.len() == 12 * self.columns
    }
}

/// The horizontal pass: a quad of three planes from four rows.
pub(crate) fn across(path: Path, work: &Across<'_>, out: &mut [u8]) {
    assert!(work.fits(out), "buffers of the horizontal pass");
    match path {
        // SAFETY: an available path has all instructions named at the function.
        #[cfg(target_arch = "x86_64")]
        Path::Avx512 => unsafe { super::resize_avx512::across(work, out) },
        #[cfg(target_arch = "x86_64")]
        Path::Avx2 => unsafe { super::resize_avx2::across(work, out) },
        _ => across_scalar(work, out),
    }
}

fn across_scalar(work: &Across<'_>, out: &mut [u8]) {
    let weights = work.weights.as_flattened().chunks_exact(4 * work.count);
    let columns = work.first.iter().zip(weights).zip(work.start);
    for (x, ((first, weights), start)) in columns.enumerate() {
        for (y, row) in work.rows.chunks_exact(work.row_len).enumerate() {
            let [mut r, mut g, mut b, _] = *start;
            for (pixel, weight) in row[3 * first..].as_chunks::<3>().0.iter().zip(weights) {
                r = r.wrapping_add(i32::from(pixel[0]).wrapping_mul(*weight));
                g = g.wrapping_add(i32::from(pixel[1]).wrapping_mul(*weight));
                b = b.wrapping_add(i32::from(pixel[2]).wrapping_mul(*weight));
            }
            for (plane, sum) in out.chunks_exact_mut(4 * work.columns).zip([r, g, b]) {
                plane[4 * x + y] = to_pixel(sum);
            }
        }
    }
}

/// Input of the vertical pass for one output row.
pub(crate) struct Down<'a> {
    /// memory of the quads
    pub(crate) quads: &'a [u8],
    /// where the quad of each group starts
    pub(crate) places: &'a [usize],
    pub(crate) weights: &'a [Group],
    /// per channel and column: what the sums start with
    pub(crate) start: &'a [i32],
    /// columns of a plane of a quad, a multiple of 16
    pub(crate) columns: usize,
}

impl Down<'_> {
    /// Whether all that the pass reads and writes is there.
    pub(super) fn fits(&self, out: &[u8]) -> bool {
        self.columns.is_multiple_of(16)
            && self.places.iter().all(|place| place + 12 * self.columns <= self.quads.len())
            && self.places.len() == self.weights.len()
            && self.start.len() == 3 * self.columns
            && out.len() == 3 * self.columns
    }
}

/// The vertical pass: one row of three planes.
pub(crate) fn down(path: Path, work: &Down<'_>, out: &mut [u8]) {
    assert!(work.fits(out), "buffers of the vertical pass");
    match path {
        // SAFETY: an available path has all instructions named at the function.
        #[cfg(target_arch = "x86_64")]
        Path::Avx512 => unsafe { super::resize_avx512::down(work, out) },
        #[cfg(target_arch = "x86_64")]
        Path::Avx2 => unsafe { super::resize_avx2::down(work, out) },
        _ => down_scalar(work, out),
    }
}

fn down_scalar(work: &Down<'_>, out: &mut [u8]) {
    let mut sums = work.start.to_vec();
    for (place, weights) in work.places.iter().zip(work.weights) {
        for (sum, four) in sums.iter_mut().zip(work.quads[*place..].as_chunks::<4>().0) {
            for (value, weight) in four.iter().zip(weights) {
                *sum = sum.wrapping_add(i32::from(*value).wrapping_mul(*weight));
            }
        }
    }
    out.iter_mut().zip(sums).for_each(|(value, sum)| *value = to_pixel(sum));
}

#[cfg(test)]
mod tests;

//! The coefficients of one component for some coding units of a row.

use std::ops::Range;

use super::component::Component;
use super::idct;
use super::quant::Quant;
use crate::Result;
use crate::image::limits::allocate;
use crate::image::simd::Path;

/// A block of 64 coefficients row by row, and those to its right: as many values as a byte can
/// number. The first value of the next block may be spoilt: it is decoded later, and begins with that
/// value.
pub(super) type Window = [i16; 256];

/// Blocks side by side are transformed in groups of up to this many.
const GROUP: usize = 4;

/// Rows of blocks.
pub(super) struct Lines {
    coefficients: Vec<i16>,
    /// per block: index of its last coefficient in file order
    last: Vec<u8>,
    /// blocks per row: whole groups, and one that takes what is spoilt
    stride: usize,
    /// blocks per coding unit
    across: usize,
    down: usize,
}

impl Lines {
    /// For up to `columns` units of `blocks` blocks, across and down.
    pub(super) fn new((across, down): (usize, usize), columns: usize) -> Result<Self> {
        let stride = (across * columns).next_multiple_of(GROUP) + 1;
        // The last window, too, is a whole one.
        let coefficients = allocate(stride * down * 64 + size_of::<Window>() / 2)?;
        Ok(Self { coefficients, last: allocate(stride * down)?, stride, across, down })
    }

    pub(super) fn clear(&mut self) {
        self.coefficients.fill(0);
        self.last.fill(0);
    }

    /// The block in column `x` of row `y`.
    #[inline(always)]
    pub(super) fn window(&mut self, x: usize, y: usize) -> &mut Window {
        let start = y.wrapping_mul(self.stride).wrapping_add(x).wrapping_mul(64);
        self.coefficients[start..].first_chunk_mut().expect("a block and those behind it")
    }

    #[inline(always)]
    pub(super) fn set_last(&mut self, x: usize, y: usize, last: u8) {
        self.last[y.wrapping_mul(self.stride).wrapping_add(x)] = last;
    }

    /// The inverse DCT into these columns of row `row` of the coding units of a component.
    pub(super) fn transform(
        &self,
        row: usize,
        columns: Range<usize>,
        quant: &Quant,
        component: &mut Component,
        path: Path,
    ) {
        let used = (columns.len() * self.across).next_multiple_of(GROUP);
        let rows = self.coefficients.chunks_exact(self.stride * 64);
        for (y, (blocks, last)) in rows.zip(self.last.chunks_exact(self.stride)).enumerate() {
            let (out, stride) = component.block_row(row * self.down + y);
            let out = &mut out[columns.start * self.across * 8..];
            idct::block_row(blocks, &last[..used], quant, path, out, stride);
        }
    }
}

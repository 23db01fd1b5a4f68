//! The coefficients of one component for one row of coding units.

use super::component::Component;
use super::idct;
use super::quant::Quant;
use crate::Result;
use crate::image::limits::allocate;
use crate::image::simd::Path;

/// A block of 64 coefficients row by row, and the one to its right. The latter's first value may be
/// spoilt: it is decoded later, and begins with that value.
pub(super) type Window = [i16; 128];

/// Blocks side by side are transformed in groups of up to this many.
const GROUP: usize = 4;

/// Rows of blocks.
pub(super) struct Lines {
    coefficients: Vec<i16>,
    /// per block: index of its last coefficient in file order
    last: Vec<u8>,
    /// blocks per row: whole groups, and one that takes what windows spoil
    stride: usize,
    /// rows of blocks
    down: usize,
}

impl Lines {
    /// For `columns` units of `blocks` blocks, across and down.
    pub(super) fn new((across, down): (usize, usize), columns: usize) -> Result<Self> {
        let stride = (across * columns).next_multiple_of(GROUP) + 1;
        let coefficients = allocate(stride * down * 64)?;
        Ok(Self { coefficients, last: allocate(stride * down)?, stride, down })
    }

    pub(super) fn clear(&mut self) {
        self.coefficients.fill(0);
        self.last.fill(0);
    }

    /// The block in column `x` of row `y`.
    #[inline(always)]
    pub(super) fn window(&mut self, x: usize, y: usize) -> &mut Window {
        let start = (y * self.stride + x) * 64;
        self.coefficients[start..].first_chunk_mut().expect("a block and its neighbour")
    }

    #[inline(always)]
    pub(super) fn set_last(&mut self, x: usize, y: usize, last: u8) {
        self.last[y * self.stride + x] = last;
    }

    /// The inverse DCT into row `row` of coding units of a component.
    pub(super) fn transform(
        &self,
        row: usize,
        quant: &Quant,
        component: &mut Component,
        path: Path,
    ) {
        let rows = self.coefficients.chunks_exact(self.stride * 64);
        for (y, (blocks, last)) in rows.zip(self.last.chunks_exact(self.stride)).enumerate() {
            let (out, stride) = component.block_row(row * self.down + y);
            idct::block_row(blocks, &last[..self.stride - 1], quant, path, out, stride);
        }
    }
}

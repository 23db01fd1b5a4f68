//! The samples of one component while a file is decoded.

use super::frame::{ComponentHeader, Frame};
use super::quant::Quant;
use crate::Result;
use crate::image::scratch::Scratch;

/// Rows of samples start this far apart, or a multiple: vector code reads and writes whole steps.
const STEP: usize = 64;

/// One component: its place in the frame and its decoded samples.
pub(super) struct Component {
    pub(super) header: ComponentHeader,
    /// picture columns and rows per sample
    pub(super) ratio: (usize, usize),
    /// samples that belong to the picture
    pub(super) width: usize,
    pub(super) height: usize,
    /// whole coding units of samples, row by row
    samples: Scratch<u8>,
    stride: usize,
    /// the steps of its coefficients, from its first scan on
    pub(super) quant: Option<Quant>,
}

impl Component {
    pub(super) fn new(frame: &Frame, header: &ComponentHeader) -> Result<Self> {
        let (columns, rows) = frame.units();
        let stride = (columns * header.h * 8).next_multiple_of(STEP);
        Ok(Self {
            ratio: frame.ratio(header).unwrap_or((1, 1)),
            width: (frame.width * header.h).div_ceil(frame.h_max),
            height: (frame.height * header.v).div_ceil(frame.v_max),
            samples: Scratch::take(stride * rows * header.v * 8)?,
            stride,
            quant: None,
            header: header.clone(),
        })
    }

    /// Makes all samples what the inverse DCT gives for no coefficients.
    pub(super) fn fill_gray(&mut self) {
        self.samples.fill(128);
    }

    /// The samples from row `row` of blocks on, and the distance of its rows.
    pub(super) fn block_row(&mut self, row: usize) -> (&mut [u8], usize) {
        (&mut self.samples[row * 8 * self.stride..], self.stride)
    }

    /// The samples of a row that belong to the picture; the last row stands for those below it.
    pub(super) fn row(&self, y: usize) -> &[u8] {
        &self.padded_row(y)[..self.width]
    }

    /// The same row up to a multiple of 64 samples.
    pub(super) fn padded_row(&self, y: usize) -> &[u8] {
        &self.samples[y.min(self.height - 1) * self.stride..][..self.stride]
    }
}

//! The samples of one component while a file is decoded.

use super::frame::{ComponentHeader, Frame};
use crate::Result;
use crate::image::limits::allocate;

/// One component: its place in the frame and its decoded samples.
pub(super) struct Component {
    pub(super) header: ComponentHeader,
    /// picture columns and rows per sample, each 1 or 2
    pub(super) ratio: (usize, usize),
    /// samples that belong to the picture
    pub(super) width: usize,
    pub(super) height: usize,
    /// whole coding units of samples, row by row
    samples: Vec<u8>,
    stride: usize,
    /// a scan has filled the samples
    pub(super) done: bool,
}

impl Component {
    pub(super) fn new(frame: &Frame, header: &ComponentHeader) -> Result<Self> {
        let (columns, rows) = frame.units();
        let stride = columns * header.h * 8;
        Ok(Self {
            ratio: frame.ratio(header).unwrap_or((1, 1)),
            width: (frame.width * header.h).div_ceil(frame.h_max),
            height: (frame.height * header.v).div_ceil(frame.v_max),
            samples: allocate(stride * rows * header.v * 8)?,
            stride,
            done: false,
            header: header.clone(),
        })
    }

    /// Writes an 8 x 8 block at block coordinates.
    #[inline]
    pub(super) fn put(&mut self, column: usize, row: usize, block: &[[u8; 8]; 8]) {
        let start = (row * self.stride + column) * 8;
        for (samples, line) in self.samples[start..].chunks_mut(self.stride).zip(block) {
            samples[..8].copy_from_slice(line);
        }
    }

    /// The samples of a row that belong to the picture; the last row stands for those below it.
    pub(super) fn row(&self, y: usize) -> &[u8] {
        &self.samples[y.min(self.height - 1) * self.stride..][..self.width]
    }
}

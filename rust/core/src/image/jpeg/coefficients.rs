//! The coefficients of a component of a progressive file, kept until its last scan.

use super::component::Component;
use super::frame::{ComponentHeader, Frame};
use super::quant::Quant;
use super::{ORDER, idct, malformed};
use crate::image::Limits;
use crate::image::limits::allocate;
use crate::image::scratch::Scratch;
use crate::image::simd::Path;
use crate::{ImageFault, Result};

/// Coefficients of a block, in file order.
pub(super) type Block = [i16; 64];

/// Blocks are transformed in groups of up to this many.
const GROUP: usize = 4;

/// AC coefficients that libjpeg invents from neighbouring blocks when a file lacks their scans.
const SMOOTHED: std::ops::RangeInclusive<usize> = 1..=9;

/// The blocks of one component.
pub(super) struct Coefficients {
    values: Scratch<i16>,
    /// blocks per row, whole coding units
    stride: usize,
    /// per coefficient: the lowest bit that scans have brought so far
    known: [Option<u8>; 64],
}

impl Coefficients {
    pub(super) fn new(frame: &Frame, header: &ComponentHeader) -> Result<Self> {
        let (columns, rows) = frame.units();
        let (stride, rows) = (columns * header.h, rows * header.v);
        let mut values = Scratch::take(stride * rows * 64)?;
        values.fill(0);
        Ok(Self { values, stride, known: [None; 64] })
    }

    /// Refuses a frame for what scan number `scans` would cost: each takes time for all pixels,
    /// however few bytes it has.
    pub(super) fn check_limits(frame: &Frame, scans: usize, limits: &Limits) -> Result<()> {
        let (bytes, pixels) = (Self::bytes(frame), frame.width * frame.height);
        let why = if scans > limits.scans {
            format!("more than {} scans", limits.scans)
        } else if bytes > limits.coefficient_bytes {
            format!("{bytes} bytes of coefficients, over {}", limits.coefficient_bytes)
        } else if pixels.saturating_mul(scans) > limits.scanned_pixels {
            format!("{scans} scans of {pixels} pixels, over {} in all", limits.scanned_pixels)
        } else {
            return Ok(());
        };
        Err(ImageFault::Refused(format!("progressive JPEG: {why}")).into())
    }

    /// Bytes that the coefficients of a frame take.
    fn bytes(frame: &Frame) -> usize {
        let (columns, rows) = frame.units();
        frame.components.iter().map(|c| columns * c.h * rows * c.v * 128).sum()
    }

    #[inline(always)]
    pub(super) fn block(&mut self, column: usize, row: usize) -> &mut Block {
        let start = (row * self.stride + column) * 64;
        self.values[start..].first_chunk_mut().expect("a block of the component")
    }

    /// Notes that a scan brings a band of coefficients down to bit `low`, from bit `high` on or, if
    /// that is 0, anew.
    ///
    /// # Errors
    /// `Malformed` if the bits between are missing, or there already, or if AC coefficients come
    /// before the DC values.
    pub(super) fn bring(
        &mut self,
        band: std::ops::RangeInclusive<usize>,
        high: u8,
        low: u8,
    ) -> Result<()> {
        let dc_first = *band.start() == 0 || self.known[0].is_some();
        for known in &mut self.known[band] {
            if !dc_first || *known != (high > 0).then_some(high) {
                return Err(malformed(
                    "the scans of a progressive file do not follow on each other",
                ));
            }
            *known = Some(low);
        }
        Ok(())
    }

    /// Whether libjpeg would show the coefficients as they are: with the first ones incomplete, it
    /// smooths the picture.
    pub(super) fn complete(&self) -> bool {
        self.known[0].is_some() && SMOOTHED.into_iter().all(|k| self.known[k] == Some(0))
    }

    /// The inverse DCT of all blocks.
    pub(super) fn transform(
        &self,
        quant: &Quant,
        component: &mut Component,
        path: Path,
    ) -> Result<()> {
        let groups = self.stride.next_multiple_of(GROUP);
        let (mut blocks, mut last) = (allocate(groups * 64)?, allocate::<u8>(groups)?);
        for (row, line) in self.values.chunks_exact(self.stride * 64).enumerate() {
            let pairs = line.as_chunks::<64>().0.iter().zip(blocks.as_chunks_mut::<64>().0);
            for ((from, to), last) in pairs.zip(&mut last) {
                ORDER.iter().zip(from).for_each(|(place, value)| to[usize::from(*place)] = *value);
                *last = if from[1..].iter().all(|value| *value == 0) { 0 } else { 63 };
            }
            let (out, stride) = component.block_row(row);
            idct::block_row(&blocks, &last, quant, path, out, stride);
        }
        Ok(())
    }
}

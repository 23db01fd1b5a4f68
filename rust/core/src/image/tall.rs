//! The other order of the passes, which Pillow 13 takes where it saves work: mostly for tall pictures.

use super::Rows;
use super::limits::allocate;
use super::resize::{Horizontal, split};
use super::simd::{self, Instructions, Path, Work};
use super::taps::{HALF, Taps, to_pixel};
use crate::Result;

/// Sums are kept in registers for this many bytes of a row at once.
const STEP: usize = 64;

/// The vertical pass over whole rows of the source, then the horizontal one over four of those at
/// a time. There is no padding here: Pillow never takes this order for a square.
pub(super) fn vertical_first(
    source: &mut dyn Rows,
    across: &mut Horizontal,
    taps: &Taps,
    path: Path,
    mut emit: impl FnMut(usize, [&[u8]; 3]),
) -> Result<()> {
    let mut window = Window::new(source, taps)?;
    let (mut quad, columns) = (allocate(across.quad_len())?, across.columns);
    let mut planes = allocate(3 * columns)?;
    let positions: Vec<_> = taps.iter().collect();
    for (block, four) in positions.chunks(4).enumerate() {
        for (index, tap) in four.iter().enumerate() {
            window.read(source, tap.range().end);
            let rows = tap.range().map(|y| window.row(y)).zip(tap.weights).collect();
            across.take(index, |out| simd::run(path, SumRows { rows, out }));
        }
        across.run(&mut quad);
        for index in 0..four.len() {
            for (value, four) in planes.iter_mut().zip(quad.as_chunks::<4>().0) {
                *value = four[index];
            }
            emit(4 * block + index, split(&planes, across.width));
        }
    }
    Ok(())
}

/// The rows of the source that the vertical pass still needs.
struct Window {
    bytes: Vec<u8>,
    /// bytes from one row to the next, whole steps
    stride: usize,
    slots: usize,
    /// the next row of the source to read
    next: usize,
}

impl Window {
    fn new(source: &dyn Rows, taps: &Taps) -> Result<Self> {
        let slots = taps.iter().map(|tap| tap.weights.len()).max().unwrap_or(1);
        let stride = (3 * source.width()).next_multiple_of(STEP);
        Ok(Self { bytes: allocate(stride * slots)?, stride, slots, next: taps.span().start })
    }

    /// Reads rows up to `end`.
    fn read(&mut self, source: &mut dyn Rows, end: usize) {
        for y in self.next..end {
            let start = y % self.slots * self.stride;
            source.write_row(y, &mut self.bytes[start..][..3 * source.width()]);
        }
        self.next = self.next.max(end);
    }

    fn row(&self, y: usize) -> &[u8] {
        &self.bytes[y % self.slots * self.stride..][..self.stride]
    }
}

/// A weighted sum of rows; each is readable up to a whole step.
struct SumRows<'a> {
    rows: Vec<(&'a [u8], &'a i32)>,
    out: &'a mut [u8],
}

impl Work for SumRows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Instructions>(self) {
        for (step, out) in self.out.chunks_mut(STEP).enumerate() {
            let mut sums = [HALF; STEP];
            for (row, weight) in &self.rows {
                for (sum, value) in sums.iter_mut().zip(&row.as_chunks::<STEP>().0[step]) {
                    *sum = sum.wrapping_add(i32::from(*value).wrapping_mul(**weight));
                }
            }
            let pixels = sums.map(to_pixel);
            out.copy_from_slice(&pixels[..out.len()]);
        }
    }
}

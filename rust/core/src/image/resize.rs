//! Pillow's bicubic resize, computed for the wanted window only and handed out row by row.
//!
//! Two passes with whole pixels between them. Padding exists only as a weight times its colour. The
//! horizontal pass makes quads, four rows at a time, the vertical pass reads them: no more than a
//! few rows exist at once, of the source and between the passes.

use super::Rows;
use super::geometry::{Axis, Plan};
use super::groups::{Group, Groups};
use super::limits::allocate;
use super::simd::Path;
use super::simd::resize::{Across, Down, SLACK, across, down};
use super::tall;
use super::taps::{HALF, Taps, to_pixel};
use crate::Result;

/// Calls `emit` with each row of the window, from top to bottom, as red, green and blue bytes.
pub(super) fn resize_rows(
    source: &mut dyn Rows,
    plan: &Plan,
    path: Path,
    emit: impl FnMut(usize, [&[u8]; 3]),
) -> Result<()> {
    if unchanged(&plan.x) && unchanged(&plan.y) {
        return copy(source, emit);
    }
    let (x, y) = (Taps::new(&plan.x), Taps::new(&plan.y));
    let mut across = Horizontal::new(&x, source.width(), plan.colour, path)?;
    if plan.vertical_first() {
        tall::vertical_first(source, &mut across, &y, path, emit)
    } else {
        horizontal_first(source, &mut across, &y, path, emit)
    }
}

fn unchanged(axis: &Axis) -> bool {
    axis.full == axis.scaled && axis.full == axis.source && axis.window == (0..axis.scaled)
}

fn copy(source: &mut dyn Rows, mut emit: impl FnMut(usize, [&[u8]; 3])) -> Result<()> {
    let width = source.width();
    let (mut row, mut planes) = (allocate(3 * width)?, allocate(3 * width)?);
    for y in 0..source.height() {
        source.write_row(y, &mut row);
        for (x, pixel) in row.as_chunks::<3>().0.iter().enumerate() {
            (0..3).for_each(|channel| planes[channel * width + x] = pixel[channel]);
        }
        emit(y, split(&planes, width, width));
    }
    Ok(())
}

/// The first `width` bytes of each of three planes that start `stride` apart.
pub(super) fn split(planes: &[u8], stride: usize, width: usize) -> [&[u8]; 3] {
    [0, 1, 2].map(|channel| &planes[channel * stride..][..width])
}

/// The horizontal pass.
pub(super) struct Horizontal {
    path: Path,
    groups: Groups,
    /// per output column: what its sums of red, green and blue start with
    start: Vec<Group>,
    /// four source rows
    rows: Vec<u8>,
    /// bytes from one to the next
    row_len: usize,
    /// what a row of padding becomes, per channel and column
    padding: Vec<u8>,
    /// output columns, and those with which vectors end
    pub(super) width: usize,
    pub(super) columns: usize,
}

impl Horizontal {
    fn new(taps: &Taps, source_width: usize, colour: [u8; 3], path: Path) -> Result<Self> {
        let groups = Groups::new(taps, path, 0, 1);
        let start = taps.iter().map(|tap| {
            let [r, g, b] =
                colour.map(|c| HALF.wrapping_add(i32::from(c).wrapping_mul(tap.padding)));
            [r, g, b, 0]
        });
        let row_len = 3 * source_width + 12 * groups.count + SLACK;
        let width = groups.first.len();
        let rows = allocate(4 * row_len)?;
        let columns = width.next_multiple_of(16);
        let (start, padding) = (start.collect(), padding_row(taps, colour, columns));
        Ok(Self { path, groups, start, rows, row_len, padding, width, columns })
    }

    /// Bytes of four output rows: per channel and column four bytes, from top to bottom.
    pub(super) fn quad_len(&self) -> usize {
        12 * self.columns
    }

    /// The buffer of source row `index` of four.
    pub(super) fn row(&mut self, index: usize, width: usize) -> &mut [u8] {
        &mut self.rows[index * self.row_len..][..3 * width]
    }

    /// Reads four rows of the source.
    fn read(&mut self, source: &mut dyn Rows, rows: [usize; 4]) {
        let width = source.width();
        for (index, row) in rows.into_iter().enumerate() {
            source.write_row(row, self.row(index, width));
        }
    }

    /// What vertical sums start with under this weight of the padding.
    fn padded(&self, weight: i32, start: &mut [i32]) {
        for (start, value) in start.iter_mut().zip(&self.padding) {
            *start = HALF.wrapping_add(i32::from(*value).wrapping_mul(weight));
        }
    }

    /// Makes a quad of the four rows.
    pub(super) fn run(&self, out: &mut [u8]) {
        let work = Across {
            rows: &self.rows,
            row_len: self.row_len,
            first: &self.groups.first,
            count: self.groups.count,
            weights: &self.groups.weights,
            start: &self.start,
            columns: self.columns,
        };
        across(self.path, &work, out);
    }
}

/// What the horizontal pass makes of a row of padding, per channel and column.
fn padding_row(taps: &Taps, colour: [u8; 3], columns: usize) -> Vec<u8> {
    let mut row = vec![0; 3 * columns];
    for (plane, value) in row.chunks_exact_mut(columns).zip(colour) {
        for (pixel, tap) in plane.iter_mut().zip(taps.iter()) {
            let total = tap.weights.iter().sum::<i32>() + tap.padding;
            *pixel = to_pixel(HALF.wrapping_add(i32::from(value).wrapping_mul(total)));
        }
    }
    row
}

/// The quads that the vertical pass still needs.
struct Ring {
    quads: Vec<u8>,
    quad_len: usize,
    slots: usize,
    /// quads made so far
    made: usize,
}

impl Ring {
    fn new(quad_len: usize, slots: usize) -> Result<Self> {
        Ok(Self { quads: allocate(quad_len * slots)?, quad_len, slots, made: 0 })
    }

    /// Where a quad starts.
    fn place(&self, quad: usize) -> usize {
        quad % self.slots * self.quad_len
    }

    /// The place of the next quad.
    fn next(&mut self) -> &mut [u8] {
        let start = self.place(self.made);
        self.made += 1;
        &mut self.quads[start..][..self.quad_len]
    }
}

fn horizontal_first(
    source: &mut dyn Rows,
    across: &mut Horizontal,
    taps: &Taps,
    path: Path,
    mut emit: impl FnMut(usize, [&[u8]; 3]),
) -> Result<()> {
    let (rows, columns) = (taps.span(), across.columns);
    let groups = Groups::new(taps, path, rows.start, 4);
    let mut ring = Ring::new(across.quad_len(), groups.count + 1)?;
    let mut start = allocate(3 * columns)?;
    let mut out = allocate(3 * columns)?;
    let mut places = Vec::new();
    for (y, (tap, first)) in taps.iter().zip(&groups.first).enumerate() {
        let first = first.saturating_sub(rows.start) / 4;
        while ring.made < (first + groups.count).min(rows.len().div_ceil(4)) {
            let from = rows.start + 4 * ring.made;
            across.read(source, [0, 1, 2, 3].map(|row| (from + row).min(rows.end - 1)));
            across.run(ring.next());
        }
        across.padded(tap.padding, &mut start);
        places.clear();
        places.extend((first..first + groups.count).map(|quad| ring.place(quad)));
        let weights = groups.of(y);
        down(
            path,
            &Down { quads: &ring.quads, places: &places, weights, start: &start, columns },
            &mut out,
        );
        emit(y, split(&out, columns, across.width));
    }
    Ok(())
}

//! Pillow's bicubic resize, computed for the wanted window only and handed out row by row.
//!
//! Two passes with whole pixels between them. Padding exists only as a weight times its colour. The
//! horizontal pass makes quads, four rows at a time, the vertical pass reads them: no more than a
//! few rows exist at once, of the source and between the passes.

use super::Rows;
use super::blocks::Blocks;
use super::geometry::{Axis, Plan};
use super::groups::Groups;
use super::limits::allocate;
use super::simd::Path;
use super::simd::planes::separate;
use super::simd::resize::{Across, Down, STEP, across, down};
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
        return copy(source, path, emit);
    }
    let (x, y) = (Taps::new(&plan.x, path), Taps::new(&plan.y, path));
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

fn copy(source: &mut dyn Rows, path: Path, mut emit: impl FnMut(usize, [&[u8]; 3])) -> Result<()> {
    let width = source.width();
    let (mut row, mut planes) = (allocate(3 * width)?, allocate(3 * width)?);
    for y in 0..source.height() {
        source.write_row(y, &mut row);
        separate(path, &row, &mut planes);
        emit(y, split(&planes, width));
    }
    Ok(())
}

/// The first `width` bytes of each of three planes.
pub(super) fn split(planes: &[u8], width: usize) -> [&[u8]; 3] {
    let stride = planes.len() / 3;
    [0, 1, 2].map(|channel| &planes[channel * stride..][..width])
}

/// The horizontal pass.
pub(super) struct Horizontal {
    path: Path,
    blocks: Blocks,
    /// a source row as it comes
    row: Vec<u8>,
    /// four of them as planes
    rows: Vec<u8>,
    plane_len: usize,
    scratch: Vec<f64>,
    /// what a quad of padding becomes
    padding: Vec<u8>,
    /// output columns, and those with which vectors end
    pub(super) width: usize,
    pub(super) columns: usize,
}

impl Horizontal {
    fn new(taps: &Taps, source_width: usize, colour: [u8; 3], path: Path) -> Result<Self> {
        let blocks = Blocks::new(taps, colour, path);
        let plane_len = source_width + blocks.slack();
        let columns = taps.len().next_multiple_of(STEP);
        Ok(Self {
            path,
            blocks,
            row: allocate(3 * source_width)?,
            rows: allocate(12 * plane_len)?,
            plane_len,
            scratch: Vec::new(),
            padding: padding_quad(taps, colour, columns),
            width: taps.len(),
            columns,
        })
    }

    /// Bytes of four output rows: per channel and column four bytes, from top to bottom.
    pub(super) fn quad_len(&self) -> usize {
        12 * self.columns
    }

    /// Takes source row `index` of four, which `write` writes.
    pub(super) fn take(&mut self, index: usize, write: impl FnOnce(&mut [u8])) {
        write(&mut self.row);
        let planes = self.rows.chunks_exact_mut(3 * self.plane_len).nth(index);
        separate(self.path, &self.row, planes.unwrap_or_default());
    }

    /// Makes a quad of the four rows.
    pub(super) fn run(&mut self, out: &mut [u8]) {
        let work = Across {
            rows: &self.rows,
            plane_len: self.plane_len,
            blocks: &self.blocks,
            columns: self.columns,
        };
        across(self.path, &work, &mut self.scratch, out);
    }
}

/// What the horizontal pass makes of a row of padding, above three rows of nothing.
fn padding_quad(taps: &Taps, colour: [u8; 3], columns: usize) -> Vec<u8> {
    let mut quad = vec![0; 12 * columns];
    for (plane, value) in quad.chunks_exact_mut(4 * columns).zip(colour) {
        for (pixel, tap) in plane.iter_mut().step_by(4).zip(taps.iter()) {
            let total = tap.weights.iter().sum::<i32>() + tap.padding;
            *pixel = to_pixel(HALF.wrapping_add(i32::from(value).wrapping_mul(total)));
        }
    }
    quad
}

/// The quads that the vertical pass still needs, and behind them that of the padding.
struct Ring {
    quads: Vec<u8>,
    quad_len: usize,
    slots: usize,
    /// quads made so far
    made: usize,
}

impl Ring {
    fn new(slots: usize, padding: &[u8]) -> Result<Self> {
        let mut quads: Vec<u8> = allocate(padding.len() * (slots + 1))?;
        quads[padding.len() * slots..].copy_from_slice(padding);
        Ok(Self { quads, quad_len: padding.len(), slots, made: 0 })
    }

    /// Where a quad starts.
    fn place(&self, quad: usize) -> usize {
        quad % self.slots * self.quad_len
    }

    /// Where that of the padding starts.
    fn padding(&self) -> usize {
        self.slots * self.quad_len
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
    let groups = Groups::new(taps, rows.start, path);
    let mut ring = Ring::new(groups.most.max(1), &across.padding)?;
    let mut out = allocate(3 * columns)?;
    let mut layers = Vec::with_capacity(groups.most + 1);
    for (y, (first, weights, padding)) in groups.iter().enumerate() {
        while ring.made < first + weights.len() {
            for index in 0..4 {
                let row = (rows.start + 4 * ring.made + index).min(rows.end - 1);
                across.take(index, |out| source.write_row(row, out));
            }
            across.run(ring.next());
        }
        layers.clear();
        layers.extend((first..).zip(weights).map(|(quad, group)| (ring.place(quad), *group)));
        layers.extend(padding.map(|group| (ring.padding(), group)));
        down(path, &Down { quads: &ring.quads, layers: &layers, columns }, &mut out);
        emit(y, split(&out, across.width));
    }
    Ok(())
}

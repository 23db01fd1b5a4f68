//! Pillow's bicubic resize, computed for the wanted window only and handed out row by row.
//!
//! Two passes with whole pixels between them. Padding exists only as a weight times its colour.

use std::ops::Range;

use super::Rgb8;
use super::geometry::{Axis, Plan};
use super::limits::allocate;
use super::taps::{HALF, Tap, taps, to_pixel};
use crate::Result;

/// Calls `emit` with each output row, from top to bottom, three bytes per pixel.
pub(super) fn resize_rows(
    image: &Rgb8,
    plan: &Plan,
    mut emit: impl FnMut(usize, &[u8]),
) -> Result<()> {
    if unchanged(&plan.x) && unchanged(&plan.y) {
        let rows = image.pixels.chunks_exact(image.width * 3);
        rows.enumerate().for_each(|(y, row)| emit(y, row));
        return Ok(());
    }
    let (x_taps, y_taps) = (taps(&plan.x), taps(&plan.y));
    if plan.vertical_first() {
        vertical_first(image, &x_taps, &y_taps, emit)
    } else {
        let padding = across_padding(&x_taps, plan.colour);
        horizontal_first(image, plan, &x_taps, &y_taps, &padding, &mut emit)
    }
}

fn unchanged(axis: &Axis) -> bool {
    axis.full == axis.scaled && axis.full == axis.source && axis.window == (0..axis.scaled)
}

/// Source pixels that any of the taps reads.
fn span(taps: &[Tap]) -> Range<usize> {
    let read = || taps.iter().filter(|tap| !tap.weights.is_empty()).map(Tap::range);
    let start = read().map(|range| range.start).min().unwrap_or(0);
    start..read().map(|range| range.end).max().unwrap_or(start)
}

/// Only for plans without padding: Pillow never takes this order for a square.
fn vertical_first(
    image: &Rgb8,
    x_taps: &[Tap],
    y_taps: &[Tap],
    mut emit: impl FnMut(usize, &[u8]),
) -> Result<()> {
    let columns = span(x_taps);
    let bytes = columns.start * 3..columns.end * 3;
    let mut sums = allocate(bytes.len())?;
    let mut mixed = allocate(bytes.len())?;
    let mut out = allocate(x_taps.len() * 3)?;
    for (y, tap) in y_taps.iter().enumerate() {
        sums.fill(HALF);
        let rows = image.pixels.chunks_exact(image.width * 3).skip(tap.first);
        for (row, weight) in rows.zip(&tap.weights) {
            add_row(&mut sums, &row[bytes.clone()], *weight);
        }
        finish_row(&sums, &mut mixed);
        across(&mixed, columns.start, x_taps, [0; 3], &mut out);
        emit(y, &out);
    }
    Ok(())
}

fn horizontal_first(
    image: &Rgb8,
    plan: &Plan,
    x_taps: &[Tap],
    y_taps: &[Tap],
    padding: &[u8],
    emit: &mut impl FnMut(usize, &[u8]),
) -> Result<()> {
    let width = x_taps.len() * 3;
    let rows = span(y_taps);
    let mut mixed: Vec<u8> = allocate(rows.len() * width)?;
    let source = image.pixels.chunks_exact(image.width * 3).skip(rows.start);
    for (row, out) in source.zip(mixed.chunks_exact_mut(width)) {
        across(row, 0, x_taps, plan.colour, out);
    }
    let mut sums = allocate(width)?;
    let mut out = allocate(width)?;
    for (y, tap) in y_taps.iter().enumerate() {
        sums.fill(HALF);
        add_row(&mut sums, padding, tap.padding);
        let lines = mixed.chunks_exact(width).skip(tap.first.saturating_sub(rows.start));
        for (line, weight) in lines.zip(&tap.weights) {
            add_row(&mut sums, line, *weight);
        }
        finish_row(&sums, &mut out);
        emit(y, &out);
    }
    Ok(())
}

/// What the horizontal pass makes of a row of padding.
fn across_padding(taps: &[Tap], colour: [u8; 3]) -> Vec<u8> {
    let pixel = |tap: &Tap| {
        let total = tap.weights.iter().sum::<i32>() + tap.padding;
        colour.map(|c| to_pixel(HALF.wrapping_add(i32::from(c).wrapping_mul(total))))
    };
    taps.iter().flat_map(pixel).collect()
}

/// The horizontal pass over one row that starts at source column `start`.
fn across(row: &[u8], start: usize, taps: &[Tap], colour: [u8; 3], out: &mut [u8]) {
    for (pixel, tap) in out.chunks_exact_mut(3).zip(taps) {
        let from = (tap.first.max(start) - start) * 3;
        let [mut r, mut g, mut b] =
            colour.map(|c| HALF.wrapping_add(i32::from(c).wrapping_mul(tap.padding)));
        for (source, weight) in row[from..].chunks_exact(3).zip(&tap.weights) {
            r = r.wrapping_add(i32::from(source[0]).wrapping_mul(*weight));
            g = g.wrapping_add(i32::from(source[1]).wrapping_mul(*weight));
            b = b.wrapping_add(i32::from(source[2]).wrapping_mul(*weight));
        }
        pixel.copy_from_slice(&[to_pixel(r), to_pixel(g), to_pixel(b)]);
    }
}

#[inline]
fn add_row(sums: &mut [i32], row: &[u8], weight: i32) {
    for (sum, value) in sums.iter_mut().zip(row) {
        *sum = sum.wrapping_add(i32::from(*value).wrapping_mul(weight));
    }
}

#[inline]
fn finish_row(sums: &[i32], out: &mut [u8]) {
    for (value, sum) in out.iter_mut().zip(sums) {
        *value = to_pixel(*sum);
    }
}

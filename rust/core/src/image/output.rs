//! The forms in which pixels leave: normalised planes, raw patches, and raw planes to keep.

use super::geometry::{Canvas, Plan};
use super::limits::allocate;
use super::normalise::normalise;
use super::resize::resize_rows;
use super::simd::Path;
use super::{ImageConfig, Rows};
use crate::{Error, Result};

/// Fits a picture into its squares and writes each as `3 * size * size` float32: channel, row,
/// column; each value is `(x / 255 - mean) / std`. Equal to `CLIPImageProcessorPil`, bit by bit.
/// A plan of several tiles writes them one after the other.
///
/// # Errors
/// `Argument` if `out` has another length or the plan is made of no whole squares; `Refused` if
/// memory runs out.
pub fn values_into(
    source: &mut dyn Rows,
    plan: &Plan,
    config: &ImageConfig,
    out: &mut [f32],
) -> Result<()> {
    let size = config.size;
    check_length(out.len(), plan.tiles(size)? * config.values_len())?;
    let path = Path::chosen()?;
    each_line(source, plan, size, path, |line, channel, pixels| {
        normalise(path, config, channel, pixels, &mut out[line * size..][..size]);
    })
}

/// Fits a picture into its squares and writes them as bytes, patch by patch in reading order. A
/// patch is `channel, row, column`, the order of a convolution's weights, with zeros up to
/// [`ImageConfig::patch_row`]. Pixels right of or below the last whole patch are left out, as a
/// convolution with that stride leaves them out.
///
/// # Errors
/// As [`values_into`].
pub fn patches_into(
    source: &mut dyn Rows,
    plan: &Plan,
    config: &ImageConfig,
    out: &mut [u8],
) -> Result<()> {
    let size = config.size;
    check_length(out.len(), plan.tiles(size)? * config.patches_len())?;
    clear_ends(config, out);
    each_line(source, plan, size, Path::chosen()?, |line, channel, pixels| {
        let (tile, y) = (line / (3 * size), line % size);
        let tile = &mut out[tile * config.patches_len()..][..config.patches_len()];
        patch_line(config, tile, channel, y, pixels);
    })
}

/// Fits a picture into its squares and writes each as `3 * size * size` bytes: channel, row, column.
/// [`values_from_planes`] and [`patches_from_planes`] finish them.
///
/// # Errors
/// As [`values_into`].
pub fn planes_into(
    source: &mut dyn Rows,
    plan: &Plan,
    config: &ImageConfig,
    out: &mut [u8],
) -> Result<()> {
    let size = config.size;
    check_length(out.len(), plan.tiles(size)? * config.values_len())?;
    each_line(source, plan, size, Path::chosen()?, |line, _, pixels| {
        out[line * size..][..size].copy_from_slice(pixels);
    })
}

/// What [`values_into`] writes, from what [`planes_into`] wrote.
///
/// # Errors
/// `Argument` if the lengths do not belong together.
pub fn values_from_planes(planes: &[u8], config: &ImageConfig, out: &mut [f32]) -> Result<()> {
    check_length(out.len(), tiles_of(planes, config)? * config.values_len())?;
    let path = Path::chosen()?;
    let area = config.size * config.size;
    let planes = planes.chunks_exact(area).zip(out.chunks_exact_mut(area));
    for (index, (plane, out)) in planes.enumerate() {
        normalise(path, config, index % 3, plane, out);
    }
    Ok(())
}

/// What [`patches_into`] writes, from what [`planes_into`] wrote.
///
/// # Errors
/// `Argument` if the lengths do not belong together.
pub fn patches_from_planes(planes: &[u8], config: &ImageConfig, out: &mut [u8]) -> Result<()> {
    check_length(out.len(), tiles_of(planes, config)? * config.patches_len())?;
    clear_ends(config, out);
    let tiles = planes.chunks_exact(config.values_len());
    for (planes, out) in tiles.zip(out.chunks_exact_mut(config.patches_len())) {
        for (line, pixels) in planes.chunks_exact(config.size).enumerate() {
            patch_line(config, out, line / config.size, line % config.size, pixels);
        }
    }
    Ok(())
}

fn tiles_of(planes: &[u8], config: &ImageConfig) -> Result<usize> {
    let tiles = planes.len() / config.values_len();
    check_length(planes.len(), tiles.max(1) * config.values_len())?;
    Ok(tiles)
}

/// Clears what is behind the pixels of each patch.
fn clear_ends(config: &ImageConfig, out: &mut [u8]) {
    for patch in out.chunks_exact_mut(config.patch_row()) {
        patch[3 * config.patch_size * config.patch_size..].fill(0);
    }
}

/// Writes one line of a channel of a square into the patches it crosses.
fn patch_line(config: &ImageConfig, out: &mut [u8], channel: usize, y: usize, pixels: &[u8]) {
    let (side, length) = (config.patch_size, config.patch_row());
    let per_row = config.size / side;
    let at = (channel * side + y % side) * side;
    let patches = out.chunks_exact_mut(length).skip(y / side * per_row);
    for (patch, pixels) in patches.zip(pixels.chunks_exact(side)) {
        patch[at..at + side].copy_from_slice(pixels);
    }
}

/// Calls `emit` with the lines of all tiles that the canvas is cut into: each with the number of its
/// line among the lines of all planes of all tiles, and its channel.
fn each_line(
    source: &mut dyn Rows,
    plan: &Plan,
    size: usize,
    path: Path,
    mut emit: impl FnMut(usize, usize, &[u8]),
) -> Result<()> {
    let across = plan.canvas.width / size;
    canvas_rows(source, plan, path, |y, row| {
        for (channel, plane) in row.into_iter().enumerate() {
            for (x, pixels) in plane.chunks_exact(size).enumerate() {
                let tile = y / size * across + x;
                emit((tile * 3 + channel) * size + y % size, channel, pixels);
            }
        }
    })
}

/// Calls `emit` with each row of the canvas, as red, green and blue bytes, in any order.
fn canvas_rows(
    source: &mut dyn Rows,
    plan: &Plan,
    path: Path,
    mut emit: impl FnMut(usize, [&[u8]; 3]),
) -> Result<()> {
    let Canvas { width, height, left, top, colour } = plan.canvas;
    let window = plan.window();
    if window == (width, height) {
        return resize_rows(source, plan, path, emit);
    }
    let mut buffer = allocate(width * 3)?;
    for (plane, colour) in buffer.chunks_exact_mut(width).zip(colour) {
        plane.fill(colour);
    }
    for y in (0..top).chain(top + window.1..height) {
        emit(y, planes(&buffer));
    }
    resize_rows(source, plan, path, |y, row| {
        for (plane, pixels) in buffer.chunks_exact_mut(width).zip(row) {
            plane[left..left + window.0].copy_from_slice(pixels);
        }
        emit(top + y, planes(&buffer));
    })
}

/// Three planes that lie one after the other.
fn planes(buffer: &[u8]) -> [&[u8]; 3] {
    let length = buffer.len() / 3;
    let (red, rest) = buffer.split_at(length);
    let (green, blue) = rest.split_at(length);
    [red, green, blue]
}

fn check_length(got: usize, expected: usize) -> Result<()> {
    if got == expected {
        return Ok(());
    }
    Err(Error::Argument(format!("output buffer: got {got} values, expected {expected}")))
}

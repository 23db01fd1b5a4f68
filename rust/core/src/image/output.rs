//! The two forms in which pixels leave: normalised planes, and raw patches.

use super::geometry::Plan;
use super::resize::resize_rows;
use super::{ImageConfig, Rgb8};
use crate::{Error, Result};

/// Fits a picture into the square and writes it as `3 * size * size` float32: channel, row, column;
/// each value is `(x / 255 - mean) / std`. Equal to `CLIPImageProcessorPil`, bit by bit.
///
/// # Errors
/// `Argument` if `out` has another length; `Refused` if memory runs out.
pub fn values_into(image: &Rgb8, config: &ImageConfig, out: &mut [f32]) -> Result<()> {
    check_length(out.len(), config.values_len())?;
    let size = config.size;
    let tables = normalised(config);
    let (red, rest) = out.split_at_mut(size * size);
    let (green, blue) = rest.split_at_mut(size * size);
    let mut planes = [red, green, blue];
    resize_rows(image, &Plan::new(image, config), |y, row| {
        for (channel, (plane, table)) in planes.iter_mut().zip(&tables).enumerate() {
            let line = &mut plane[y * size..][..size];
            for (value, pixel) in line.iter_mut().zip(row.chunks_exact(3)) {
                *value = table[usize::from(pixel[channel])];
            }
        }
    })
}

/// Fits a picture into the square and writes it as bytes, patch by patch in reading order. A patch
/// is `channel, row, column`, the order of a convolution's weights, with zeros up to
/// [`ImageConfig::patch_row`]. Pixels right of or below the last whole patch are left out, as a
/// convolution with that stride leaves them out.
///
/// # Errors
/// `Argument` if `out` has another length; `Refused` if memory runs out.
pub fn patches_into(image: &Rgb8, config: &ImageConfig, out: &mut [u8]) -> Result<()> {
    check_length(out.len(), config.patches_len())?;
    out.fill(0);
    let (side, length) = (config.patch_size, config.patch_row());
    let per_row = config.size / side;
    resize_rows(image, &Plan::new(image, config), |y, row| {
        let (patch_y, line) = (y / side, y % side);
        if patch_y >= per_row {
            return;
        }
        let patches = out[patch_y * per_row * length..].chunks_exact_mut(length);
        for (patch, pixels) in patches.zip(row.chunks_exact(side * 3)) {
            for (x, pixel) in pixels.chunks_exact(3).enumerate() {
                for (channel, value) in pixel.iter().enumerate() {
                    patch[(channel * side + line) * side + x] = *value;
                }
            }
        }
    })
}

fn check_length(got: usize, expected: usize) -> Result<()> {
    if got == expected {
        return Ok(());
    }
    Err(Error::Argument(format!("output buffer: got {got} values, expected {expected}")))
}

/// All 256 results per channel.
fn normalised(config: &ImageConfig) -> [[f32; 256]; 3] {
    std::array::from_fn(|channel| {
        let (mean, std) = (config.mean[channel], config.std[channel]);
        std::array::from_fn(|value| (value as f32 / 255.0 - mean) / std)
    })
}

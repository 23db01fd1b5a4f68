//! The first frame of a GIF, as Pillow puts it on its canvas: the canvas grows with a frame that
//! reaches outside, transparent pixels keep their colour in the palette.

mod codes;
mod header;

use header::Frame;

use super::limits::allocate;
use super::{DecodeOptions, Limits, Rgb8};
use crate::{Error, ImageFault, Result};

/// First row and distance of rows, of the four passes of an interlaced frame.
const PASSES: [(usize, usize); 4] = [(0, 8), (4, 8), (2, 4), (1, 2)];

/// Decodes a file that starts with `GIF8`.
pub(super) fn decode(file: &[u8], options: &DecodeOptions) -> Result<Rgb8> {
    let frame = header::read(file, &options.limits)?;
    let indices = codes::indices(&frame, options.truncated)?;
    let (width, height) = frame.canvas;
    let mut pixels = allocate(width * height * 3)?;
    if indices.len() < width * height {
        let background = frame.table[usize::from(frame.background)];
        pixels.as_chunks_mut().0.fill(background);
    }
    for (y, row) in rows(&frame).zip(indices.chunks(frame.width)) {
        let place = ((frame.top + y) * width + frame.left) * 3;
        let (out, _) = pixels[place..][..row.len() * 3].as_chunks_mut();
        for (pixel, index) in out.iter_mut().zip(row) {
            *pixel = frame.table[usize::from(*index)];
        }
    }
    Ok(Rgb8 { width, height, pixels })
}

/// Width and height of the canvas, from what stands before the first frame.
pub(super) fn size(file: &[u8], limits: &Limits) -> Result<(usize, usize)> {
    Ok(header::read(file, limits)?.canvas)
}

/// The rows of a frame in file order.
fn rows(frame: &Frame<'_>) -> impl Iterator<Item = usize> {
    let passes = if frame.interlaced { &PASSES[..] } else { &[(0, 1)] };
    let height = frame.height;
    passes.iter().flat_map(move |(first, step)| (*first..height).step_by(*step))
}

fn malformed(detail: impl Into<String>) -> Error {
    ImageFault::Malformed { format: "GIF", detail: detail.into() }.into()
}

fn truncated(detail: impl Into<String>) -> Error {
    ImageFault::Truncated { format: "GIF", detail: detail.into() }.into()
}

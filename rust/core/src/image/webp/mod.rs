//! WebP to RGB, equal to libwebp's output as Pillow takes it: chroma is interpolated, alpha is
//! dropped, the first frame of an animation stands on a black canvas.

mod chunks;
mod container;
mod frame;

use container::Picture;

use super::exif::Metadata;
use super::limits::{allocate, check_sides};
use super::{DecodeOptions, Limits, Rgb8};
use crate::{Error, ImageFault, Result};

/// Decodes a file that starts with `RIFF` and `WEBP`.
pub(super) fn decode(file: &[u8], options: &DecodeOptions) -> Result<Rgb8> {
    let Picture { canvas: (width, height), frame, .. } = container::read(file)?;
    check_sides(width, height, &options.limits)?;
    let pixels = frame::rgb(&frame)?;
    if (frame.width, frame.height) == (width, height) {
        return Ok(Rgb8 { width, height, pixels });
    }
    let mut canvas = allocate(width * height * 3)?;
    for (y, row) in pixels.chunks_exact(frame.width * 3).enumerate() {
        let place = ((frame.top + y) * width + frame.left) * 3;
        canvas[place..][..row.len()].copy_from_slice(row);
    }
    Ok(Rgb8 { width, height, pixels: canvas })
}

/// Width and height of the canvas.
pub(super) fn size(file: &[u8], limits: &Limits) -> Result<(usize, usize)> {
    let (width, height) = container::read(file)?.canvas;
    check_sides(width, height, limits)?;
    Ok((width, height))
}

/// EXIF and XMP.
pub(super) fn metadata(file: &[u8]) -> Metadata {
    match container::read(file) {
        Ok(Picture { exif, xmp, .. }) => {
            Metadata { exif: exif.map(<[u8]>::to_vec), xmp: xmp.map(<[u8]>::to_vec) }
        }
        Err(_) => Metadata::default(),
    }
}

fn malformed(detail: impl Into<String>) -> Error {
    ImageFault::Malformed { format: "WebP", detail: detail.into() }.into()
}

fn truncated(detail: impl Into<String>) -> Error {
    ImageFault::Truncated { format: "WebP", detail: detail.into() }.into()
}

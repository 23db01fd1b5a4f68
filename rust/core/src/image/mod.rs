//! Pictures: file bytes to RGB, RGB to model input. Bit-equal to Pillow 13 and to transformers'
//! `CLIPImageProcessorPil`.

mod batch;
mod bmp;
mod config;
mod decode;
mod exif;
mod geometry;
mod gif;
mod groups;
mod guard;
mod jpeg;
mod limits;
mod options;
mod output;
mod png;
mod resize;
mod rows;
mod scratch;
pub mod simd;
mod tall;
mod taps;
mod webp;

pub(crate) use batch::buffer;
pub use batch::{Batch, Pixels, Source, process};
pub use config::{ImageConfig, Mode, Output};
pub use decode::{decode, open, probe};
pub use geometry::{Canvas, Plan};
pub use jpeg::Planes;
pub use options::{DecodeOptions, Limits, Png16, Truncated};
pub use output::{patches_from_planes, patches_into, planes_into, values_from_planes, values_into};
pub use rows::{Picture, Rows};

use crate::Result;

/// A decoded picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rgb8 {
    /// pixels per row, at least 1
    pub width: usize,
    /// rows, at least 1
    pub height: usize,
    /// `height * width * 3` bytes: row by row, red green blue
    pub pixels: Vec<u8>,
}

impl Rgb8 {
    /// Wraps pixels that someone else decoded.
    ///
    /// # Errors
    /// `Argument` if the length does not fit the sides; `Refused` as in [`decode`].
    pub fn new(width: usize, height: usize, pixels: Vec<u8>) -> Result<Self> {
        limits::check_sides(width, height, &Limits::default())?;
        if pixels.len() != width * height * 3 {
            return Err(crate::Error::Argument(format!(
                "pixels: got {} bytes, expected {width} x {height} x 3",
                pixels.len()
            )));
        }
        Ok(Self { width, height, pixels })
    }
}

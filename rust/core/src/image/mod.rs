//! Pictures: file bytes to RGB, RGB to model input. Bit-equal to Pillow 13 and to transformers'
//! `CLIPImageProcessorPil`.

mod anyres;
mod batch;
mod blocks;
mod bmp;
mod cached;
mod config;
mod decode;
mod exif;
mod fit;
mod geometry;
mod gif;
mod groups;
mod guard;
mod jpeg;
mod limits;
mod look;
mod normalise;
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

pub use anyres::{GridRule, Grids};
pub use batch::{Batch, Source, process};
pub(crate) use cached::{Cached, fit_file};
pub use config::{ImageConfig, Mode};
pub use decode::{decode, open, probe};
pub use fit::{Form, Output, Pixels, Places, fit};
pub use geometry::{Canvas, Plan};
pub use jpeg::Planes;
pub(crate) use look::{Known, look};
pub use options::{DecodeOptions, Limits, Png16, Truncated};
pub use output::{patches_from_planes, patches_into, planes_into, values_from_planes, values_into};
pub use rows::{Picture, Rows};

use crate::Result;

/// A decoded picture, its bytes kept in a `B`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rgb8<B = Vec<u8>> {
    /// pixels per row, at least 1
    pub width: usize,
    /// rows, at least 1
    pub height: usize,
    /// `height * width * 3` bytes: row by row, red green blue
    pub pixels: B,
}

impl<B: AsRef<[u8]>> Rgb8<B> {
    /// Wraps pixels that someone else decoded.
    ///
    /// # Errors
    /// `Argument` if the length does not fit the sides; `Refused` as in [`decode`].
    pub fn new(width: usize, height: usize, pixels: B, limits: &Limits) -> Result<Self> {
        limits::check_sides(width, height, limits)?;
        let length = pixels.as_ref().len();
        if length != width * height * 3 {
            return Err(crate::Error::Argument(format!(
                "pixels: got {length} bytes, expected {width} x {height} x 3"
            )));
        }
        Ok(Self { width, height, pixels })
    }
}

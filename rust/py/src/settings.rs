//! Settings of the image path, from the data classes of `llava_fast.config`, field by field.

use llava_fast_core::Error;
use llava_fast_core::image::{
    DecodeOptions, GridRule, Grids, ImageConfig, Limits, Mode, Output, Png16, Truncated,
};
use pyo3::prelude::*;

use crate::errors::to_python;

/// `llava_fast.DecodeOptions`.
#[derive(FromPyObject)]
pub struct Decode {
    truncated: String,
    png16: String,
    exif_rotation: bool,
    max_file_bytes: usize,
    max_pixels: usize,
    max_aspect: usize,
    max_scans: usize,
    max_coefficient_bytes: usize,
    max_scanned_pixels: usize,
}

impl Decode {
    /// As the core has them.
    pub fn options(&self) -> Result<DecodeOptions, Error> {
        Ok(DecodeOptions {
            truncated: Truncated::find(&self.truncated)?,
            png16: Png16::find(&self.png16)?,
            exif_rotation: self.exif_rotation,
            limits: Limits {
                file_bytes: self.max_file_bytes,
                pixels: self.max_pixels,
                aspect: self.max_aspect,
                scans: self.max_scans,
                coefficient_bytes: self.max_coefficient_bytes,
                scanned_pixels: self.max_scanned_pixels,
            },
        })
    }
}

/// `llava_fast.ImageConfig`.
#[derive(FromPyObject)]
pub struct Image {
    size: usize,
    mode: String,
    patch_size: usize,
    mean: [f32; 3],
    std: [f32; 3],
    grid_pinpoints: Option<Vec<[usize; 2]>>,
    grid_rule: String,
    output: String,
    decode: Decode,
}

impl Image {
    /// As the core has them.
    pub fn config(&self) -> Result<ImageConfig, Error> {
        let mode = Mode::find(&self.mode)?;
        let mut config = ImageConfig::new(self.size, mode, self.patch_size, self.mean, self.std)?;
        let rule = GridRule::find(&self.grid_rule)?;
        config.grids = Grids::new(self.grid_pinpoints.as_deref(), rule, self.size)?;
        config.decode = self.decode.options()?;
        Ok(config)
    }

    /// The form that is asked for.
    pub fn output(&self) -> Result<Output, Error> {
        Output::find(&self.output)
    }
}

/// Tokens that a picture of that size takes in a conversation.
#[pyfunction]
pub fn image_tokens(config: Image, height: usize, width: usize) -> PyResult<usize> {
    Ok(config.config().map_err(to_python)?.image_tokens(width, height))
}

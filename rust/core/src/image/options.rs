//! What a caller may choose about decoding.

use crate::{Error, Result};

/// What becomes of a picture whose file ends too early.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Truncated {
    /// an error
    #[default]
    Error,
    /// what Pillow shows with `LOAD_TRUNCATED_IMAGES`
    Fill,
}

impl Truncated {
    /// `error` or `fill`.
    ///
    /// # Errors
    /// `Argument` for another name.
    pub fn find(name: &str) -> Result<Self> {
        match name {
            "error" => Ok(Self::Error),
            "fill" => Ok(Self::Fill),
            _ => Err(unknown("truncated", name, "error, fill")),
        }
    }
}

/// What becomes of the 16-bit samples of a gray PNG.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Png16 {
    /// cut at 255, as Pillow's `convert("RGB")` does: nearly every such picture turns white
    #[default]
    Clip,
    /// the high byte
    Scale,
}

impl Png16 {
    /// `clip` or `scale`.
    ///
    /// # Errors
    /// `Argument` for another name.
    pub fn find(name: &str) -> Result<Self> {
        match name {
            "clip" => Ok(Self::Clip),
            "scale" => Ok(Self::Scale),
            _ => Err(unknown("png16", name, "clip, scale")),
        }
    }
}

fn unknown(option: &str, name: &str, known: &str) -> Error {
    Error::Argument(format!("{option}: got `{name}`, expected one of {known}"))
}

/// What a file may ask for; checked from its header, before anything of that size is allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// bytes of a file
    pub file_bytes: usize,
    /// width times height
    pub pixels: usize,
    /// longer side over shorter side
    pub aspect: usize,
    /// scans of a progressive JPEG
    pub scans: usize,
    /// bytes of coefficients that a progressive JPEG keeps until its last scan
    pub coefficient_bytes: usize,
    /// pixels times scans of a progressive JPEG, which bounds the time it takes
    pub scanned_pixels: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            file_bytes: 64 << 20,
            pixels: 64 << 20,
            aspect: 200,
            scans: 100,
            coefficient_bytes: 256 << 20,
            scanned_pixels: 1 << 31,
        }
    }
}

/// Choices of [`decode`](super::decode); the defaults are Pillow's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecodeOptions {
    /// files that end too early
    pub truncated: Truncated,
    /// 16-bit gray PNG
    pub png16: Png16,
    /// turn and mirror by the EXIF orientation, as `ImageOps.exif_transpose` does
    pub exif_rotation: bool,
    /// what a file may ask for
    pub limits: Limits,
}

//! How large a picture is, by as little of its file as tells.

use super::Images;
use crate::Result;
use crate::image::{DecodeOptions, probe};

/// Bytes that hold the header of nearly every picture file.
const START: usize = 16 << 10;

impl Images {
    /// Width and height in pixels that the header of a picture file says.
    ///
    /// # Errors
    /// As [`Images::read`], and what [`probe`] says of the whole file.
    pub fn size(&self, name: &str, options: &DecodeOptions) -> Result<(usize, usize)> {
        let start = self.start(name, START, &options.limits)?;
        if let Ok(size) = probe(&start, options) {
            return Ok(size);
        }
        probe(&self.read(name, &options.limits)?, options)
    }
}

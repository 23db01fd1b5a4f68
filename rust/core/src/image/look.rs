//! What has to be known of a picture before there is room for it.

use super::{ImageConfig, Mode, probe};
use crate::Result;

/// A picture that is not decoded yet.
#[derive(Debug)]
pub(crate) struct Known<F> {
    /// squares that it becomes
    pub squares: usize,
    /// tokens that it takes
    pub tokens: usize,
    /// height and width, zeros if nobody had to look
    pub size: [i64; 2],
    /// what was read to learn that
    pub file: Option<F>,
}

/// Reads the header of a picture where its size decides how many squares it becomes; elsewhere `read`
/// is not called.
///
/// # Errors
/// Those of `read` and [`probe`].
pub(crate) fn look<F: AsRef<[u8]>>(
    config: &ImageConfig,
    read: impl FnOnce() -> Result<F>,
) -> Result<Known<F>> {
    if config.mode != Mode::AnyRes {
        return Ok(Known { squares: 1, tokens: config.patches(), size: [0; 2], file: None });
    }
    let file = read()?;
    let (width, height) = probe(file.as_ref(), &config.decode)?;
    Ok(Known { file: Some(file), ..Known::of_size(config, width, height) })
}

impl<F> Known<F> {
    /// Of a picture whose size is known without its file.
    pub(crate) fn of_size(config: &ImageConfig, width: usize, height: usize) -> Self {
        Self {
            squares: config.squares(width, height),
            tokens: config.image_tokens(width, height),
            size: [height as i64, width as i64],
            file: None,
        }
    }
}

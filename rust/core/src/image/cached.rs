//! Files to squares, by way of the pixel cache where there is one.

use super::fit::each_plan;
use super::scratch::Scratch;
use super::{Form, ImageConfig, Rows, fit, open, planes_into};
use crate::Result;
use crate::cache::{PixelCache, Settings};

/// A cache, and what the keys of all pictures of a batch share.
#[derive(Clone, Copy)]
pub(crate) struct Cached<'a> {
    cache: &'a PixelCache,
    settings: Settings,
}

impl<'a> Cached<'a> {
    pub(crate) fn new(cache: &'a PixelCache, config: &ImageConfig) -> Self {
        Self { cache, settings: Settings::new(config) }
    }
}

/// Writes the squares of a picture, given the bytes of its file, to the start of `out` and zeros
/// behind them; height and width of the picture come back. A cache changes nothing but the time it
/// takes, also for a file that cannot be decoded: only whole pictures are kept.
///
/// # Errors
/// Those of [`open`] and [`fit`].
pub(crate) fn fit_file<T: Form>(
    file: &[u8],
    config: &ImageConfig,
    squares: usize,
    cached: Option<Cached<'_>>,
    out: &mut [T],
) -> Result<[i64; 2]> {
    let Some(cached) = cached else {
        let mut image = open(file, &config.decode)?;
        fit(&mut image, config, out)?;
        return Ok([image.height() as i64, image.width() as i64]);
    };
    let mut planes = Scratch::take(squares * config.values_len())?;
    let (height, width) = cached.planes(file, config, &mut planes)?;
    let (squares, behind) = out.split_at_mut(squares * T::square(config));
    T::FROM_PLANES(&planes, config, squares)?;
    behind.fill(T::default());
    Ok([height as i64, width as i64])
}

impl Cached<'_> {
    /// Fills `planes` from the cache, or else from the file; then they are kept.
    fn planes(
        self,
        file: &[u8],
        config: &ImageConfig,
        planes: &mut [u8],
    ) -> Result<(usize, usize)> {
        let key = self.settings.key(file);
        if let Some(size) = self.cache.get(&key, planes) {
            return Ok(size);
        }
        let mut image = open(file, &config.decode)?;
        each_plan(&mut image, config, config.values_len(), planes, planes_into)?;
        let size = (image.height(), image.width());
        self.cache.put(&key, size, planes);
        Ok(size)
    }
}

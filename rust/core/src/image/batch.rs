//! Many pictures at once, on several threads.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use super::fit::Places;
use super::{Cached, Form, ImageConfig, Known, Output, Pixels, Rgb8, fit, fit_file, look};
use crate::cache::PixelCache;
use crate::parallel;
use crate::source::read_image;
use crate::{Error, Result};

/// Where a picture comes from.
#[derive(Debug)]
pub enum Source<B> {
    /// the bytes of a file
    Bytes(B),
    /// a file by name
    File(PathBuf),
    /// already decoded
    Pixels(Rgb8<B>),
}

/// Result of [`process`].
#[derive(Debug)]
pub struct Batch {
    /// model input, picture after picture
    pub pixels: Pixels,
    /// squares of each picture; [`Pixels::Values`] have as many for each as the largest, zeros where
    /// the picture has none
    pub squares: Vec<usize>,
    /// height and width of each picture as it was in its file
    pub sizes: Vec<[i64; 2]>,
}

/// Reads, decodes and fits pictures with up to `threads` threads. What comes as a file is looked for
/// in `cache` first, and kept there.
///
/// # Errors
/// That of the first bad picture in list order, naming its file or its place in the list.
pub fn process<B: AsRef<[u8]> + Sync>(
    sources: &[Source<B>],
    config: &ImageConfig,
    output: Output,
    threads: usize,
    cache: Option<&PixelCache>,
) -> Result<Batch> {
    let cached = cache.map(|cache| Cached::new(cache, config));
    match output {
        Output::Values => all::<B, f32>(sources, config, output, threads, cached),
        Output::Patches => all::<B, u8>(sources, config, output, threads, cached),
    }
}

fn all<B: AsRef<[u8]> + Sync, T: Form>(
    sources: &[Source<B>],
    config: &ImageConfig,
    output: Output,
    threads: usize,
    cached: Option<Cached<'_>>,
) -> Result<Batch> {
    let numbered: Vec<_> = sources.iter().enumerate().collect();
    let known = parallel::map(numbered, threads, |(index, source)| {
        source.look(config).map_err(|error| source.named(error, index))
    });
    let known = known.into_iter().collect::<Result<Vec<_>>>()?;
    let squares: Vec<_> = known.iter().map(|known| known.squares).collect();
    let places = Places::new::<T>(&squares, output, config);
    let mut buffer = places.buffer()?;
    let parts = places.split(&mut buffer);
    let items = sources.iter().zip(known).zip(parts).enumerate().collect();
    let sizes = parallel::map(items, threads, |(index, ((source, known), part))| {
        source.write(known, config, cached, part).map_err(|e| source.named(e, index))
    });
    let sizes = sizes.into_iter().collect::<Result<_>>()?;
    Ok(Batch { pixels: T::pixels(buffer), squares, sizes })
}

impl<B: AsRef<[u8]>> Source<B> {
    fn look(&self, config: &ImageConfig) -> Result<Known<Cow<'_, [u8]>>> {
        match self {
            Self::Pixels(image) => Ok(Known::of_size(config, image.width, image.height)),
            Self::Bytes(bytes) => look(config, || Ok(Cow::Borrowed(bytes.as_ref()))),
            Self::File(path) => look(config, || read(path, config)),
        }
    }

    /// Height and width of the picture that was written.
    fn write<T: Form>(
        &self,
        known: Known<Cow<'_, [u8]>>,
        config: &ImageConfig,
        cached: Option<Cached<'_>>,
        out: &mut [T],
    ) -> Result<[i64; 2]> {
        match self {
            Self::Pixels(image) => {
                fit(&mut { image }, config, out)?;
                Ok([image.height as i64, image.width as i64])
            }
            Self::Bytes(bytes) => fit_file(bytes.as_ref(), config, known.squares, cached, out),
            Self::File(path) => {
                let bytes = known.file.map_or_else(|| read(path, config), Ok)?;
                fit_file(&bytes, config, known.squares, cached, out)
            }
        }
    }

    fn named(&self, error: Error, index: usize) -> Error {
        match self {
            Self::File(path) => error.in_image(&path.to_string_lossy()),
            Self::Bytes(_) | Self::Pixels(_) => error.in_image(&format!("images[{index}]")),
        }
    }
}

fn read<'a>(path: &Path, config: &ImageConfig) -> Result<Cow<'a, [u8]>> {
    read_image(path, &config.decode.limits).map(Cow::Owned)
}

//! Many pictures at once, on several threads.

use std::path::PathBuf;

use super::{
    DecodeOptions, ImageConfig, Output, Plan, Rgb8, Rows, open, patches_into, values_into,
};
use crate::parallel;
use crate::pool::{Number, Pooled};
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
    Pixels(Rgb8),
}

/// Model input of a batch, picture after picture.
#[derive(Debug)]
pub enum Pixels {
    /// of [`values_into`]
    Values(Pooled<f32>),
    /// of [`patches_into`]
    Patches(Pooled<u8>),
}

/// Result of [`process`].
#[derive(Debug)]
pub struct Batch {
    /// model input
    pub pixels: Pixels,
    /// height and width of each picture as it was in its file
    pub sizes: Vec<[i64; 2]>,
}

/// Reads, decodes and fits pictures with up to `threads` threads.
///
/// # Errors
/// That of the first bad picture in list order, naming its file or its place in the list.
pub fn process<B: AsRef<[u8]> + Sync>(
    sources: &[Source<B>],
    config: &ImageConfig,
    output: Output,
    threads: usize,
) -> Result<Batch> {
    let count = sources.len();
    match output {
        Output::Values => {
            let mut values = buffer(count, config.values_len())?;
            let write = |image: &mut dyn Rows, out: &mut [f32]| {
                let plan = Plan::new(image.width(), image.height(), config);
                values_into(image, &plan, config, out)
            };
            let sizes =
                each(sources, &mut values, config.values_len(), threads, &config.decode, write)?;
            Ok(Batch { pixels: Pixels::Values(values), sizes })
        }
        Output::Patches => {
            let mut patches = buffer(count, config.patches_len())?;
            let write = |image: &mut dyn Rows, out: &mut [u8]| {
                let plan = Plan::new(image.width(), image.height(), config);
                patches_into(image, &plan, config, out)
            };
            let sizes =
                each(sources, &mut patches, config.patches_len(), threads, &config.decode, write)?;
            Ok(Batch { pixels: Pixels::Patches(patches), sizes })
        }
    }
}

/// A buffer for `count` pictures of `size` numbers each.
///
/// # Errors
/// `Argument` if there is no memory.
pub(crate) fn buffer<T: Number>(count: usize, size: usize) -> Result<Pooled<T>> {
    count.checked_mul(size).and_then(Pooled::take).ok_or_else(|| {
        Error::Argument(format!("no memory for the {count} pictures of a batch; make it smaller"))
    })
}

/// Calls `write` for each picture with its own part of `out`; the sizes come back.
fn each<B: AsRef<[u8]> + Sync, T: Send>(
    sources: &[Source<B>],
    out: &mut [T],
    length: usize,
    threads: usize,
    options: &DecodeOptions,
    write: impl Fn(&mut dyn Rows, &mut [T]) -> Result<()> + Sync,
) -> Result<Vec<[i64; 2]>> {
    let items = sources.iter().zip(out.chunks_exact_mut(length)).enumerate().collect();
    let sizes = parallel::map(items, threads, |(index, (source, slot))| {
        one(source, slot, options, &write).map_err(|error| named(error, source, index))
    });
    sizes.into_iter().collect()
}

fn one<B: AsRef<[u8]>, T>(
    source: &Source<B>,
    slot: &mut [T],
    options: &DecodeOptions,
    write: impl Fn(&mut dyn Rows, &mut [T]) -> Result<()>,
) -> Result<[i64; 2]> {
    let mut opened;
    let mut pixels;
    let image: &mut dyn Rows = match source {
        Source::Pixels(image) => {
            pixels = image;
            &mut pixels
        }
        Source::Bytes(bytes) => {
            opened = open(bytes.as_ref(), options)?;
            &mut opened
        }
        Source::File(path) => {
            opened = open(&read_image(path, &options.limits)?, options)?;
            &mut opened
        }
    };
    write(image, slot)?;
    Ok([image.height() as i64, image.width() as i64])
}

fn named<B>(error: Error, source: &Source<B>, index: usize) -> Error {
    match source {
        Source::File(path) => error.in_image(&path.to_string_lossy()),
        Source::Bytes(_) | Source::Pixels(_) => error.in_image(&format!("images[{index}]")),
    }
}

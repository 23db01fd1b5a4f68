//! Pictures: file bytes or pixels in, arrays out.

use std::path::PathBuf;

use llava_fast_core::cache::{PixelCache, Stats};
use llava_fast_core::image::{self, ImageConfig, Mode, Output, Pixels, Rgb8, Source};
use llava_fast_core::{Error, source};
use numpy::ndarray::Array3;
use numpy::{IntoPyArray, PyArray1, PyArray2, PyArray3, PyArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;

use crate::arrays::pixel_array;
use crate::errors::to_python;
use crate::settings::{Decode, Image};

/// (pixels, squares of each picture, height and width of each)
type Processed<'py> = (Bound<'py, PyAny>, Bound<'py, PyArray1<i32>>, Bound<'py, PyArray2<i64>>);

/// `decode_image(bytes, options)`: `(H, W, 3)` uint8.
#[pyfunction]
pub fn decode_image(
    py: Python<'_>,
    data: PyBackedBytes,
    options: Decode,
) -> PyResult<Bound<'_, PyArray3<u8>>> {
    let decode = || image::decode(&data, &options.options()?);
    to_array(py, py.detach(decode).map_err(to_python)?)
}

/// `decode_image_file(path, options)`: `(H, W, 3)` uint8; an error names the path.
#[pyfunction]
pub fn decode_image_file(
    py: Python<'_>,
    path: PathBuf,
    options: Decode,
) -> PyResult<Bound<'_, PyArray3<u8>>> {
    let options = options.options().map_err(to_python)?;
    let read = || {
        let bytes = source::read_image(None, &path, options.limits.file_bytes)?;
        image::decode(&bytes, &options)
    };
    let named = |error: Error| to_python(error.in_image(&path.to_string_lossy()));
    to_array(py, py.detach(read).map_err(named)?)
}

/// `image_size(bytes, ...)`: width and height that `decode_image` would give, from the headers.
#[pyfunction]
#[pyo3(signature = (data, *, exif_rotation=false))]
pub fn image_size(data: PyBackedBytes, exif_rotation: bool) -> PyResult<(usize, usize)> {
    let options = DecodeOptions { exif_rotation, ..DecodeOptions::default() };
    image::probe(&data, &options).map_err(to_python)
}

fn options(truncated: &str, png16: &str, exif_rotation: bool) -> PyResult<DecodeOptions> {
    let truncated = match truncated {
        "error" => Truncated::Error,
        "fill" => Truncated::Fill,
        other => return Err(unknown("truncated", other, "error, fill")),
    };
    let png16 = match png16 {
        "clip" => Png16::Clip,
        "scale" => Png16::Scale,
        other => return Err(unknown("png16", other, "clip, scale")),
    };
    Ok(DecodeOptions { truncated, png16, exif_rotation, ..DecodeOptions::default() })
}

fn to_array(py: Python<'_>, image: Rgb8) -> PyResult<Bound<'_, PyArray3<u8>>> {
    let shape = (image.height, image.width, 3);
    let array = Array3::from_shape_vec(shape, image.pixels)
        .map_err(|error| PyValueError::new_err(error.to_string()))?;
    Ok(array.into_pyarray(py))
}

/// A picture as Python hands it over.
#[derive(FromPyObject)]
pub enum Given {
    /// height, width and as many times three bytes
    Pixels(usize, usize, PyBackedBytes),
    /// the bytes of a file
    Bytes(PyBackedBytes),
    /// a file by name
    File(PathBuf),
}

/// Model input from pictures, a batch at a time.
#[pyclass(frozen, module = "llava_fast._rust")]
pub struct ImagePipeline {
    config: ImageConfig,
    output: Output,
    cache: Option<PixelCache>,
}

#[pymethods]
impl ImagePipeline {
    #[new]
    #[pyo3(signature = (config, cache=None))]
    fn new(config: Image, cache: Option<(PathBuf, u64)>) -> PyResult<Self> {
        let output = config.output().map_err(to_python)?;
        let cache = cache.map(|(folder, bytes)| PixelCache::open(&folder, bytes)).transpose();
        let cache = cache.map_err(to_python)?;
        Ok(Self { config: config.config().map_err(to_python)?, output, cache })
    }

    /// Hits, misses, damaged, written and unwritten records of the cache, by name; empty without one.
    fn cache_stats(&self) -> Vec<(&'static str, u64)> {
        self.cache.as_ref().map_or_else(Vec::new, |cache| {
            let Stats { hits, misses, damaged, written, unwritten } = cache.stats();
            let counts = [hits, misses, damaged, written, unwritten];
            ["hits", "misses", "damaged", "written", "unwritten"].into_iter().zip(counts).collect()
        })
    }

    /// Bytes, paths and (height, width, bytes) of pixels in; see [`Processed`].
    fn process<'py>(
        &self,
        py: Python<'py>,
        images: Vec<Given>,
        num_threads: usize,
    ) -> PyResult<Processed<'py>> {
        let sources =
            images.into_iter().enumerate().map(|(index, image)| self.source(index, image));
        let sources = sources.collect::<Result<Vec<_>, _>>().map_err(to_python)?;
        let run = || {
            let cache = self.cache.as_ref();
            image::process(&sources, &self.config, self.output, num_threads, cache)
        };
        let image::Batch { pixels, squares, sizes } = py.detach(run).map_err(to_python)?;
        let shape = match pixels {
            Pixels::Patches(_) => vec![squares.iter().sum()],
            Pixels::Values(_) if self.config.mode != Mode::AnyRes => vec![squares.len()],
            Pixels::Values(_) => {
                vec![squares.len(), squares.iter().copied().max().unwrap_or(0)]
            }
        };
        let squares: Vec<_> = squares.into_iter().map(|count| count as i32).collect();
        let sizes = sizes.into_flattened().into_pyarray(py).reshape([sources.len(), 2])?;
        let pixels = pixel_array(py, pixels, shape, &self.config)?;
        Ok((pixels, squares.into_pyarray(py), sizes))
    }
}

impl ImagePipeline {
    fn source(&self, index: usize, image: Given) -> Result<Source<PyBackedBytes>, Error> {
        Ok(match image {
            Given::File(path) => Source::File(path),
            Given::Bytes(data) => Source::Bytes(data),
            Given::Pixels(height, width, data) => {
                let image = Rgb8::new(width, height, data, &self.config.decode.limits);
                Source::Pixels(image.map_err(|e| e.in_image(&format!("images[{index}]")))?)
            }
        })
    }
}

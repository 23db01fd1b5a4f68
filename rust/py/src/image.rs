//! Pictures: file bytes or pixels in, arrays out.

use std::path::PathBuf;

use llava_fast_core::Error;
use llava_fast_core::cache::{PixelCache, Stats};
use llava_fast_core::image::{self, ImageConfig, Output, Rgb8, Source};
use llava_fast_core::source::read_image;
use numpy::{IntoPyArray, PyArray1, PyArray2, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;

use crate::arrays::{pixel_array, rgb_array};
use crate::errors::to_python;
use crate::settings::{Decode, Image};

/// (pixels, squares of each picture, height and width of each)
type Processed<'py> = (Bound<'py, PyAny>, Bound<'py, PyArray1<i32>>, Bound<'py, PyArray2<i64>>);

/// A file as Python hands it over.
#[derive(FromPyObject)]
pub enum File {
    /// all its bytes
    Bytes(PyBackedBytes),
    /// its name
    Named(PathBuf),
}

/// A picture as Python hands it over.
#[derive(FromPyObject)]
pub enum Given {
    /// height, width and as many times three bytes
    Pixels(usize, usize, PyBackedBytes),
    /// not decoded yet
    File(File),
}

/// `decode_image(source, options)`: `(H, W, 3)` uint8; an error names the path.
#[pyfunction]
pub fn decode_image(py: Python<'_>, source: File, options: Decode) -> PyResult<Bound<'_, PyAny>> {
    let decode = || match &source {
        File::Bytes(data) => image::decode(data, &options.options()?),
        File::Named(path) => {
            let options = options.options()?;
            let read = read_image(path, &options.limits);
            let decoded = read.and_then(|bytes| image::decode(&bytes, &options));
            decoded.map_err(|error| error.in_image(&path.to_string_lossy()))
        }
    };
    rgb_array(py, py.detach(decode).map_err(to_python)?)
}

/// `image_size(bytes, options)`: width and height that `decode_image` would give, from the headers.
#[pyfunction]
pub fn image_size(data: PyBackedBytes, options: Decode) -> PyResult<(usize, usize)> {
    options.options().and_then(|options| image::probe(&data, &options)).map_err(to_python)
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
        let squares: Vec<_> = squares.into_iter().map(|count| count as i32).collect();
        let sizes = sizes.into_flattened().into_pyarray(py).reshape([sources.len(), 2])?;
        let pixels = pixel_array(py, pixels, sources.len(), &self.config)?;
        Ok((pixels, squares.into_pyarray(py), sizes))
    }
}

impl ImagePipeline {
    fn source(&self, index: usize, image: Given) -> Result<Source<PyBackedBytes>, Error> {
        Ok(match image {
            Given::File(File::Named(path)) => Source::File(path),
            Given::File(File::Bytes(data)) => Source::Bytes(data),
            Given::Pixels(height, width, data) => {
                let image = Rgb8::new(width, height, data, &self.config.decode.limits);
                Source::Pixels(image.map_err(|e| e.in_image(&format!("images[{index}]")))?)
            }
        })
    }
}

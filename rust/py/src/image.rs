//! Pictures: file bytes or pixels in, arrays out.

use std::path::PathBuf;

use llava_fast_core::image::{
    self, Batch, DecodeOptions, ImageConfig, Mode, Output, Pixels, Png16, Rgb8, Source, Truncated,
};
use llava_fast_core::{Error, source};
use numpy::ndarray::Array3;
use numpy::{
    IntoPyArray, PyArray2, PyArray3, PyArrayMethods, PyReadonlyArray3, PyUntypedArrayMethods,
};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyList;

use crate::arrays::pixel_array;
use crate::errors::to_python;

/// `decode_image(bytes, ...)`: `(H, W, 3)` uint8.
#[pyfunction]
#[pyo3(signature = (data, *, truncated="error", png16="clip", exif_rotation=false))]
pub fn decode_image<'py>(
    py: Python<'py>,
    data: PyBackedBytes,
    truncated: &str,
    png16: &str,
    exif_rotation: bool,
) -> PyResult<Bound<'py, PyArray3<u8>>> {
    let options = options(truncated, png16, exif_rotation)?;
    to_array(py, py.detach(|| image::decode(&data, &options)).map_err(to_python)?)
}

/// `decode_image_file(path, ...)`: `(H, W, 3)` uint8; an error names the path.
#[pyfunction]
#[pyo3(signature = (path, *, truncated="error", png16="clip", exif_rotation=false))]
pub fn decode_image_file<'py>(
    py: Python<'py>,
    path: PathBuf,
    truncated: &str,
    png16: &str,
    exif_rotation: bool,
) -> PyResult<Bound<'py, PyArray3<u8>>> {
    let options = options(truncated, png16, exif_rotation)?;
    let read = || {
        let options = DecodeOptions::default();
        source::read_image(&path, &options.limits).and_then(|bytes| image::decode(&bytes, &options))
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

/// Model input from pictures, a batch at a time.
#[pyclass(frozen, module = "llava_fast._rust")]
pub struct ImagePipeline {
    config: ImageConfig,
    output: Output,
}

#[pymethods]
impl ImagePipeline {
    #[new]
    fn new(
        size: usize,
        mode: &str,
        patch_size: usize,
        mean: [f32; 3],
        std: [f32; 3],
        output: &str,
    ) -> PyResult<Self> {
        let mode = Mode::find(mode).map_err(to_python)?;
        let output = match output {
            "pixel_values" => Output::Values,
            "pixel_patches" => Output::Patches,
            other => return Err(unknown("output", other, "pixel_values, pixel_patches")),
        };
        let config = ImageConfig::new(size, mode, patch_size, mean, std).map_err(to_python)?;
        Ok(Self { config, output })
    }

    /// Bytes, paths and `(H, W, 3)` uint8 arrays in; the batch and the `(N, 2)` int64 sizes out.
    fn process<'py>(
        &self,
        py: Python<'py>,
        images: &Bound<'py, PyList>,
        num_threads: usize,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyArray2<i64>>)> {
        let sources = images
            .iter()
            .enumerate()
            .map(|(index, image)| picture(index, &image))
            .collect::<PyResult<Vec<_>>>()?;
        let run = || image::process(&sources, &self.config, self.output, num_threads);
        let Batch { pixels, sizes } = py.detach(run).map_err(to_python)?;
        let size_array = sizes.into_flattened().into_pyarray(py).reshape([sources.len(), 2])?;
        Ok((pixel_array(py, pixels, &self.config)?, size_array))
    }
}

fn unknown(name: &str, got: &str, expected: &str) -> PyErr {
    to_python(Error::Argument(format!("{name}: got `{got}`, expected one of {expected}")))
}

fn picture(index: usize, image: &Bound<'_, PyAny>) -> PyResult<Source<PyBackedBytes>> {
    if let Ok(path) = image.extract::<PathBuf>() {
        return Ok(Source::File(path));
    }
    if let Ok(array) = image.extract::<PyReadonlyArray3<'_, u8>>() {
        let [height, width, channels] = [0, 1, 2].map(|axis| array.shape()[axis]);
        if channels == 3 {
            let pixels = array.as_array().iter().copied().collect();
            return Ok(Source::Pixels(Rgb8::new(width, height, pixels).map_err(to_python)?));
        }
    } else if let Ok(data) = image.extract::<PyBackedBytes>() {
        return Ok(Source::Bytes(data));
    }
    Err(PyTypeError::new_err(format!(
        "images[{index}]: got {}, expected bytes, a path, a PIL image or an (H, W, 3) uint8 array",
        image.get_type()
    )))
}

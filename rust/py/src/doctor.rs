//! What `llava-fast doctor` and the benches ask about the processor and the settings.

use llava_fast_core::image::{Limits, simd};
use pyo3::prelude::*;

use crate::errors::to_python;

/// Each path by name, simplest first, and whether this processor has its instructions.
#[pyfunction]
pub fn cpu_paths() -> Vec<(&'static str, bool)> {
    simd::Path::ALL.map(|path| (path.name(), path.available())).to_vec()
}

/// The path of this process; `ValueError` if `LLAVA_FAST_CPU` names none that can run.
#[pyfunction]
pub fn cpu_path() -> PyResult<&'static str> {
    simd::Path::chosen().map(simd::Path::name).map_err(to_python)
}

/// What a file may ask for by default, by name.
#[pyfunction]
pub fn decode_limits() -> Vec<(&'static str, usize)> {
    let Limits { file_bytes, pixels, aspect, scans, coefficient_bytes, scanned_pixels } =
        Limits::default();
    vec![
        ("file_bytes", file_bytes),
        ("pixels", pixels),
        ("aspect", aspect),
        ("scans", scans),
        ("coefficient_bytes", coefficient_bytes),
        ("scanned_pixels", scanned_pixels),
    ]
}

//! `llava_fast._rust`: the list of what Python sees. Each file here extracts, detaches, wraps.

#![allow(clippy::needless_pass_by_value, reason = "pyo3 hands arguments over by value")]

mod arrays;
mod check;
mod counts;
mod dataset;
mod doctor;
mod errors;
mod image;
mod loading;
mod records;
mod settings;
mod stream;
mod text;
mod wait;

use pyo3::pymodule;

/// The compiled half of `llava_fast`.
#[pymodule(gil_used = false)]
mod _rust {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::check::Check;
    #[pymodule_export]
    use super::counts::Counts;
    #[pymodule_export]
    use super::dataset::{Dataset, available_threads};
    #[pymodule_export]
    use super::doctor::{cpu_path, cpu_paths, decode_limits};
    #[pymodule_export]
    use super::image::{ImagePipeline, decode_image, image_size};
    #[pymodule_export]
    use super::loading::Loading;
    #[pymodule_export]
    use super::records::Records;
    #[pymodule_export]
    use super::settings::image_tokens;
    #[pymodule_export]
    use super::stream::{Epoch, Stream};
    #[pymodule_export]
    use super::text::{Tokenizer, encode, encode_prompt, template_name, templates};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}

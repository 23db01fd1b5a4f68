//! The one place where an exception type is chosen.

use llava_fast_core::{Class, Error};
use pyo3::PyErr;
use pyo3::exceptions::PyValueError;

pyo3::import_exception!(llava_fast.errors, DataError);
pyo3::import_exception!(llava_fast.errors, ImageError);

/// `Err(core error)` to the Python exception of its class; the message names file, record and cause.
#[allow(clippy::needless_pass_by_value, reason = "the shape that `map_err` wants")]
pub fn to_python(error: Error) -> PyErr {
    let code = error.code();
    new_error(error.class(), error.to_string(), code)
}

/// The exception of a class.
pub fn new_error(class: Class, message: String, code: &str) -> PyErr {
    let code = code.to_owned();
    match class {
        Class::Image => ImageError::new_err((message, code)),
        Class::Data => DataError::new_err((message, code)),
        Class::Argument => PyValueError::new_err(message),
    }
}

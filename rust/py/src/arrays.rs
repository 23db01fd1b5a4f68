//! Batches as dictionaries of numpy arrays; every array takes over its memory, nothing is copied.
#![allow(unsafe_code, reason = "an array over the memory of a pooled buffer, which it keeps alive")]

use llava_fast_core::image::ImageConfig;
use llava_fast_core::image::Pixels;
use llava_fast_core::loader::Batch;
use llava_fast_core::pack::{self, Document};
use numpy::ndarray::{ArrayView, Dimension, StrideShape};
use numpy::{Element, IntoPyArray, PyArray, PyArray1, PyArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// How documents are laid out.
#[derive(Clone, Copy)]
pub enum Layout {
    /// one row for transformers
    Packed,
    /// one row per document
    Padded,
    /// one row for the models of this project
    Native,
}

impl Layout {
    /// By its name in Python.
    pub fn find(name: &str) -> PyResult<Self> {
        match name {
            "packed" => Ok(Self::Packed),
            "padded" => Ok(Self::Padded),
            "native" => Ok(Self::Native),
            _ => Err(PyValueError::new_err(format!(
                "layout: got `{name}`, expected `packed`, `padded` or `native`"
            ))),
        }
    }
}

/// The keys of a layout. Without a picture there is no key for pictures.
pub fn to_dict<'py>(
    py: Python<'py>,
    batch: Batch,
    layout: Layout,
    image: &ImageConfig,
    pad: u32,
) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    match layout {
        Layout::Packed => packed(&dict, &batch.documents)?,
        Layout::Padded => padded(&dict, &batch.documents, pad)?,
        Layout::Native => native(&dict, &batch.documents)?,
    }
    match batch.pixels {
        Pixels::Values(values) if values.is_empty() => {}
        Pixels::Patches(bytes) if bytes.is_empty() => {}
        pixels @ Pixels::Values(_) => {
            dict.set_item("pixel_values", pixel_array(py, pixels, image)?)?;
        }
        pixels @ Pixels::Patches(_) => {
            dict.set_item("pixel_patches", pixel_array(py, pixels, image)?)?;
        }
    }
    Ok(dict)
}

/// The memory under an array of pixels. It goes back to the pool when this is freed, which is when
/// nothing refers to the array any more.
#[pyclass(frozen)]
struct Memory(Pixels);

/// `(N, 3, S, S)` float32 or `(N, P, K)` uint8.
pub fn pixel_array<'py>(
    py: Python<'py>,
    pixels: Pixels,
    image: &ImageConfig,
) -> PyResult<Bound<'py, PyAny>> {
    let owner = Bound::new(py, Memory(pixels))?;
    match &owner.get().0 {
        Pixels::Values(values) => {
            let shape = (values.len() / image.values_len(), 3, image.size, image.size);
            over(values, shape, owner.clone().into_any())
        }
        Pixels::Patches(bytes) => {
            let images = bytes.len() / image.patches_len();
            let shape = (images, image.image_tokens(), image.patch_row());
            over(bytes, shape, owner.clone().into_any())
        }
    }
}

fn over<'py, T: Element, D: Dimension>(
    numbers: &[T],
    shape: impl Into<StrideShape<D>>,
    owner: Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let view = ArrayView::from_shape(shape, numbers)
        .map_err(|error| PyValueError::new_err(error.to_string()))?;
    // SAFETY: the owner holds the memory and never touches it again before it is freed; the array
    // refers to the owner.
    Ok(unsafe { PyArray::borrow_from_array(&view, owner) }.into_any())
}

fn put<T: Element>(dict: &Bound<'_, PyDict>, key: &str, values: Vec<T>) -> PyResult<()> {
    dict.set_item(key, values.into_pyarray(dict.py()))
}

fn put_rows<T: Element>(
    dict: &Bound<'_, PyDict>,
    key: &str,
    values: Vec<T>,
    rows: usize,
) -> PyResult<()> {
    let columns = values.len() / rows;
    dict.set_item(key, values.into_pyarray(dict.py()).reshape([rows, columns])?)
}

fn packed(dict: &Bound<'_, PyDict>, documents: &[Document]) -> PyResult<()> {
    let row = pack::packed(documents);
    put_rows(dict, "input_ids", row.input_ids, 1)?;
    put_rows(dict, "labels", row.labels, 1)?;
    put_rows(dict, "position_ids", row.position_ids, 1)?;
    let borders: Bound<'_, PyArray1<i32>> = row.cu_seqlens.into_pyarray(dict.py());
    dict.set_item("cu_seq_lens_q", &borders)?;
    dict.set_item("cu_seq_lens_k", borders)?;
    dict.set_item("max_length_q", row.max_seqlen)?;
    dict.set_item("max_length_k", row.max_seqlen)?;
    // Without this, transformers makes a cache for Llava and forgets the document borders.
    dict.set_item("use_cache", false)
}

fn padded(dict: &Bound<'_, PyDict>, documents: &[Document], pad: u32) -> PyResult<()> {
    let rows = pack::padded(documents, pad);
    put_rows(dict, "input_ids", rows.input_ids, rows.rows)?;
    put_rows(dict, "labels", rows.labels, rows.rows)?;
    put_rows(dict, "attention_mask", rows.attention_mask, rows.rows)
}

fn native(dict: &Bound<'_, PyDict>, documents: &[Document]) -> PyResult<()> {
    let row = pack::native(documents);
    put(dict, "input_ids", row.input_ids)?;
    put(dict, "position_ids", row.position_ids)?;
    put(dict, "cu_seqlens", row.cu_seqlens)?;
    dict.set_item("max_seqlen", row.max_seqlen)?;
    put(dict, "loss_rows", row.loss_rows)?;
    put(dict, "targets", row.targets)?;
    if !row.image_row_starts.is_empty() {
        put(dict, "image_row_starts", row.image_row_starts)?;
    }
    put(dict, "records", row.records)
}

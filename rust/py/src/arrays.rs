//! Batches as dictionaries of numpy arrays; every array takes over its memory, nothing is copied.
#![allow(unsafe_code, reason = "an array over the memory of a pooled buffer, which it keeps alive")]

use llava_fast_core::image::{ImageConfig, Mode, Pixels};
use llava_fast_core::loader::Batch;
use llava_fast_core::pack::{self, Document};
use numpy::ndarray::{ArrayViewD, IxDyn};
use numpy::{Element, IntoPyArray, PyArray1, PyArrayDyn, PyArrayMethods};
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
    put_pixels(&dict, batch, layout, image)?;
    Ok(dict)
}

fn put_pixels(
    dict: &Bound<'_, PyDict>,
    batch: Batch,
    layout: Layout,
    image: &ImageConfig,
) -> PyResult<()> {
    let (key, squares) = match &batch.pixels {
        Pixels::Values(values) => ("pixel_values", values.len() / image.values_len()),
        Pixels::Patches(bytes) => ("pixel_patches", bytes.len() / image.patches_len()),
    };
    if squares == 0 {
        return Ok(());
    }
    let mut shape = vec![squares];
    if image.mode == Mode::AnyRes {
        let pictures = batch.sizes.len();
        put_rows(dict, "image_sizes", batch.sizes.into_flattened(), pictures)?;
        match layout {
            Layout::Native => put(dict, "tiles", batch.squares)?,
            Layout::Packed | Layout::Padded => shape = vec![pictures, squares / pictures],
        }
    }
    dict.set_item(key, pixel_array(dict.py(), batch.pixels, shape, image)?)
}

/// Owns the memory that an array shows. It is used again only when this object goes, with the last
/// array, view or tensor that refers to it.
#[pyclass(frozen)]
struct Memory(Pixels);

/// Squares as an array: `shape` of them, each 3, S, S or P, K.
pub fn pixel_array<'py>(
    py: Python<'py>,
    pixels: Pixels,
    mut shape: Vec<usize>,
    image: &ImageConfig,
) -> PyResult<Bound<'py, PyAny>> {
    let memory = Bound::new(py, Memory(pixels))?;
    match &memory.get().0 {
        Pixels::Values(values) => {
            shape.extend([3, image.size, image.size]);
            shown(&memory, values, &shape)
        }
        Pixels::Patches(bytes) => {
            shape.extend([image.patches(), image.patch_row()]);
            shown(&memory, bytes, &shape)
        }
    }
}

/// `values`, which are those of `memory`.
#[allow(unsafe_code, reason = "numpy shows memory of which Rust stays the owner")]
fn shown<'py, T: Element>(
    memory: &Bound<'py, Memory>,
    values: &[T],
    shape: &[usize],
) -> PyResult<Bound<'py, PyAny>> {
    let view = ArrayViewD::from_shape(IxDyn(shape), values)
        .map_err(|error| PyValueError::new_err(error.to_string()))?;
    // SAFETY: `memory` becomes the array's base, so it lives as long as the array does; being frozen
    // and private, nothing reads, writes or reallocates its buffer until it is dropped.
    let array = unsafe { PyArrayDyn::borrow_from_array(&view, memory.clone().into_any()) };
    Ok(array.into_any())
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

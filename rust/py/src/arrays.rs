//! Batches as dictionaries of numpy arrays; every array takes over its vector, nothing is copied.

use llava_fast_core::image::{ImageConfig, Mode, Pixels, Rgb8};
use llava_fast_core::loader::Batch;
use llava_fast_core::pack::{self, Document, Layout};
use llava_fast_core::pool::Buffer;
use numpy::ndarray::{ArrayViewD, IxDyn};
use numpy::{Element, IntoPyArray, PyArray1, PyArrayDyn, PyArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

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
    let (key, empty) = match &batch.pixels {
        Pixels::Values(values) => ("pixel_values", values.is_empty()),
        Pixels::Patches(bytes) => ("pixel_patches", bytes.is_empty()),
    };
    if empty {
        return Ok(());
    }
    let pictures = batch.sizes.len();
    dict.set_item(key, pixel_array(dict.py(), batch.pixels, pictures, image)?)?;
    if image.mode == Mode::AnyRes {
        put_rows(dict, "image_sizes", batch.sizes.into_flattened(), pictures)?;
        if matches!(layout, Layout::Native) {
            put(dict, "tiles", batch.squares)?;
        }
    }
    Ok(())
}

/// Owns the memory that an array shows. It is used again only when this object goes, with the last
/// array, view or tensor that refers to it.
#[pyclass(frozen)]
struct Memory(Pixels);

/// The array of so many pictures, of the shape that [`Pixels::shape`] says.
pub fn pixel_array<'py>(
    py: Python<'py>,
    pixels: Pixels,
    pictures: usize,
    image: &ImageConfig,
) -> PyResult<Bound<'py, PyAny>> {
    let shape = pixels.shape(pictures, image);
    array(py, pixels, &shape)
}

/// The (H, W, 3) array of a decoded picture.
pub fn rgb_array(py: Python<'_>, image: Rgb8<Buffer<u8>>) -> PyResult<Bound<'_, PyAny>> {
    array(py, Pixels::Patches(image.pixels), &[image.height, image.width, 3])
}

fn array<'py>(py: Python<'py>, pixels: Pixels, shape: &[usize]) -> PyResult<Bound<'py, PyAny>> {
    let memory = Bound::new(py, Memory(pixels))?;
    match &memory.get().0 {
        Pixels::Values(values) => shown(&memory, values, shape),
        Pixels::Patches(bytes) => shown(&memory, bytes, shape),
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
    let (queries, keys) = (row.q_tiles.len(), row.kv_tiles.len());
    put_rows(dict, "q_tiles", row.q_tiles.into_flattened(), queries)?;
    put_rows(dict, "kv_tiles", row.kv_tiles.into_flattened(), keys)?;
    put(dict, "records", row.records)
}

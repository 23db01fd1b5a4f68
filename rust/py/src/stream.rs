//! The plan of an epoch.

use std::sync::{Arc, Mutex, PoisonError};

use llava_fast_core::Error;
use llava_fast_core::plan::{Epoch as CoreEpoch, Settings, Shape, Stream as CoreStream};
use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::errors::to_python;
use crate::wait::interruptible;

/// Positional and keyword arguments.
type NewArguments<'py> =
    ((Bound<'py, PyArray1<i32>>, Bound<'py, PyArray1<u16>>), Bound<'py, PyDict>);

/// All epochs of one data set: a pure function of its arguments.
#[pyclass(frozen, module = "llava_fast._rust")]
pub struct Stream {
    core: Arc<CoreStream>,
    /// The epoch that was asked for last, and from which sample on: it is asked for again by the
    /// pass after a position was loaded, and at each step that is explained.
    last: Mutex<Option<(Place, Arc<CoreEpoch>)>>,
}

/// An epoch, and samples of it that are done.
type Place = (u64, usize);

#[pymethods]
impl Stream {
    #[new]
    #[pyo3(signature = (lengths, images, *, pack_tokens, batch_size, shuffle, drop_last, group_by_length, batches_per_step, seed, fingerprint))]
    #[allow(clippy::too_many_arguments, reason = "keyword arguments in Python")]
    fn new(
        py: Python<'_>,
        lengths: PyReadonlyArray1<'_, i32>,
        images: PyReadonlyArray1<'_, u16>,
        pack_tokens: Option<u32>,
        batch_size: Option<usize>,
        shuffle: bool,
        drop_last: bool,
        group_by_length: bool,
        batches_per_step: usize,
        seed: u64,
        fingerprint: u64,
    ) -> PyResult<Self> {
        let shape = match (pack_tokens, batch_size) {
            (Some(tokens), None) => Shape::Pack { tokens },
            (None, Some(size)) => Shape::Batch { size },
            _ => {
                let text = "expected exactly one of batch_size and pack_tokens";
                return Err(to_python(Error::Argument(text.into())));
            }
        };
        let lengths = lengths.as_array().iter().map(|&length| length as u32).collect();
        let images = images.as_array().to_vec();
        let settings = Settings {
            shape,
            shuffle,
            drop_last,
            group_by_length,
            batches_per_step,
            seed,
            fingerprint,
        };
        let core = interruptible(py, move || CoreStream::new(lengths, images, settings))?
            .map_err(to_python)?;
        Ok(Self { core: Arc::new(core), last: Mutex::new(None) })
    }

    /// For pickle and copy: the arguments of a new one.
    fn __getnewargs_ex__<'py>(&self, py: Python<'py>) -> PyResult<NewArguments<'py>> {
        let lengths: Vec<i32> = self.core.lengths.iter().map(|&length| length as i32).collect();
        let images = self.core.images.clone().into_pyarray(py);
        let Settings {
            shape,
            shuffle,
            drop_last,
            group_by_length,
            batches_per_step,
            seed,
            fingerprint,
        } = self.core.settings;
        let (pack_tokens, batch_size) = match shape {
            Shape::Pack { tokens } => (Some(tokens), None),
            Shape::Batch { size } => (None, Some(size)),
        };
        let named = PyDict::new(py);
        named.set_item("pack_tokens", pack_tokens)?;
        named.set_item("batch_size", batch_size)?;
        named.set_item("shuffle", shuffle)?;
        named.set_item("drop_last", drop_last)?;
        named.set_item("group_by_length", group_by_length)?;
        named.set_item("batches_per_step", batches_per_step)?;
        named.set_item("seed", seed)?;
        named.set_item("fingerprint", fingerprint)?;
        Ok(((lengths.into_pyarray(py), images), named))
    }

    /// Batches per rank and epoch.
    fn steps(&self, world: usize) -> usize {
        self.core.len(world)
    }

    /// Usable records.
    #[getter]
    fn samples(&self) -> usize {
        self.core.samples()
    }

    /// What remains of an epoch after its first `done` samples.
    fn epoch(&self, py: Python<'_>, epoch: u64, done: usize) -> PyResult<Epoch> {
        if let Some((place, core)) = &*self.last.lock().unwrap_or_else(PoisonError::into_inner)
            && *place == (epoch, done)
        {
            return Ok(Epoch { core: Arc::clone(core) });
        }
        let core = Arc::clone(&self.core);
        let core = interruptible(py, move || core.epoch(epoch, done))?.map_err(to_python)?;
        let core = Arc::new(core);
        let kept = ((epoch, done), Arc::clone(&core));
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
        Ok(Epoch { core })
    }
}

/// The rest of one epoch.
#[pyclass(frozen)]
pub struct Epoch {
    core: Arc<CoreEpoch>,
}

#[pymethods]
impl Epoch {
    /// Batches left per rank.
    fn steps(&self, world: usize) -> usize {
        self.core.steps(world)
    }

    /// Record numbers of a rank's batch.
    fn batch(&self, step: usize, rank: usize, world: usize) -> Vec<u32> {
        self.core.batch(step, rank, world)
    }

    /// Tokens of records.
    fn lengths(&self, records: Vec<u32>) -> Vec<u32> {
        self.core.lengths(&records)
    }

    /// Samples of the epoch that all ranks have read after so many batches each.
    fn samples_after(&self, steps: usize, world: usize) -> usize {
        self.core.samples_after(steps, world)
    }
}

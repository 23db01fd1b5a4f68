//! Counts of a data set.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use llava_fast_core::counts::{Bad, Counts as Core, Figures};
use numpy::{IntoPyArray, PyArray1};
use pyo3::prelude::*;

use crate::dataset::Dataset;
use crate::errors::{new_error, to_python};
use crate::wait::interruptible;

/// (record, reason code, message)
type Row = (usize, String, String);

/// (tokens by record, pictures by record, bad records, records by what was put right in them)
type Result<'py> =
    (Bound<'py, PyArray1<i32>>, Bound<'py, PyArray1<u16>>, Vec<Row>, BTreeMap<&'static str, usize>);

/// Counts a data set slice by slice, so that Python stays in between.
#[pyclass(frozen)]
pub struct Counts {
    core: Arc<Mutex<Core>>,
}

#[pymethods]
impl Counts {
    #[new]
    #[pyo3(signature = (dataset, *, fresh=false))]
    fn new(py: Python<'_>, dataset: &Dataset, fresh: bool) -> Self {
        let dataset = Arc::clone(&dataset.core);
        Self { core: Arc::new(Mutex::new(py.detach(|| Core::new(dataset, fresh)))) }
    }

    /// Records to be counted; one that is taken several times counts once.
    #[getter]
    fn total(&self) -> usize {
        self.core().total()
    }

    /// Those of them that are counted, here or in another process.
    #[getter]
    fn done(&self) -> usize {
        self.core().done()
    }

    /// Those of them that were kept by an earlier run.
    #[getter]
    fn found(&self) -> usize {
        self.core().found()
    }

    /// Whether there is nothing left to do.
    #[getter]
    fn over(&self) -> bool {
        self.core().is_over()
    }

    /// Goes on for about a tenth of a second and returns `done`. Ctrl-C does not wait for a picture
    /// whose header cannot be read.
    fn advance(&self, py: Python<'_>, threads: usize) -> PyResult<usize> {
        let core = Arc::clone(&self.core);
        interruptible(py, move || {
            let mut core = core.lock().unwrap_or_else(PoisonError::into_inner);
            core.advance(threads);
            core.done()
        })
    }

    /// The figures of all records; without `skip` the first bad one is an error.
    fn result<'py>(&self, py: Python<'py>, skip: bool) -> PyResult<Result<'py>> {
        let figures = py.detach(|| self.core().figures()).map_err(to_python)?;
        let Figures { lengths, images, repairs, bad } = figures;
        if !skip && let Some(Bad { class, code, message, .. }) = bad.first() {
            return Err(new_error(*class, message.clone(), code));
        }
        let lengths: Vec<i32> = lengths.into_iter().map(|length| length as i32).collect();
        let bad = bad.into_iter().map(|bad| (bad.record, bad.code, bad.message)).collect();
        Ok((lengths.into_pyarray(py), images.into_pyarray(py), bad, repairs))
    }

    /// By file of the records: the side file, or None and why there is none.
    fn kept(&self) -> Vec<(Option<String>, String)> {
        let kept = |kept: std::result::Result<&std::path::Path, &str>| match kept {
            Ok(path) => (Some(path.display().to_string()), String::new()),
            Err(cause) => (None, cause.to_owned()),
        };
        self.core().kept().map(kept).collect()
    }
}

impl Counts {
    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

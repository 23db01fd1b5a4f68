//! A look at the whole of a data set.

use std::sync::{Mutex, PoisonError};

use llava_fast_core::Error;
use llava_fast_core::check::{Check as Core, Fault, Look};
use pyo3::prelude::*;

use crate::dataset::Dataset;
use crate::errors::to_python;

/// (file, record, id, reason code, message)
type Row = (String, usize, String, &'static str, String);

/// Looks at a data set slice by slice, so that Python stays in between.
#[pyclass(frozen)]
pub struct Check {
    dataset: Py<Dataset>,
    core: Mutex<Core>,
}

#[pymethods]
impl Check {
    #[new]
    fn new(dataset: Py<Dataset>, look: &str) -> PyResult<Self> {
        let look = Look::find(look).map_err(to_python)?;
        Ok(Self { dataset, core: Mutex::new(Core::new(look)) })
    }

    /// Looks at the records from `start` to `stop` and returns the bad ones.
    fn advance(
        &self,
        py: Python<'_>,
        start: usize,
        stop: usize,
        threads: usize,
    ) -> PyResult<Vec<Row>> {
        let dataset = &self.dataset.get().core;
        let records = dataset.records.len();
        if stop > records {
            let message = format!("records up to {stop}: there are {records} records");
            return Err(to_python(Error::Argument(message)));
        }
        let faults = py.detach(|| {
            let mut core = self.core.lock().unwrap_or_else(PoisonError::into_inner);
            core.advance(dataset, start..stop, threads)
        });
        Ok(faults.into_iter().map(row).collect())
    }

    /// The counts so far, a JSON object.
    fn report(&self, py: Python<'_>) -> PyResult<String> {
        let report = || self.core.lock().unwrap_or_else(PoisonError::into_inner).report();
        py.detach(report).map_err(to_python)
    }
}

fn row(fault: Fault) -> Row {
    (fault.origin.file, fault.origin.record, fault.id, fault.code, fault.message)
}

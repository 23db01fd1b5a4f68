//! Batches that are made ahead.

use std::sync::Arc;
use std::time::{Duration, Instant};

use llava_fast_core::loader::Order;
use llava_fast_core::loading::Loading as Core;
use llava_fast_core::pack::Layout;
use pyo3::prelude::*;

use crate::dataset::{Dataset, Made, made};
use crate::errors::to_python;

/// How often a waiting thread looks for signals.
const LOOK: Duration = Duration::from_millis(50);

/// Batches of one data set, made in the background by number.
#[pyclass(frozen)]
pub struct Loading {
    core: Core,
    layout: Layout,
    skip: bool,
}

#[pymethods]
impl Loading {
    #[new]
    fn new(dataset: &Dataset, layout: &str, skip: bool, threads: usize) -> PyResult<Self> {
        let layout = Layout::find(layout).map_err(to_python)?;
        let core = Core::new(Arc::clone(&dataset.core), layout.output(), threads);
        Ok(Self { core, layout, skip })
    }

    /// Orders a batch, unless it is ordered already; `first`: before all that have not begun.
    fn submit(&self, py: Python<'_>, step: u64, records: Vec<u32>, lengths: Vec<u32>, first: bool) {
        py.detach(|| self.core.submit(step, Order { records, lengths }, first));
    }

    /// Forgets all batches but these.
    fn keep(&self, steps: Vec<u64>) {
        self.core.keep(&steps);
    }

    /// A batch that was ordered, once; None if it is not there after `timeout` seconds.
    fn take<'py>(&self, py: Python<'py>, step: u64, timeout: f64) -> PyResult<Option<Made<'py>>> {
        let begun = Instant::now();
        let timeout = Duration::try_from_secs_f64(timeout).unwrap_or(Duration::MAX);
        loop {
            match py.detach(|| self.core.take(step, LOOK)) {
                Some(batch) => {
                    let batch = batch.map_err(to_python)?;
                    return made(py, batch, self.core.dataset(), self.layout, self.skip).map(Some);
                }
                None if begun.elapsed() >= timeout => return Ok(None),
                None => py.check_signals()?,
            }
        }
    }
}

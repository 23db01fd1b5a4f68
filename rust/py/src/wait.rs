//! Long work that Ctrl-C can leave.

use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use llava_fast_core::Error;
use pyo3::prelude::*;

use crate::errors::to_python;

/// How often the waiting thread looks for signals.
const LOOK: Duration = Duration::from_millis(50);

/// The result of `work`, which runs on a thread of its own without the GIL. A signal handler that
/// raises ends the waiting and not the work, whose result is then dropped.
pub fn interruptible<T, F>(py: Python<'_>, work: F) -> PyResult<T>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    let (send, receive) = sync_channel(1);
    let run = move || drop(send.send(work()));
    let builder = thread::Builder::new().name("llava_fast-work".into());
    builder.spawn(run).map_err(|error| internal(&format!("no thread: {error}")))?;
    let mut receive = receive;
    loop {
        let (answer, channel) = py.detach(move || (receive.recv_timeout(LOOK), receive));
        receive = channel;
        match answer {
            Ok(result) => return Ok(result),
            Err(RecvTimeoutError::Timeout) => py.check_signals()?,
            Err(RecvTimeoutError::Disconnected) => return Err(internal("the work panicked")),
        }
    }
}

fn internal(cause: &str) -> PyErr {
    to_python(Error::Data(format!("internal error: {cause}")))
}

//! Batches that are made before they are asked for, on threads of our own.
//!
//! Those threads know nothing of Python, so they are no hindrance when an interpreter ends; and they
//! are left alone, never joined. Two batches are under way at a time, on one pool of threads: while
//! the last pictures of the first are decoded, free threads begin with the second.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::image::Output;
use crate::loader::{Batch, Dataset, Order};
use crate::parallel::Crew;

/// Batches under way at a time.
const AT_ONCE: usize = 2;

/// Batches of one data set, by number.
pub struct Loading {
    shared: Arc<Shared>,
    /// whose threads do it
    process: u32,
}

struct Shared {
    dataset: Arc<Dataset>,
    output: Output,
    threads: usize,
    desk: Mutex<Desk>,
    changed: Condvar,
}

#[derive(Default)]
struct Desk {
    waiting: VecDeque<(u64, Order)>,
    running: HashSet<u64>,
    done: HashMap<u64, Result<Batch>>,
    /// threads that take orders
    takers: usize,
    /// nobody will ask for anything
    closed: bool,
}

impl Loading {
    /// `threads`: that decode, all batches together.
    #[must_use]
    pub fn new(dataset: Arc<Dataset>, output: Output, threads: usize) -> Self {
        let (desk, changed) = (Mutex::default(), Condvar::new());
        let shared = Arc::new(Shared { dataset, output, threads, desk, changed });
        Self { shared, process: std::process::id() }
    }

    /// The data set.
    #[must_use]
    pub fn dataset(&self) -> &Arc<Dataset> {
        &self.shared.dataset
    }

    /// Begins with batch `step` as soon as those ordered before are done, or, if it comes `first`, as
    /// soon as a thread is free. An order that is there already stays as it is.
    pub fn submit(&self, step: u64, order: Order, first: bool) {
        let mut desk = self.shared.desk();
        if desk.knows(step) {
            return;
        }
        if first {
            desk.waiting.push_front((step, order));
        } else {
            desk.waiting.push_back((step, order));
        }
        self.shared.wake(desk);
    }

    /// Forgets all batches but `wanted`; what has begun is finished for nothing.
    pub fn keep(&self, wanted: &[u64]) {
        let mut desk = self.shared.desk();
        desk.waiting.retain(|(step, _)| wanted.contains(step));
        desk.running.retain(|step| wanted.contains(step));
        desk.done.retain(|step, _| wanted.contains(step));
    }

    /// Batch `step` if it is done within `patience`. Each can be had once.
    ///
    /// # Errors
    /// As [`Dataset::batch`], and for a step that was never ordered.
    pub fn take(&self, step: u64, patience: Duration) -> Option<Result<Batch>> {
        let mut desk = self.shared.desk();
        if !desk.knows(step) {
            return Some(Err(Error::Argument(format!("step {step} has not been ordered"))));
        }
        if !desk.done.contains_key(&step) {
            let waited = self.shared.changed.wait_timeout_while(desk, patience, |desk| {
                desk.knows(step) && !desk.done.contains_key(&step)
            });
            desk = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        desk.done.remove(&step)
    }
}

impl Drop for Loading {
    fn drop(&mut self) {
        // A forked process has none of the threads, and may have a lock that nobody will open.
        if self.process != std::process::id() {
            return;
        }
        let mut desk = self.shared.desk();
        desk.closed = true;
        desk.waiting.clear();
        drop(desk);
        self.shared.changed.notify_all();
    }
}

impl Desk {
    fn knows(&self, step: u64) -> bool {
        self.done.contains_key(&step)
            || self.running.contains(&step)
            || self.waiting.iter().any(|(waiting, _)| *waiting == step)
    }
}

impl Shared {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sees to it that somebody takes the new order.
    fn wake(self: &Arc<Self>, mut desk: MutexGuard<'_, Desk>) {
        if desk.takers < AT_ONCE && desk.takers < desk.waiting.len() + desk.running.len() {
            let shared = Arc::clone(self);
            let builder = thread::Builder::new().name("llava_fast-batch".into());
            desk.takers += usize::from(builder.spawn(move || shared.run()).is_ok());
        }
        if desk.takers > 0 {
            drop(desk);
            self.changed.notify_all();
            return;
        }
        // The system grants no thread at all: then here and now.
        while let Some((step, order)) = desk.waiting.pop_front() {
            let made = self.make(&order);
            desk.done.insert(step, made);
        }
    }

    fn run(&self) {
        let mut desk = self.desk();
        while !desk.closed {
            let Some((step, order)) = desk.waiting.pop_front() else {
                desk = self.changed.wait(desk).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            desk.running.insert(step);
            drop(desk);
            let made = self.make(&order);
            desk = self.desk();
            // Unless it has been forgotten meanwhile.
            if desk.running.remove(&step) {
                desk.done.insert(step, made);
                self.changed.notify_all();
            }
        }
    }

    fn make(&self, order: &Order) -> Result<Batch> {
        self.dataset.batch(order, self.output, Crew::Aside(self.threads))
    }
}

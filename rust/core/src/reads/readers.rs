//! The threads that read: as many as there are reads at once, up to a limit.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::process::PerProcess;

/// Runs on a reading thread; false if that thread has been replaced meanwhile.
pub(super) type Job = Box<dyn FnOnce() -> bool + Send>;

/// Reads at once. More of them only make a disk seek more often.
const MOST: usize = 32;
/// A thread without work for so long ends.
const IDLE: Duration = Duration::from_secs(10);

#[derive(Default)]
struct Readers {
    queue: Mutex<Queue>,
    work: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    threads: usize,
    /// of those, waiting for a job
    idle: usize,
}

static READERS: PerProcess<(), Readers> = PerProcess::new();

fn readers() -> Option<&'static Readers> {
    READERS.get((), || Some(Readers::default()))
}

/// Has `job` run when a thread is free.
pub(super) fn submit(job: Job) {
    let Some(readers) = readers() else { return };
    let mut queue = readers.queue.lock().unwrap_or_else(PoisonError::into_inner);
    queue.jobs.push_back(job);
    if queue.idle >= queue.jobs.len() {
        drop(queue);
        readers.work.notify_one();
        return;
    }
    if queue.threads < MOST {
        queue.begin(readers);
    }
    if queue.threads == 0 {
        // The system grants no thread at all: better to read here than not.
        let jobs = std::mem::take(&mut queue.jobs);
        drop(queue);
        for job in jobs {
            let _ = job();
        }
    }
}

/// A thread is stuck: it no longer counts, and another one may begin.
pub(super) fn give_up() {
    let Some(readers) = readers() else { return };
    let mut queue = readers.queue.lock().unwrap_or_else(PoisonError::into_inner);
    queue.threads = queue.threads.saturating_sub(1);
    if queue.idle < queue.jobs.len() {
        queue.begin(readers);
    }
}

impl Queue {
    fn begin(&mut self, readers: &'static Readers) {
        let builder = thread::Builder::new().name("llava_fast-read".into());
        if builder.spawn(move || readers.run()).is_ok() {
            self.threads += 1;
        }
    }
}

impl Readers {
    fn run(&self) {
        while let Some(job) = self.next() {
            if !job() {
                return;
            }
        }
    }

    /// None when this thread is to end.
    fn next(&self) -> Option<Job> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                return Some(job);
            }
            queue.idle += 1;
            let waited = self.work.wait_timeout(queue, IDLE);
            let (back, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            queue = back;
            queue.idle -= 1;
            if timeout.timed_out() && queue.jobs.is_empty() {
                queue.threads = queue.threads.saturating_sub(1);
                return None;
            }
        }
    }
}

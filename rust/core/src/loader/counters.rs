//! What making a batch took.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Sums over the samples of a batch, threads together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// pictures that were read
    pub pictures: u64,
    /// bytes of their files
    pub bytes: u64,
    /// nanoseconds in which they were read
    pub read: u64,
    /// nanoseconds of work: encoding, decoding, resizing
    pub work: u64,
}

/// The same while several threads add to it.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pictures: AtomicU64,
    bytes: AtomicU64,
    read: AtomicU64,
    work: AtomicU64,
}

impl Tally {
    pub(super) fn picture(&self, bytes: usize, took: Duration) {
        self.pictures.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.read.fetch_add(nanoseconds(took), Ordering::Relaxed);
    }

    /// The result of `work`, and its time noted.
    pub(super) fn work<T>(&self, work: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let result = work();
        self.work.fetch_add(nanoseconds(begun.elapsed()), Ordering::Relaxed);
        result
    }

    pub(super) fn total(&self) -> Counters {
        let now = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Self { pictures, bytes, read, work } = self;
        Counters { pictures: now(pictures), bytes: now(bytes), read: now(read), work: now(work) }
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

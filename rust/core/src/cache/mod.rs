//! Pictures that were prepared before: the pixels of their squares, on disk, by content and settings.
//!
//! A folder holds append-only segments, each written by one process. No record is ever changed, and
//! each carries checksums: whatever happens to a writer or its disk, the worst that a reader meets is
//! a record it cannot use, which is a miss. Files are read at positions, never mapped: one that is
//! cut short meanwhile is a miss as well, not a signal.

mod index;
mod key;
mod record;
mod segment;
#[cfg(test)]
mod tests;
mod writer;

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use index::{Index, Place};
pub use key::{Key, Settings};
use record::{HEAD, Head};
use writer::Writer;

use crate::{Error, Result};

/// The least cap: a few pictures.
const LEAST_BYTES: u64 = 1 << 20;

/// A folder of prepared pictures. Any number of threads and processes may share it.
pub struct PixelCache {
    folder: PathBuf,
    max_bytes: u64,
    first: Arc<Local>,
    /// of processes that were forked off with this cache open
    forked: Mutex<Vec<Arc<Local>>>,
    counts: Counts,
}

/// What one process knows and writes. A forked one starts anew: it must not write to the segment of
/// its parent, and its parent's locks may be held by threads that it does not have.
struct Local {
    process: u32,
    index: Mutex<Index>,
    writer: Mutex<Writer>,
    /// set at the first write that fails: the disk is full, or no place to write to
    stopped: AtomicBool,
}

#[derive(Default)]
struct Counts {
    hits: AtomicU64,
    misses: AtomicU64,
    damaged: AtomicU64,
    written: AtomicU64,
    unwritten: AtomicU64,
}

/// What a cache did so far, in this process and in those it was forked from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// pictures that were found
    pub hits: u64,
    /// pictures that were not
    pub misses: u64,
    /// misses because of a damaged record
    pub damaged: u64,
    /// records written
    pub written: u64,
    /// records that could not be written, or were too large for the cap
    pub unwritten: u64,
}

impl PixelCache {
    /// Opens the cache in `folder`, which is made if it is not there. All its segments together stay
    /// below `max_bytes`; the oldest ones make room.
    ///
    /// # Errors
    /// `Argument` if the folder cannot be made or read, or `max_bytes` is below 1 MiB.
    pub fn open(folder: &Path, max_bytes: u64) -> Result<Self> {
        if max_bytes < LEAST_BYTES {
            return Err(Error::Argument(format!(
                "cache_bytes: got {max_bytes}, expected at least {LEAST_BYTES}"
            )));
        }
        let usable = fs::create_dir_all(folder).and_then(|()| fs::read_dir(folder));
        if let Err(error) = usable {
            return Err(Error::Argument(format!("cache `{}`: {error}", folder.display())));
        }
        Ok(Self {
            folder: folder.to_owned(),
            max_bytes,
            first: Arc::new(Local::new(max_bytes)),
            forked: Mutex::new(Vec::new()),
            counts: Counts::default(),
        })
    }

    /// Fills `out` with the payload of `key` and returns height and width of the picture in its
    /// file. After `None`, which stands for every kind of failure, `out` may hold anything.
    pub fn get(&self, key: &Key, out: &mut [u8]) -> Option<(usize, usize)> {
        let found = self.local().and_then(|local| self.read(&local, key, out));
        count(if found.is_some() { &self.counts.hits } else { &self.counts.misses });
        found
    }

    fn read(&self, local: &Local, key: &Key, out: &mut [u8]) -> Option<(usize, usize)> {
        let place = lock(&local.index).find(&self.folder, key)?;
        let Place { file, offset, head } = &place;
        let whole = head.length == out.len() as u64
            && file.read_exact_at(out, offset + HEAD as u64).is_ok()
            && head.fits(out);
        if !whole {
            count(&self.counts.damaged);
            lock(&local.index).forget(&place);
            return None;
        }
        Some((head.size.0 as usize, head.size.1 as usize))
    }

    /// Keeps a payload. Where that fails, the cache is written to no more: a full disk is no reason
    /// to stop, and asking it again for each picture would be slow.
    pub fn put(&self, key: &Key, size: (usize, usize), payload: &[u8]) {
        let written = self.local().and_then(|local| self.write(&local, key, size, payload));
        count(if written.is_some() { &self.counts.written } else { &self.counts.unwritten });
    }

    fn write(&self, local: &Local, key: &Key, size: (usize, usize), payload: &[u8]) -> Option<()> {
        if local.stopped.load(Ordering::Relaxed) {
            return None;
        }
        let size = (u32::try_from(size.0).ok()?, u32::try_from(size.1).ok()?);
        let head = Head::new(*key, size, payload);
        let mut writer = lock(&local.writer);
        let Ok(written) = writer.append(&self.folder, head, payload) else {
            local.stopped.store(true, Ordering::Relaxed);
            return None;
        };
        let written = written?;
        let mut index = lock(&local.index);
        if let Some(name) = written.segment {
            index.own(name, Arc::clone(&written.place.file));
        }
        index.insert(written.place);
        Some(())
    }

    /// What happened so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let now = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Counts { hits, misses, damaged, written, unwritten } = &self.counts;
        Stats {
            hits: now(hits),
            misses: now(misses),
            damaged: now(damaged),
            written: now(written),
            unwritten: now(unwritten),
        }
    }

    /// What belongs to this process. Only forked processes come to the lock, and none waits for it:
    /// one that was forked while its parent held it goes without the cache.
    fn local(&self) -> Option<Arc<Local>> {
        let process = std::process::id();
        if self.first.process == process {
            return Some(Arc::clone(&self.first));
        }
        for _ in 0..TRIES {
            if let Ok(mut forked) = self.forked.try_lock() {
                if let Some(local) = forked.iter().find(|local| local.process == process) {
                    return Some(Arc::clone(local));
                }
                let local = Arc::new(Local::new(self.max_bytes));
                forked.push(Arc::clone(&local));
                return Some(local);
            }
            std::thread::yield_now();
        }
        None
    }
}

/// How often a forked process tries for a lock that is held for nanoseconds.
const TRIES: usize = 100;

impl Local {
    fn new(max_bytes: u64) -> Self {
        Self {
            process: std::process::id(),
            index: Mutex::default(),
            writer: Mutex::new(Writer::new(max_bytes)),
            stopped: AtomicBool::new(false),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

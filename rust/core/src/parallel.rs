//! Threads of our own: one pool per process and size, built on first use.
//!
//! A forked child inherits the memory of its parent's pool but not its threads, so a pool belongs
//! to the process that built it: the child builds another and never touches, joins or frees the
//! inherited one. rayon's global pool cannot do that, and is never used.

use std::any::Any;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::{Error, Result};
use crate::process::PerProcess;

/// Threads the machine grants this process, at least 1; as it was when first asked.
#[must_use]
pub fn available_threads() -> usize {
    // The answer lies in the files of control groups: reading them each time took a third as long as a
    // picture from the cache.
    static THREADS: OnceLock<usize> = OnceLock::new();
    *THREADS.get_or_init(|| std::thread::available_parallelism().map_or(1, NonZero::get))
}

/// Threads beyond this many per CPU only cost memory, and a pool is never freed.
const MOST_PER_CPU: usize = 4;

/// Who does the work of [`map`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crew {
    /// so many threads, the caller being one of them
    With(usize),
    /// so many other threads, while the caller waits: several callers keep the same threads busy, so
    /// that none is idle when the last items of one of them are under way
    Aside(usize),
}

impl Crew {
    /// How many that are, at least 1.
    #[must_use]
    pub fn threads(self) -> usize {
        match self {
            Self::With(threads) | Self::Aside(threads) => threads.max(1),
        }
    }
}

impl From<usize> for Crew {
    fn from(threads: usize) -> Self {
        Self::With(threads)
    }
}

/// `work(item)` for every item, on at most four times [`available_threads`] threads.
///
/// Results come in the order of the items. A panic becomes the error of its item, and the pool
/// goes on.
pub fn map<T, R, F>(items: Vec<T>, crew: impl Into<Crew>, work: F) -> Vec<Result<R>>
where
    T: Send,
    R: Send,
    F: Fn(T) -> Result<R> + Sync,
{
    let most = available_threads().saturating_mul(MOST_PER_CPU);
    let (threads, joins) = match crew.into() {
        Crew::With(threads) => (threads.min(most).saturating_sub(1), true),
        Crew::Aside(threads) => (threads.clamp(1, most), false),
    };
    // The pool does not shrink with the items: each size would leave one behind.
    let helpers = threads.min(items.len().saturating_sub(usize::from(joins)));
    match helpers.checked_sub(1).and_then(|_| pool(threads)) {
        None => items.into_iter().map(|item| guarded(&work, item)).collect(),
        Some(pool) => map_on(pool, helpers, joins, items, &work),
    }
}

/// `joins`: whether the caller works too.
fn map_on<T, R, F>(
    pool: &ThreadPool,
    helpers: usize,
    joins: bool,
    items: Vec<T>,
    work: &F,
) -> Vec<Result<R>>
where
    T: Send,
    R: Send,
    F: Fn(T) -> Result<R> + Sync,
{
    let next = AtomicUsize::new(0);
    let slots: Vec<_> = items.into_iter().map(|item| Mutex::new((Some(item), None))).collect();
    let run = || {
        while let Some(slot) = slots.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
            slot.1 = slot.0.take().map(|item| guarded(work, item));
        }
    };
    pool.in_place_scope(|scope| {
        for _ in 0..helpers {
            scope.spawn(|_| run());
        }
        if joins {
            run();
        }
    });
    slots.into_iter().map(finished).collect()
}

fn finished<T, R>(slot: Mutex<(Option<T>, Option<Result<R>>)>) -> Result<R> {
    let (_, result) = slot.into_inner().unwrap_or_else(PoisonError::into_inner);
    result.unwrap_or_else(|| Err(Error::Data("internal error: an item was not run".into())))
}

fn guarded<T, R>(work: impl Fn(T) -> Result<R>, item: T) -> Result<R> {
    catch_unwind(AssertUnwindSafe(|| work(item)))
        .unwrap_or_else(|panic| Err(Error::Data(format!("internal error: {}", words(&*panic)))))
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a worker panicked")
}

/// By the number of helpers.
static POOLS: PerProcess<usize, ThreadPool> = PerProcess::new();

/// This process's pool of `helpers` threads; `None` when the system grants no more threads.
fn pool(helpers: usize) -> Option<&'static ThreadPool> {
    POOLS.get(helpers, || {
        let builder = ThreadPoolBuilder::new()
            .num_threads(helpers)
            .thread_name(|number| format!("llava_fast-{number}"));
        builder.build().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        for threads in [1, 2, 3, 8] {
            for crew in [Crew::With(threads), Crew::Aside(threads)] {
                let results = map((0..1000).collect(), crew, |i: usize| Ok(i * i));
                let squares: Vec<usize> = results.into_iter().map(Result::unwrap).collect();
                assert_eq!(squares, (0..1000).map(|i| i * i).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn every_slot_of_the_output_is_written_by_its_item() {
        let mut out = [0u8; 64];
        map(out.chunks_mut(4).enumerate().collect(), 4, |(i, slot): (usize, &mut [u8])| {
            slot.fill(i as u8);
            Ok(())
        });
        assert!(out.iter().enumerate().all(|(i, &value)| usize::from(value) == i / 4));
    }

    #[test]
    fn a_panic_is_the_error_of_its_item_and_the_pool_goes_on() {
        for _ in 0..20 {
            let results = map((0..64).collect(), 4, |i: usize| {
                assert!(i != 17, "item {i} broke");
                Ok(i)
            });
            let failed: Vec<String> =
                results.iter().filter_map(|r| r.as_ref().err().map(ToString::to_string)).collect();
            assert_eq!(failed, ["internal error: item 17 broke"]);
        }
    }

    #[test]
    fn a_huge_number_of_threads_is_not_started() {
        assert_eq!(map((0..99).collect(), usize::MAX, |i: u32| Ok(i)).len(), 99);
        let most = MOST_PER_CPU * available_threads() - 1;
        assert!(POOLS.get(most, || None).is_some());
        assert!(POOLS.get(usize::MAX - 1, || None).is_none());
    }

    #[test]
    fn several_threads_share_a_pool() {
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| assert_eq!(map((0..99).collect(), 3, |i: u32| Ok(i)).len(), 99));
            }
        });
    }
}

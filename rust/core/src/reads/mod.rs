//! Reading with a deadline: on threads of their own, so that a read that never ends can be left
//! behind, and so that a few files are on their way while others are decoded.
//!
//! A read of a local file cannot be cancelled, and one of a network file system that has gone away
//! waits for ever. Nobody here waits with it: its thread is given up and another one takes its place.

mod readers;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use readers::Job;

/// Why there is no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// it takes longer than the deadline
    Stuck(Duration),
    /// a bug: what reads has panicked
    Panicked,
}

/// How far a read is.
#[derive(Debug)]
enum State<T> {
    Waiting,
    Running(Instant),
    Done(T),
    Panicked,
    /// taken, or given up
    Over,
}

#[derive(Debug)]
struct Slot<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

impl<T> Slot<T> {
    fn begin(&self) {
        *self.state() = State::Running(Instant::now());
        self.changed.notify_all();
    }

    /// False if nobody waits any more: the thread that reads has been replaced.
    fn finish(&self, end: State<T>) -> bool {
        let mut state = self.state();
        let wanted = !matches!(*state, State::Over);
        if wanted {
            *state = end;
            self.changed.notify_all();
        }
        wanted
    }

    /// The deadline runs from the moment at which a thread begins to read.
    fn wait(&self, deadline: Duration) -> Result<T, Lost> {
        let mut state = self.state();
        loop {
            let left = match &*state {
                State::Waiting => deadline,
                State::Running(since) => deadline.saturating_sub(since.elapsed()),
                State::Done(_) | State::Panicked | State::Over => break,
            };
            if left.is_zero() {
                break;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        match std::mem::replace(&mut *state, State::Over) {
            State::Done(result) => Ok(result),
            State::Panicked => Err(Lost::Panicked),
            State::Waiting | State::Running(_) | State::Over => Err(Lost::Stuck(deadline)),
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes the job of a slot, which does nothing once nobody wants the result any more.
fn job<T: Send + 'static>(slot: &Arc<Slot<T>>, work: impl FnOnce() -> T + Send + 'static) -> Job {
    let slot = Arc::downgrade(slot);
    Box::new(move || {
        let Some(wanted) = slot.upgrade() else { return true };
        wanted.begin();
        drop(wanted);
        let end = catch_unwind(AssertUnwindSafe(work)).map_or(State::Panicked, State::Done);
        slot.upgrade().is_none_or(|wanted| wanted.finish(end))
    })
}

/// Reads in the order of a list, some of them ahead of the one that is wanted.
pub struct Reads<T> {
    slots: Vec<Arc<Slot<T>>>,
    jobs: Vec<Mutex<Option<Job>>>,
    /// jobs that were started
    started: AtomicUsize,
    deadline: Duration,
}

impl<T: Send + 'static> Reads<T> {
    /// Begins the first `ahead` of `works`.
    pub fn new<F>(works: impl IntoIterator<Item = F>, ahead: usize, deadline: Duration) -> Self
    where
        F: FnOnce() -> T + Send + 'static,
    {
        let (mut slots, mut jobs) = (Vec::new(), Vec::new());
        for work in works {
            let slot =
                Arc::new(Slot { state: Mutex::new(State::Waiting), changed: Condvar::new() });
            jobs.push(Mutex::new(Some(job(&slot, work))));
            slots.push(slot);
        }
        let reads = Self { slots, jobs, started: AtomicUsize::new(0), deadline };
        reads.start(ahead);
        reads
    }

    /// The result of read `index`, which can be asked for once.
    ///
    /// # Errors
    /// [`Lost`].
    pub fn take(&self, index: usize) -> Result<T, Lost> {
        // One more for each that is taken; this one at the latest now.
        self.start(1);
        while self.started.load(Ordering::Relaxed) <= index {
            self.start(1);
        }
        let result = self.slots[index].wait(self.deadline);
        if matches!(result, Err(Lost::Stuck(_))) {
            readers::give_up();
        }
        result
    }

    fn start(&self, count: usize) {
        for _ in 0..count {
            let next = self.started.fetch_add(1, Ordering::Relaxed);
            let Some(job) = self.jobs.get(next) else { return };
            if let Some(job) = job.lock().unwrap_or_else(PoisonError::into_inner).take() {
                readers::submit(job);
            }
        }
    }
}

/// The result of one read.
///
/// # Errors
/// [`Lost`].
pub fn within<T: Send + 'static>(
    deadline: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Lost> {
    Reads::new([work], 1, deadline).take(0)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread::sleep;

    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    #[test]
    fn results_come_by_number_however_many_are_ahead() {
        for ahead in [1, 3, 100] {
            let reads = Reads::new((0..50).map(|i| move || i * i), ahead, LONG);
            assert!((0..50).all(|i| reads.take(i) == Ok(i * i)));
            let reads = Reads::new((0..50).map(|i| move || i + 1), ahead, LONG);
            assert!((0..50).rev().all(|i| reads.take(i) == Ok(i + 1)));
        }
    }

    #[test]
    fn a_stuck_read_is_given_up_and_the_others_go_on() {
        let (release, stuck) = channel::<()>();
        let stuck = Mutex::new(stuck);
        let stuck = Arc::new(stuck);
        let reads = Reads::new(
            (0..40).map(|i| {
                let stuck = Arc::clone(&stuck);
                move || {
                    if i % 10 == 3 {
                        let _ = stuck.lock().map(|stuck| stuck.recv());
                    }
                    i
                }
            }),
            4,
            Duration::from_millis(100),
        );
        let taken: Vec<_> = (0..40).map(|i| reads.take(i)).collect();
        for (i, result) in taken.iter().enumerate() {
            assert_eq!(result.clone().ok(), (i % 10 != 3).then_some(i), "read {i}");
        }
        drop(release);
        assert_eq!(within(LONG, || 7), Ok(7));
    }

    #[test]
    fn reads_that_nobody_takes_are_left_out() {
        let (tell, told) = channel();
        let reads = Reads::new(
            (0..1000).map(|i| {
                let tell = tell.clone();
                move || {
                    sleep(Duration::from_millis(1));
                    let _ = tell.send(i);
                }
            }),
            1000,
            LONG,
        );
        drop((reads, tell));
        assert!(told.iter().count() < 1000);
    }

    #[test]
    fn the_deadline_begins_with_the_read() {
        // More than there are threads: most wait for their turn longer than the deadline.
        let slow = || sleep(Duration::from_millis(30));
        let reads = Reads::new((0..200).map(|_| slow), 200, Duration::from_millis(250));
        assert!((0..200).all(|i| reads.take(i).is_ok()));
    }

    #[test]
    fn a_panic_is_told_at_once() {
        assert_eq!(within::<u8>(LONG, || panic!("a bug")), Err(Lost::Panicked));
        assert_eq!(within(LONG, || 7), Ok(7));
    }
}

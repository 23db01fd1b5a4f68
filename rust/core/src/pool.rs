//! Output buffers that are used again.
//!
//! The pixels of a batch are tens of megabytes. The allocator takes such a buffer fresh from the
//! system each time, which then clears it page by page on first use: a fifth of the time that decoding
//! and resizing take. Here a buffer comes back when the last owner of its memory drops it, and not
//! before.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

use crate::process::PerProcess;
use crate::{Error, Result};

/// Below this many bytes the allocator keeps its memory by itself.
const SMALLEST: usize = 256 << 10;

/// Buffers that nobody uses, the one that came back last at the end.
pub struct Idle<T> {
    buffers: Mutex<Vec<Vec<T>>>,
}

/// A number that buffers are made of.
pub trait Number: Copy + Default + Send + Sync + 'static {
    /// Bytes that lie idle at most; what lies longest is let go first.
    const MOST_IDLE: usize;

    /// The idle buffers of every process.
    fn idle() -> &'static PerProcess<(), Idle<Self>>;
}

static FLOATS: PerProcess<(), Idle<f32>> = PerProcess::new();
static BYTES: PerProcess<(), Idle<u8>> = PerProcess::new();

impl Number for f32 {
    const MOST_IDLE: usize = 256 << 20;

    fn idle() -> &'static PerProcess<(), Idle<Self>> {
        &FLOATS
    }
}

impl Number for u8 {
    // Single decoded pictures are among them: one that is huge must not keep its memory.
    const MOST_IDLE: usize = 64 << 20;

    fn idle() -> &'static PerProcess<(), Idle<Self>> {
        &BYTES
    }
}

/// Numbers of one owner; the memory goes back when it is dropped.
#[derive(Debug)]
pub struct Buffer<T: Number> {
    memory: Vec<T>,
    length: usize,
}

impl<T: Number> Buffer<T> {
    /// `length` numbers that the caller has to write: what they are now is anything.
    ///
    /// # Errors
    /// `Argument` if there is no memory for them.
    pub fn take(length: usize) -> Result<Self> {
        let memory = match kept(length) {
            Some(memory) => memory,
            None => fresh(class(length))?,
        };
        Ok(Self { memory, length })
    }

    /// Keeps the first `length` numbers.
    pub fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }
}

impl<T: Number> From<Vec<T>> for Buffer<T> {
    fn from(memory: Vec<T>) -> Self {
        let length = memory.len();
        Self { memory, length }
    }
}

impl<T: Number> AsRef<[T]> for Buffer<T> {
    fn as_ref(&self) -> &[T] {
        self
    }
}

impl<T: Number> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.memory[..self.length]
    }
}

impl<T: Number> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.memory[..self.length]
    }
}

impl<T: Number> Drop for Buffer<T> {
    fn drop(&mut self) {
        let memory = std::mem::take(&mut self.memory);
        if bytes(&memory) >= SMALLEST
            && let Some(idle) = idle()
        {
            // Freed behind the lock: that takes longer than everything under it.
            drop(idle.put(memory));
        }
    }
}

impl<T: Number> Idle<T> {
    /// Adds a buffer; what is beyond the limit comes back.
    fn put(&self, memory: Vec<T>) -> Vec<Vec<T>> {
        if bytes(&memory) > T::MOST_IDLE {
            return vec![memory];
        }
        let mut buffers = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        buffers.push(memory);
        let mut total = 0;
        let fits = buffers.iter().rev().take_while(|memory| {
            total += bytes(memory);
            total <= T::MOST_IDLE
        });
        let gone = buffers.len() - fits.count();
        buffers.drain(..gone).collect()
    }

    /// The smallest buffer that holds `length` numbers, unless more than half of it were wasted.
    fn take(&self, length: usize) -> Option<Vec<T>> {
        let mut buffers = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |memory: &Vec<T>| memory.len() >= length && memory.len() / 2 <= length;
        // Of equals the one that came back last: it may still be in the processor's caches.
        let fitting = buffers.iter().enumerate().rev().filter(|(_, memory)| fits(memory));
        let (place, _) = fitting.min_by_key(|(_, memory)| memory.len())?;
        Some(buffers.remove(place))
    }
}

fn idle<T: Number>() -> Option<&'static Idle<T>> {
    T::idle().get((), || Some(Idle { buffers: Mutex::new(Vec::new()) }))
}

fn kept<T: Number>(length: usize) -> Option<Vec<T>> {
    (length.saturating_mul(size_of::<T>()) >= SMALLEST).then(|| idle()?.take(length)).flatten()
}

/// `length` rounded up by at most an eighth, so that batches of about the same size share buffers.
fn class(length: usize) -> usize {
    let step = length.checked_next_power_of_two().unwrap_or(1 << 32) / 16;
    length.checked_next_multiple_of(step.max(1)).unwrap_or(length)
}

/// Untouched pages of zeros.
fn fresh<T: Number>(length: usize) -> Result<Vec<T>> {
    // `vec!` ends the process where there is no memory: the same room is asked for politely first.
    if Vec::<T>::new().try_reserve_exact(length).is_err() {
        let bytes = length.saturating_mul(size_of::<T>());
        return Err(Error::Argument(format!(
            "no memory for the pictures of a batch, {bytes} bytes; make it smaller"
        )));
    }
    Ok(vec![T::default(); length])
}

fn bytes<T>(memory: &[T]) -> usize {
    size_of_val(memory)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use proptest::prelude::*;

    use super::{Buffer, Idle, Number, class};

    const MOST_IDLE: usize = u8::MOST_IDLE;

    #[test]
    fn memory_is_used_again_when_nobody_has_it() {
        // A length of its own: other tests of this process take buffers too.
        let length = 1_234_567;
        let first = Buffer::<u8>::take(length).expect("memory");
        let second = Buffer::<u8>::take(length).expect("memory");
        let (one, two) = (first.as_ptr(), second.as_ptr());
        assert_ne!(one, two);
        drop(first);
        let mut third = Buffer::<u8>::take(length - 1).expect("memory");
        assert_eq!((third.as_ptr(), third.len()), (one, length - 1));
        third.truncate(5);
        assert_eq!(third.len(), 5);
        assert_eq!(second.as_ptr(), two);
    }

    #[test]
    fn small_buffers_that_nobody_asks_for_do_not_keep_a_large_one_out() {
        let idle = Idle { buffers: Mutex::new(Vec::new()) };
        let (quarter, half) = (MOST_IDLE / 4, MOST_IDLE / 2);
        for _ in 0..4 {
            assert!(idle.put(vec![0_u8; quarter]).is_empty());
        }
        let gone = idle.put(vec![0; half]);
        assert_eq!(gone.iter().map(Vec::len).collect::<Vec<_>>(), [quarter; 2]);
        assert!(idle.take(half).is_some());
    }

    #[test]
    fn the_oldest_are_let_go_and_none_is_wasted() {
        let idle = Idle { buffers: Mutex::new(Vec::new()) };
        let half = MOST_IDLE / 2;
        assert!(idle.put(vec![0_u8; half]).is_empty());
        assert!(idle.put(vec![0; 1000]).is_empty());
        let gone = idle.put(vec![0; half]);
        assert_eq!(gone.iter().map(Vec::len).collect::<Vec<_>>(), [half]);
        assert_eq!(idle.put(vec![0; MOST_IDLE + 1]).len(), 1);
        assert!(idle.take(1001).is_none());
        assert!(idle.take(100).is_none());
        assert_eq!(idle.take(501).map(|memory| memory.len()), Some(1000));
        assert!(idle.take(501).is_none());
    }

    #[test]
    fn a_batch_beyond_the_memory_is_an_error() {
        for length in [usize::MAX, usize::MAX / 8] {
            let error = Buffer::<f32>::take(length).expect_err("huge").to_string();
            assert!(error.starts_with("no memory for the pictures"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn a_class_wastes_an_eighth_at_most(length in 0_usize..1 << 40) {
            let class = class(length);
            prop_assert!(class >= length && class - length <= length / 8);
        }
    }
}

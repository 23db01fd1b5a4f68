//! Output buffers that are used again once nobody holds them any more.
//!
//! A batch of pictures is tens of megabytes. The allocator takes that from the system and gives it
//! back each time, and the pages of fresh memory are paid for one by one when they are first written,
//! which can cost as much as making the pixels.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Mutex;

/// Bytes that are kept per type of number, and the least worth keeping.
const KEPT: usize = 256 << 20;
const LEAST: usize = 64 << 10;

/// A number with a pool of its own.
pub trait Number: Copy + Default + Send + 'static {
    /// the buffers at hand, and their bytes
    fn pool() -> &'static Mutex<Free<Self>>;
}

/// Buffers that nobody holds.
pub struct Free<T> {
    buffers: Vec<Vec<T>>,
    bytes: usize,
}

impl<T> Free<T> {
    const fn new() -> Self {
        Self { buffers: Vec::new(), bytes: 0 }
    }
}

impl Number for f32 {
    fn pool() -> &'static Mutex<Free<Self>> {
        static POOL: Mutex<Free<f32>> = Mutex::new(Free::new());
        &POOL
    }
}

impl Number for u8 {
    fn pool() -> &'static Mutex<Free<Self>> {
        static POOL: Mutex<Free<u8>> = Mutex::new(Free::new());
        &POOL
    }
}

/// A buffer that goes back to its pool when it is dropped.
pub struct Pooled<T: Number> {
    /// all of it is initialised
    memory: Vec<T>,
    len: usize,
}

impl<T: Number> Pooled<T> {
    /// A buffer of `len` numbers, which may be any: the caller writes all of them.
    ///
    /// `None` if there is no memory.
    #[must_use]
    pub fn take(len: usize) -> Option<Self> {
        // Never waits: in a forked child the lock may belong to a thread that does not exist.
        let used = T::pool().try_lock().ok().and_then(|mut free| {
            let fits = |buffer: &Vec<T>| (len..=len.saturating_mul(2)).contains(&buffer.len());
            let index = free.buffers.iter().position(fits)?;
            let memory = free.buffers.swap_remove(index);
            free.bytes -= size_of_val(&*memory);
            Some(memory)
        });
        let memory = match used {
            Some(memory) => memory,
            None => zeros(len)?,
        };
        Some(Self { memory, len })
    }

    /// Gives up all numbers from `len` on.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }
}

/// `vec!` takes untouched pages, which the threads then fault in, but ends the process where there
/// is no memory: the same room is asked for politely first.
fn zeros<T: Number>(len: usize) -> Option<Vec<T>> {
    Vec::<T>::new().try_reserve_exact(len).ok()?;
    Some(vec![T::default(); len])
}

impl<T: Number> Drop for Pooled<T> {
    fn drop(&mut self) {
        let memory = std::mem::take(&mut self.memory);
        let bytes = size_of_val(&*memory);
        if !(LEAST..=KEPT).contains(&bytes) {
            return;
        }
        if let Ok(mut free) = T::pool().try_lock() {
            while free.bytes + bytes > KEPT {
                let oldest = free.buffers.remove(0);
                free.bytes -= size_of_val(&*oldest);
            }
            free.bytes += bytes;
            free.buffers.push(memory);
        }
    }
}

impl<T: Number> Deref for Pooled<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.memory[..self.len]
    }
}

impl<T: Number> DerefMut for Pooled<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.memory[..self.len]
    }
}

impl<T: Number> fmt::Debug for Pooled<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} numbers", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::Pooled;

    #[test]
    fn a_dropped_buffer_is_used_again_and_a_held_one_never() {
        // A size of its own, because tests share the pool.
        let len = 3_333_333;
        let mut first = Pooled::<u8>::take(len).expect("memory");
        first.fill(7);
        let address = first.as_ptr();
        let held = Pooled::<u8>::take(len).expect("memory");
        assert_ne!(held.as_ptr(), address);
        first.truncate(10);
        assert_eq!(&*first, [7; 10]);
        drop(first);
        let again = Pooled::<u8>::take(len - 5).expect("memory");
        assert_eq!((again.as_ptr(), again.len()), (address, len - 5));
        assert!(Pooled::<f32>::take(usize::MAX / 8).is_none());
    }
}

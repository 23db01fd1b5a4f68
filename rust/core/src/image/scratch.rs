//! Buffers that a thread uses again for its next picture.
//!
//! Fresh memory is paid for page by page when it is first written, which costs as much as a tenth of
//! decoding; and the allocator returns large buffers to the system as soon as they are free.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::thread::LocalKey;

use super::limits::allocate;
use crate::Result;

/// Buffers kept per thread and type, and the bytes beyond which one is not worth its memory.
const KEPT: usize = 4;
const LARGEST: usize = 16 << 20;

/// The buffers that a thread has at hand.
type Store<T> = RefCell<Vec<Vec<T>>>;

/// What buffers are made of.
pub(super) trait Value: Clone + Default + 'static {
    fn store() -> &'static LocalKey<Store<Self>>;
}

thread_local! {
    static BYTES: Store<u8> = const { RefCell::new(Vec::new()) };
    static WORDS: Store<i16> = const { RefCell::new(Vec::new()) };
}

impl Value for u8 {
    fn store() -> &'static LocalKey<Store<Self>> {
        &BYTES
    }
}

impl Value for i16 {
    fn store() -> &'static LocalKey<Store<Self>> {
        &WORDS
    }
}

/// A buffer that its thread has at hand again when it is dropped.
pub(super) struct Scratch<T: Value>(Vec<T>);

impl<T: Value> Scratch<T> {
    /// A buffer of `len` values, which may be any.
    ///
    /// # Errors
    /// `Refused` if memory runs out.
    pub(super) fn take(len: usize) -> Result<Self> {
        let used = T::store().with_borrow_mut(|free| {
            let fitting = free.iter().position(|buffer| buffer.capacity() >= len);
            fitting.map(|index| free.swap_remove(index))
        });
        let Some(mut buffer) = used else { return allocate(len).map(Self) };
        buffer.resize(len, T::default());
        Ok(Self(buffer))
    }
}

impl<T: Value> Deref for Scratch<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: Value> DerefMut for Scratch<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

impl<T: Value> Drop for Scratch<T> {
    fn drop(&mut self) {
        keep(std::mem::take(&mut self.0));
    }
}

/// Keeps a buffer that is not needed any more; the largest ones stay.
fn keep<T: Value>(buffer: Vec<T>) {
    if buffer.capacity() * size_of::<T>() > LARGEST {
        return;
    }
    // A thread that ends has no store any more: the buffer is simply freed.
    let _ = T::store().try_with(|free| {
        let mut free = free.borrow_mut();
        free.push(buffer);
        free.sort_unstable_by_key(Vec::capacity);
        if free.len() > KEPT {
            free.remove(0);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::{BYTES, KEPT, LARGEST, Scratch, keep};

    #[test]
    fn a_buffer_is_used_again_and_only_a_few_are_kept() {
        let buffer = Scratch::<u8>::take(1000).expect("memory");
        let address = buffer.as_ptr();
        drop(buffer);
        let again = Scratch::<u8>::take(900).expect("memory");
        assert_eq!((again.as_ptr(), again.len()), (address, 900));
        for size in 1..10 {
            keep(vec![0_u8; size * 2000]);
        }
        keep(vec![0_u8; LARGEST + 1]);
        BYTES.with_borrow(|free| {
            assert_eq!(free.len(), KEPT);
            assert!(free.iter().all(|buffer| (12_000..=LARGEST).contains(&buffer.capacity())));
        });
    }
}

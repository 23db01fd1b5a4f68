//! Buffers that a thread uses again for its next picture.
//!
//! Fresh memory is paid for page by page when it is first written, which costs as much as a tenth of
//! decoding; and the allocator returns large buffers to the system as soon as they are free.

use std::cell::RefCell;
use std::thread::LocalKey;

use super::limits::allocate;
use crate::Result;

/// Buffers kept per thread and type, and the bytes beyond which one is not worth its memory.
const KEPT: usize = 4;
const LARGEST: usize = 16 << 20;

/// The buffers that a thread has at hand.
pub(super) type Store<T> = RefCell<Vec<Vec<T>>>;

thread_local! {
    pub(super) static BYTES: Store<u8> = const { RefCell::new(Vec::new()) };
    pub(super) static WORDS: Store<i16> = const { RefCell::new(Vec::new()) };
}

/// A buffer of `len` values, which may be any.
///
/// # Errors
/// `Refused` if memory runs out.
pub(super) fn take<T: Clone + Default>(
    store: &'static LocalKey<Store<T>>,
    len: usize,
) -> Result<Vec<T>> {
    let used = store.with_borrow_mut(|free| {
        let fitting = free.iter().position(|buffer| buffer.capacity() >= len);
        fitting.map(|index| free.swap_remove(index))
    });
    match used {
        Some(mut buffer) => {
            buffer.resize(len, T::default());
            Ok(buffer)
        }
        None => allocate(len),
    }
}

/// Takes back a buffer that is not needed any more; the largest ones stay.
pub(super) fn give_back<T>(store: &'static LocalKey<Store<T>>, buffer: Vec<T>) {
    if buffer.capacity() * size_of::<T>() > LARGEST {
        return;
    }
    // A thread that ends has no store any more: the buffer is simply freed.
    let _ = store.try_with(|free| {
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
    use super::{BYTES, KEPT, LARGEST, give_back, take};

    #[test]
    fn a_buffer_is_used_again_and_only_a_few_are_kept() {
        let buffer = take(&BYTES, 1000).expect("memory");
        let address = buffer.as_ptr();
        give_back(&BYTES, buffer);
        let again = take(&BYTES, 900).expect("memory");
        assert_eq!((again.as_ptr(), again.len()), (address, 900));
        for size in 1..10 {
            give_back(&BYTES, vec![0; size * 2000]);
        }
        give_back(&BYTES, vec![0; LARGEST + 1]);
        BYTES.with_borrow(|free| {
            assert_eq!(free.len(), KEPT);
            assert!(free.iter().all(|buffer| (12_000..=LARGEST).contains(&buffer.capacity())));
        });
    }
}

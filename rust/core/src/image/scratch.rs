//! Byte buffers that a thread uses again for its next picture.
//!
//! Fresh memory is paid for page by page when it is first written, which costs as much as a tenth of
//! decoding; and the allocator returns large buffers to the system as soon as they are free.

use std::cell::RefCell;

use super::limits::allocate;
use crate::Result;

/// Buffers kept per thread, and the size beyond which one is not worth its memory.
const KEPT: usize = 4;
const LARGEST: usize = 16 << 20;

thread_local! {
    static FREE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// A buffer of `len` bytes with anything in them.
///
/// # Errors
/// `Refused` if memory runs out.
pub(super) fn take(len: usize) -> Result<Vec<u8>> {
    let used = FREE.with_borrow_mut(|free| {
        let fitting = free.iter().position(|buffer| buffer.capacity() >= len);
        fitting.map(|index| free.swap_remove(index))
    });
    match used {
        Some(mut buffer) => {
            buffer.resize(len, 0);
            Ok(buffer)
        }
        None => allocate(len),
    }
}

/// Takes back a buffer that is not needed any more; the largest ones stay.
pub(super) fn give_back(buffer: Vec<u8>) {
    if buffer.capacity() > LARGEST {
        return;
    }
    // A thread that ends has no store any more: the buffer is simply freed.
    let _ = FREE.try_with(|free| {
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
    use super::{FREE, KEPT, LARGEST, give_back, take};

    #[test]
    fn a_buffer_is_used_again_and_only_a_few_are_kept() {
        let buffer = take(1000).expect("memory");
        let address = buffer.as_ptr();
        give_back(buffer);
        let again = take(900).expect("memory");
        assert_eq!((again.as_ptr(), again.len()), (address, 900));
        for size in 1..10 {
            give_back(vec![0; size * 2000]);
        }
        give_back(vec![0; LARGEST + 1]);
        FREE.with_borrow(|free| {
            assert_eq!(free.len(), KEPT);
            assert!(free.iter().all(|buffer| (12_000..=LARGEST).contains(&buffer.capacity())));
        });
    }
}

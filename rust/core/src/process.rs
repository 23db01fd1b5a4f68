//! What a process keeps for itself: one that was forked starts without the other's threads, and must
//! not wait for locks that those held.

use std::sync::OnceLock;

/// Values by key, each made once per process and never dropped. A list that only grows: a lock could
/// be held at the moment another thread forks.
pub struct PerProcess<K, V> {
    first: OnceLock<Box<Node<K, V>>>,
}

/// An entry of [`PerProcess`].
struct Node<K, V> {
    process: u32,
    key: K,
    value: V,
    next: OnceLock<Box<Node<K, V>>>,
}

impl<K: Copy + PartialEq, V> PerProcess<K, V> {
    /// Without any value.
    #[must_use]
    pub const fn new() -> Self {
        Self { first: OnceLock::new() }
    }

    /// This process's value of `key`; where there is none yet, what `make` gives.
    pub fn get(&self, key: K, make: impl Fn() -> Option<V>) -> Option<&V> {
        let process = std::process::id();
        let mut place = &self.first;
        loop {
            match place.get() {
                Some(node) if node.process == process && node.key == key => {
                    return Some(&node.value);
                }
                Some(node) => place = &node.next,
                None => {
                    let node = Node { process, key, value: make()?, next: OnceLock::new() };
                    // Losing the race to another thread drops this value and finds the winner's.
                    drop(place.set(Box::new(node)));
                }
            }
        }
    }
}

impl<K: Copy + PartialEq, V> Default for PerProcess<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::PerProcess;

    #[test]
    fn a_value_is_made_once_for_all_threads() {
        let values = PerProcess::new();
        let get = || values.get(7, || Some(AtomicUsize::new(0))).expect("made");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| get().fetch_add(1, Ordering::SeqCst));
            }
        });
        let kept = get();
        assert_eq!(kept.load(Ordering::SeqCst), 8);
        assert!(values.get(8, || None).is_none());
        assert!(std::ptr::eq(kept, values.get(7, || None).expect("there already")));
    }
}

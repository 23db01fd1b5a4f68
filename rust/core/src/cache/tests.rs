//! What may happen to the folder, one accident after the other.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread;

use proptest::prelude::*;

use super::{Key, LEAST_BYTES, PixelCache, segment};

const LENGTH: usize = 3000;

/// A folder that is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("llava-cache-{name}-{}", std::process::id()));
        drop(fs::remove_dir_all(&folder));
        Self(folder)
    }

    fn open(&self) -> PixelCache {
        PixelCache::open(&self.0, LEAST_BYTES).expect("a folder of our own")
    }

    fn segments(&self) -> Vec<PathBuf> {
        let listed = segment::list(&self.0).expect("readable");
        listed.into_iter().map(|item| segment::path(&self.0, &item.name)).collect()
    }

    fn bytes(&self) -> u64 {
        segment::list(&self.0).expect("readable").iter().map(|item| item.bytes).sum()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn key(number: usize) -> Key {
    Key { content: number as u128, settings: 7 }
}

fn payload(number: usize) -> Vec<u8> {
    (0..LENGTH).map(|at| (at * 31 + number * 7919) as u8).collect()
}

fn put(cache: &PixelCache, number: usize) {
    cache.put(&key(number), (number + 1, 2), &payload(number));
}

/// Whether the picture is there; other pixels than the right ones fail the test.
fn has(cache: &PixelCache, number: usize) -> bool {
    let mut out = vec![0; LENGTH];
    let size = cache.get(&key(number), &mut out);
    assert!(size.is_none_or(|size| size == (number + 1, 2) && out == payload(number)), "{number}");
    size.is_some()
}

fn flip(path: &Path, at: u64) {
    let file = OpenOptions::new().read(true).write(true).open(path).expect("segment");
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).expect("inside");
    file.write_all_at(&[byte[0] ^ 0x10], at).expect("writable");
}

#[test]
fn what_was_put_is_there_for_this_cache_and_the_next() {
    let folder = Folder::new("there");
    let cache = folder.open();
    assert!(!has(&cache, 0));
    (0..9).for_each(|number| put(&cache, number));
    for cache in [&cache, &folder.open()] {
        assert!((0..9).all(|number| has(cache, number)));
        assert!(!has(cache, 9));
        assert_eq!(cache.get(&key(1), &mut [0; 10]), None, "another length");
        assert!(!has(cache, 1) || cache.stats().written > 0);
    }
    assert_eq!(folder.segments().len(), 1);
    assert_eq!(cache.stats().written, 9);
}

#[test]
fn another_process_is_seen_after_a_second() {
    let folder = Folder::new("seen");
    let (writer, reader) = (folder.open(), folder.open());
    assert!(!has(&reader, 1));
    put(&writer, 1);
    assert!(!has(&reader, 1), "looks once a second only");
    thread::sleep(super::index::PAUSE);
    assert!(has(&reader, 1));
    put(&writer, 2);
    thread::sleep(super::index::PAUSE);
    assert!(has(&reader, 2), "a known segment that grew");
}

#[test]
fn threads_write_and_read_at_once() {
    let folder = Folder::new("threads");
    let cache = folder.open();
    thread::scope(|scope| {
        for first in 0..4 {
            let cache = &cache;
            scope.spawn(move || {
                for number in (first..40).chain(0..40) {
                    if !has(cache, number) {
                        put(cache, number);
                    }
                }
            });
        }
    });
    assert!((0..40).all(|number| has(&cache, number)));
}

#[test]
fn a_damaged_record_is_written_again() {
    let folder = Folder::new("damaged");
    (0..5).for_each(|number| put(&folder.open(), number));
    for path in folder.segments() {
        flip(&path, 64 + 100);
    }
    let cache = folder.open();
    assert!(!(0..5).any(|number| has(&cache, number)));
    assert_eq!(cache.stats().damaged, 5);
    (0..5).for_each(|number| put(&cache, number));
    assert!((0..5).all(|number| has(&cache, number) && has(&folder.open(), number)));
}

#[test]
fn the_cap_holds_and_the_newest_stay() {
    let folder = Folder::new("cap");
    let cache = folder.open();
    let many = 2 * LEAST_BYTES as usize / LENGTH;
    for number in 0..many {
        put(&cache, number);
        assert!(folder.bytes() <= LEAST_BYTES);
    }
    assert!(has(&cache, many - 1) && has(&folder.open(), many - 1) && !has(&folder.open(), 0));
    assert!(folder.bytes() > LEAST_BYTES / 2);
    cache.put(&key(0), (1, 1), &vec![0; LEAST_BYTES as usize]);
    assert_eq!(cache.stats().unwritten, 1);
}

#[test]
fn a_folder_that_goes_away_or_never_was() {
    let folder = Folder::new("gone");
    let cache = folder.open();
    put(&cache, 1);
    fs::remove_dir_all(&folder.0).expect("remove");
    assert!(has(&cache, 1), "an open file outlives its name");
    let next = PixelCache::open(&folder.0, LEAST_BYTES).expect("made again");
    fs::remove_dir_all(&folder.0).expect("remove");
    put(&next, 1);
    put(&next, 2);
    assert_eq!((next.stats().written, next.stats().unwritten), (0, 2));
    fs::write(&folder.0, "a file").expect("write");
    assert!(PixelCache::open(&folder.0, LEAST_BYTES).is_err());
    fs::remove_file(&folder.0).expect("remove");
    assert!(PixelCache::open(&folder.0, LEAST_BYTES - 1).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A segment that is cut anywhere, flipped anywhere and continued with anything: never other
    /// pixels, and all records before the damage are there.
    #[test]
    fn damage_anywhere_is_a_miss(cut in 0..15_320_u64, at in 0..15_320_u64, tail: Vec<u8>) {
        let folder = Folder::new("anywhere");
        let cache = folder.open();
        (0..5).for_each(|number| put(&cache, number));
        let path = folder.segments().remove(0);
        let record = fs::metadata(&path).expect("there").len() / 5;
        flip(&path, at);
        let file = OpenOptions::new().write(true).open(&path).expect("segment");
        file.set_len(cut).expect("shorter");
        file.write_all_at(&tail, cut).expect("writable");
        let fresh = folder.open();
        let whole = (cut.min(at) / record) as usize;
        for number in 0..5 {
            let (old, new) = (has(&cache, number), has(&fresh, number));
            prop_assert!(number >= whole || (old && new));
        }
    }
}

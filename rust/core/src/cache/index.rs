//! Where each picture lies, as far as this process knows.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Key;
use super::record::Head;
use super::segment::{self, Listed};

/// Looking for what other processes wrote costs about as much as a few pictures.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

/// A record and the file it is in, which stays readable after its name is gone.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) file: Arc<File>,
    pub(super) offset: u64,
    pub(super) head: Head,
}

/// A segment and how far it is known.
struct Segment {
    file: Arc<File>,
    scanned: u64,
}

/// All known records.
#[derive(Default)]
pub(super) struct Index {
    places: HashMap<Key, Place>,
    segments: HashMap<String, Segment>,
    looked: Option<Instant>,
}

impl Index {
    /// Looks for other processes' records if the last look is long enough ago.
    pub(super) fn find(&mut self, folder: &Path, key: &Key) -> Option<Place> {
        if !self.places.contains_key(key) && self.looked.is_none_or(|at| at.elapsed() >= PAUSE) {
            self.refresh(folder);
            self.looked = Some(Instant::now());
        }
        self.places.get(key).cloned()
    }

    pub(super) fn insert(&mut self, place: Place) {
        self.places.insert(place.head.key, place);
    }

    /// Forgets a record that turned out damaged.
    pub(super) fn forget(&mut self, bad: &Place) {
        let same =
            |place: &Place| place.offset == bad.offset && Arc::ptr_eq(&place.file, &bad.file);
        if self.places.get(&bad.head.key).is_some_and(same) {
            self.places.remove(&bad.head.key);
        }
    }

    /// Takes note of a segment that this process writes: nothing in it will be news.
    pub(super) fn own(&mut self, name: String, file: Arc<File>) {
        self.segments.insert(name, Segment { file, scanned: u64::MAX });
    }

    fn refresh(&mut self, folder: &Path) {
        let listed = segment::list(folder).unwrap_or_default();
        self.drop_removed(&listed);
        for Listed { name, bytes } in listed {
            let segment = match self.segments.remove(&name) {
                Some(segment) => segment,
                None => match File::open(segment::path(folder, &name)) {
                    Ok(file) => Segment { file: Arc::new(file), scanned: 0 },
                    Err(_) => continue,
                },
            };
            let scanned =
                if bytes > segment.scanned { self.scan(&segment) } else { segment.scanned };
            self.segments.insert(name, Segment { scanned, ..segment });
        }
    }

    fn scan(&mut self, segment: &Segment) -> u64 {
        segment::scan(&segment.file, segment.scanned, |head, offset| {
            let file = Arc::clone(&segment.file);
            self.places.insert(head.key, Place { file, offset, head });
        })
    }

    /// Lets go of segments whose files are gone, so that their space on the disk becomes free.
    fn drop_removed(&mut self, listed: &[Listed]) {
        let there =
            |name: &str| listed.binary_search_by(|item| item.name.as_str().cmp(name)).is_ok();
        let before = self.segments.len();
        self.segments.retain(|name, _| there(name));
        if self.segments.len() < before {
            let files: Vec<_> = self.segments.values().map(|s| Arc::as_ptr(&s.file)).collect();
            self.places.retain(|_, place| files.contains(&Arc::as_ptr(&place.file)));
        }
    }
}

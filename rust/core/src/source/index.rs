//! What an archive holds: name to place, made once when it is opened.
//!
//! 48 bytes per entry and the names, in two allocations.

use std::cmp::Ordering;

/// Where the bytes of an entry are and what they become.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// byte at which its header starts in the file
    pub(super) header: u64,
    /// bytes as they are in the archive
    pub(super) packed: u64,
    /// bytes of the picture file
    pub(super) size: u64,
    /// CRC-32 of the picture file in a zip, of the header in a tar
    pub(super) crc: u32,
    pub(super) kind: Kind,
    name_start: u64,
    name_len: u16,
}

/// How an entry is read, or why it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Stored,
    Deflated,
    Method(u16),
    Encrypted,
    Link,
    Directory,
    Special,
    Sparse,
    Overlapping,
    Outside,
    Twice,
}

impl Kind {
    /// Why an entry of this kind is refused.
    pub(super) fn refusal(self) -> Option<String> {
        let why = match self {
            Self::Stored | Self::Deflated => return None,
            Self::Method(number) => {
                return Some(format!(
                    "compression method {number} is not supported, only stored and deflated"
                ));
            }
            Self::Encrypted => "the entry is encrypted",
            Self::Link => "the entry is a link",
            Self::Directory => "is a directory",
            Self::Special => "the entry is not a regular file",
            Self::Sparse => "the entry is a sparse file",
            Self::Overlapping => "the entry overlaps another",
            Self::Outside => "the entry ends outside of the archive's data",
            Self::Twice => "the archive has several entries of that name",
        };
        Some(why.to_owned())
    }
}

/// The entries of an archive in the order of their names.
#[derive(Debug, Default)]
pub(super) struct Index {
    names: String,
    entries: Vec<Entry>,
}

impl Index {
    /// Adds an entry; all of them before the first [`Index::find`], with [`Index::finish`] between.
    pub(super) fn push(
        &mut self,
        name: &str,
        [header, packed, size]: [u64; 3],
        crc: u32,
        kind: Kind,
    ) {
        let (name_start, name_len) = (self.names.len() as u64, name.len() as u16);
        self.names.push_str(name);
        self.entries.push(Entry { header, packed, size, crc, kind, name_start, name_len });
    }

    /// Marks what cannot be read for sure: entries that share bytes, and names that occur twice.
    ///
    /// least: bytes of an entry besides its data and name. end: where the data of the last ends.
    pub(super) fn finish(&mut self, least: u64, end: u64) {
        self.entries.shrink_to_fit();
        self.names.shrink_to_fit();
        self.mark_overlaps(least, end);
        let names = &self.names;
        self.entries.sort_by(|a, b| name_of(names, a).cmp(name_of(names, b)));
        for at in 1..self.entries.len() {
            let (before, entry) = (&self.entries[at - 1], &self.entries[at]);
            if self.name(before) == self.name(entry) && !both_directories(before, entry) {
                self.entries[at - 1].kind = Kind::Twice;
                self.entries[at].kind = Kind::Twice;
            }
        }
    }

    fn mark_overlaps(&mut self, least: u64, end: u64) {
        self.entries.sort_by_key(|entry| entry.header);
        // The entry that reaches furthest so far, and where it ends.
        let (mut furthest, mut reached) = (0, 0);
        for at in 0..self.entries.len() {
            let entry = self.entries[at];
            let room = least.saturating_add(entry.packed);
            let ends = entry.header.saturating_add(room);
            if ends > end {
                self.entries[at].kind = Kind::Outside;
            } else if entry.header < reached {
                self.entries[furthest].kind = Kind::Overlapping;
                self.entries[at].kind = Kind::Overlapping;
            }
            if ends > reached {
                (furthest, reached) = (at, ends);
            }
        }
    }

    /// The entry of that name.
    pub(super) fn find(&self, name: &str) -> Option<&Entry> {
        let at = self.entries.binary_search_by(|entry| self.name(entry).cmp(name)).ok()?;
        self.entries.get(at)
    }

    fn name(&self, entry: &Entry) -> &str {
        name_of(&self.names, entry)
    }

    /// A name like the one that is not there: below another top folder, without its own, or with
    /// letters of another case.
    pub(super) fn suggest(&self, name: &str) -> Option<&str> {
        let shorter = name.match_indices('/').map(|(at, _)| name[at + 1..].to_owned());
        let longer = self.tops().map(|top| format!("{top}/{name}"));
        let found = shorter.chain(longer).find_map(|name| self.find(&name));
        let other_case =
            || self.entries.iter().find(|entry| self.name(entry).eq_ignore_ascii_case(name));
        found.or_else(other_case).map(|entry| self.name(entry))
    }

    /// The first few top folders.
    fn tops(&self) -> impl Iterator<Item = &str> {
        let mut rest = &self.entries[..];
        std::iter::from_fn(move || {
            let top = self.name(rest.first()?).split('/').next()?;
            let ours = rest.partition_point(|entry| {
                let name = self.name(entry);
                name.split('/').next().is_some_and(|t| t.cmp(top) != Ordering::Greater)
            });
            // `a-b/x` sorts before `a/x`, so a top may be missed; the walk always goes on.
            rest = &rest[ours.max(1)..];
            Some(top)
        })
        .take(64)
    }
}

fn name_of<'a>(names: &'a str, entry: &Entry) -> &'a str {
    let start = entry.name_start as usize;
    &names[start..start + usize::from(entry.name_len)]
}

fn both_directories(a: &Entry, b: &Entry) -> bool {
    a.kind == Kind::Directory && b.kind == Kind::Directory
}

#[cfg(test)]
mod tests {
    use super::{Index, Kind};

    fn index(entries: &[(&str, u64, u64)]) -> Index {
        let mut index = Index::default();
        for (name, header, packed) in entries {
            index.push(name, [*header, *packed, *packed], 0, Kind::Stored);
        }
        index.finish(10, 1000);
        index
    }

    #[test]
    fn entries_are_found_by_name() {
        let index = index(&[("b", 20, 5), ("a/x", 50, 5), ("a-b", 70, 5), ("c", 990, 0)]);
        for (name, header) in [("b", 20), ("a/x", 50), ("a-b", 70), ("c", 990)] {
            let entry = index.find(name).expect("there");
            assert_eq!((entry.header, entry.kind), (header, Kind::Stored));
        }
        assert!(index.find("a").is_none());
    }

    #[test]
    fn what_shares_bytes_or_a_name_is_marked() {
        let kinds = |entries: &[(&str, u64, u64)], names: &[&str]| {
            let index = index(entries);
            names.iter().map(|name| index.find(name).expect("there").kind).collect::<Vec<_>>()
        };
        let (good, both) = (Kind::Stored, Kind::Overlapping);
        assert_eq!(kinds(&[("a", 0, 10), ("b", 20, 10)], &["a", "b"]), [good, good]);
        assert_eq!(kinds(&[("a", 0, 11), ("b", 20, 10)], &["a", "b"]), [both, both]);
        let nested = [("a", 0, 100), ("b", 20, 10), ("c", 50, 10), ("d", 200, 0)];
        assert_eq!(kinds(&nested, &["a", "b", "c", "d"]), [both, both, both, good]);
        assert_eq!(kinds(&[("a", 0, 991), ("b", u64::MAX, 1)], &["a", "b"]), [Kind::Outside; 2]);
        assert_eq!(
            kinds(&[("a", 0, 5), ("a", 20, 5), ("b", 40, 5)], &["a", "b"]),
            [Kind::Twice, good]
        );
    }

    #[test]
    fn near_names_are_suggested() {
        let index = index(&[("train/1.jpg", 0, 1), ("val/2.jpg", 20, 1), ("3.jpg", 40, 1)]);
        for (asked, found) in [
            ("1.jpg", Some("train/1.jpg")),
            ("2.jpg", Some("val/2.jpg")),
            ("coco/train/1.jpg", Some("train/1.jpg")),
            ("images/3.jpg", Some("3.jpg")),
            ("3.JPG", Some("3.jpg")),
            ("4.jpg", None),
        ] {
            assert_eq!(index.suggest(asked), found, "{asked}");
        }
    }
}

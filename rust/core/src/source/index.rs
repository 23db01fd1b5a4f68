//! What archives hold: hash of the name to place, made once when they are opened.
//!
//! 32 bytes per entry, in one allocation for all archives. Names are not kept: a picture's own header
//! has its name, and whoever reads one compares it.

use std::hash::{BuildHasher, RandomState};

/// Archives that one index can tell apart, and bytes of the longest.
pub(super) const MOST_ARCHIVES: usize = 1 << (u64::BITS - OFFSET_BITS);
pub(super) const LONGEST: u64 = 1 << OFFSET_BITS;
const OFFSET_BITS: u32 = 44;

/// Top folders that are remembered for suggestions.
const MOST_TOPS: usize = 64;

/// Where the bytes of an entry are and what they become.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    hash: u64,
    /// number of the archive, and the byte in it at which the entry's headers start
    place: u64,
    packed: u32,
    size: u32,
    /// CRC-32 of the picture file in a zip, of the header in a tar
    pub(super) crc: u32,
    pub(super) kind: Kind,
}

impl Entry {
    /// The number of its archive.
    pub(super) fn archive(&self) -> usize {
        (self.place >> OFFSET_BITS) as usize
    }

    /// The byte at which its headers start in the archive.
    pub(super) fn header(&self) -> u64 {
        self.place & (LONGEST - 1)
    }

    /// Bytes as they are in the archive.
    pub(super) fn packed(&self) -> u64 {
        unfolded(self.packed)
    }

    /// Bytes of the picture file.
    pub(super) fn size(&self) -> u64 {
        unfolded(self.size)
    }
}

/// No picture has four gigabytes: what does is only known to be too large.
fn unfolded(size: u32) -> u64 {
    if size == u32::MAX { u64::MAX } else { size.into() }
}

fn folded(size: u64) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

/// How an entry is read, or why it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
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
}

impl Kind {
    /// Why an entry of this kind is refused.
    pub(crate) fn refusal(self) -> Option<String> {
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
        };
        Some(why.to_owned())
    }
}

/// What an entry says of itself, and its archive's number and hash function.
pub(super) struct Listing<'a> {
    archive: u64,
    hasher: &'a RandomState,
    entries: Vec<Entry>,
    tops: Vec<String>,
}

impl<'a> Listing<'a> {
    /// archive: below [`MOST_ARCHIVES`].
    pub(super) fn new(archive: usize, hasher: &'a RandomState) -> Self {
        let archive = (archive as u64) << OFFSET_BITS;
        Self { archive, hasher, entries: Vec::new(), tops: Vec::new() }
    }

    /// Adds an entry.
    pub(super) fn push(
        &mut self,
        name: &str,
        [header, packed, size]: [u64; 3],
        crc: u32,
        kind: Kind,
    ) {
        let (hash, place) = (self.hasher.hash_one(name), self.archive | header & (LONGEST - 1));
        let (packed, size) = (folded(packed), folded(size));
        let kind = if header < LONGEST { kind } else { Kind::Outside };
        self.entries.push(Entry { hash, place, packed, size, crc, kind });
        if let Some((top, _)) = name.split_once('/') {
            add_top(&mut self.tops, top);
        }
    }

    /// Marks what cannot be read for sure: entries that share bytes.
    ///
    /// least: bytes of an entry besides its data and name. end: where the data of the last ends.
    pub(super) fn finish(&mut self, least: u64, end: u64) {
        let entries = &mut self.entries;
        entries.sort_unstable_by_key(|entry| entry.place);
        // The entry that reaches furthest so far, and where it ends.
        let (mut furthest, mut reached) = (0, 0);
        for at in 0..entries.len() {
            let header = entries[at].header();
            let ends = header.saturating_add(least.saturating_add(entries[at].packed()));
            if ends > end {
                entries[at].kind = Kind::Outside;
            } else if header < reached {
                entries[furthest].kind = Kind::Overlapping;
                entries[at].kind = Kind::Overlapping;
            }
            if ends > reached {
                (furthest, reached) = (at, ends);
            }
        }
    }

    /// For [`Index::new`].
    pub(super) fn parts(self) -> (Vec<Entry>, Vec<String>) {
        (self.entries, self.tops)
    }
}

fn add_top(tops: &mut Vec<String>, top: &str) {
    // Neighbours mostly share it.
    let known =
        tops.last().is_some_and(|last| last == top) || tops.iter().any(|known| known == top);
    if !known && tops.len() < MOST_TOPS {
        tops.push(top.to_owned());
    }
}

/// The entries of all archives in the order of their names' hashes.
#[derive(Debug)]
pub(super) struct Index {
    hasher: RandomState,
    entries: Vec<Entry>,
    tops: Vec<String>,
}

/// What there is of a name.
#[derive(Debug)]
pub(super) enum Found<'a> {
    Nothing,
    One(&'a Entry),
    /// the first two
    Several([&'a Entry; 2]),
}

impl Index {
    /// Puts the entries of all archives together. Their hashes differ from process to process, so
    /// nobody can choose names that share one.
    pub(super) fn new(hasher: RandomState, listings: Vec<(Vec<Entry>, Vec<String>)>) -> Self {
        let count: usize = listings.iter().map(|(listed, _)| listed.len()).sum();
        let mut listings = listings.into_iter();
        let (mut entries, mut tops) = listings.next().unwrap_or_default();
        entries.reserve_exact(count - entries.len());
        for (listed, its_tops) in listings {
            entries.extend(listed);
            for top in &its_tops {
                add_top(&mut tops, top);
            }
        }
        entries.shrink_to_fit();
        entries.sort_unstable_by_key(|entry| (entry.hash, entry.place));
        Self { hasher, entries, tops }
    }

    /// The entry of that name.
    pub(super) fn find(&self, name: &str) -> Found<'_> {
        let hash = self.hasher.hash_one(name);
        let rest = &self.entries[self.entries.partition_point(|entry| entry.hash < hash)..];
        let mut same = rest.iter().take_while(|entry| entry.hash == hash);
        let Some(first) = same.next() else { return Found::Nothing };
        // A folder may be in many archives.
        match same.find(|other| [first.kind, other.kind] != [Kind::Directory; 2]) {
            Some(other) => Found::Several([first, other]),
            None => Found::One(first),
        }
    }

    /// A name like the one that is not there: below another top folder, without its own, with
    /// letters of another case, or of another kind of file.
    pub(super) fn suggest(&self, name: &str) -> Option<String> {
        let shorter = name.match_indices('/').map(|(at, _)| name[at + 1..].to_owned());
        let longer = self.tops.iter().map(|top| format!("{top}/{name}"));
        let cases = [name.to_lowercase(), name.to_uppercase()];
        shorter
            .chain(longer)
            .chain(cases)
            .chain(other_extensions(name))
            .find(|other| other != name && matches!(self.find(other), Found::One(_)))
    }
}

fn other_extensions(name: &str) -> impl Iterator<Item = String> {
    let stem = name.rsplit_once('.').map(|(stem, _)| stem);
    let known = ["jpg", "JPG", "jpeg", "JPEG", "png", "PNG", "webp", "gif"];
    stem.into_iter().flat_map(move |stem| known.map(|extension| format!("{stem}.{extension}")))
}

#[cfg(test)]
mod tests {
    use std::hash::RandomState;

    use super::{Found, Index, Kind, Listing};

    type Given<'a> = &'a [(&'a str, u64, u64)];

    fn index(archives: &[Given<'_>]) -> Index {
        let hasher = RandomState::new();
        let listed = archives.iter().enumerate().map(|(number, entries)| {
            let mut listing = Listing::new(number, &hasher);
            for (name, header, packed) in *entries {
                listing.push(name, [*header, *packed, *packed], 0, Kind::Stored);
            }
            listing.finish(10, 1000);
            listing.parts()
        });
        let listed = listed.collect();
        Index::new(hasher, listed)
    }

    fn kind(index: &Index, name: &str) -> Option<Kind> {
        match index.find(name) {
            Found::One(entry) => Some(entry.kind),
            _ => None,
        }
    }

    #[test]
    fn an_entry_takes_32_bytes() {
        assert_eq!(size_of::<super::Entry>(), 32);
    }

    #[test]
    fn entries_are_found_by_name() {
        let first: Given<'_> = &[("b", 20, 5), ("a/x", 50, 5), ("a-b", 70, 5), ("c", 990, 0)];
        let index = index(&[first, &[("d", 3, 4)]]);
        for (name, header) in [("b", 20), ("a/x", 50), ("a-b", 70), ("c", 990)] {
            let Found::One(entry) = index.find(name) else { panic!("{name}") };
            assert_eq!((entry.archive(), entry.header(), entry.kind), (0, header, Kind::Stored));
        }
        let Found::One(entry) = index.find("d") else { panic!("d") };
        assert_eq!((entry.archive(), entry.header(), entry.size()), (1, 3, 4));
        assert!(matches!(index.find("a"), Found::Nothing));
    }

    #[test]
    fn a_name_that_occurs_twice_is_found_twice() {
        let index = index(&[&[("a", 0, 5), ("a", 20, 5), ("b", 40, 5)], &[("b", 60, 5)]]);
        let Found::Several([one, other]) = index.find("a") else { panic!("a") };
        assert_eq!((one.header(), other.header()), (0, 20));
        let Found::Several([one, other]) = index.find("b") else { panic!("b") };
        assert_eq!((one.archive(), other.archive()), (0, 1));
    }

    #[test]
    fn what_shares_bytes_is_marked() {
        let kinds = |entries: Given<'_>, names: &[&str]| {
            let index = index(&[entries]);
            names.iter().map(|name| kind(&index, name).expect("there")).collect::<Vec<_>>()
        };
        let (good, both) = (Kind::Stored, Kind::Overlapping);
        assert_eq!(kinds(&[("a", 0, 10), ("b", 20, 10)], &["a", "b"]), [good, good]);
        assert_eq!(kinds(&[("a", 0, 11), ("b", 20, 10)], &["a", "b"]), [both, both]);
        let nested = [("a", 0, 100), ("b", 20, 10), ("c", 50, 10), ("d", 200, 0)];
        assert_eq!(kinds(&nested, &["a", "b", "c", "d"]), [both, both, both, good]);
        let outside = [("a", 0, 991), ("b", super::LONGEST - 1, u64::MAX)];
        assert_eq!(kinds(&outside, &["a", "b"]), [Kind::Outside; 2]);
    }

    #[test]
    fn near_names_are_suggested() {
        let index = index(&[
            &[("train/1.jpg", 0, 1), ("val/2.jpg", 20, 1)],
            &[("3.jpg", 40, 1), ("val/4.png", 60, 1)],
        ]);
        for (asked, found) in [
            ("1.jpg", Some("train/1.jpg")),
            ("2.jpg", Some("val/2.jpg")),
            ("coco/train/1.jpg", Some("train/1.jpg")),
            ("images/3.jpg", Some("3.jpg")),
            ("3.JPG", Some("3.jpg")),
            ("VAL/2.JPG", Some("val/2.jpg")),
            ("val/4.jpg", Some("val/4.png")),
            ("4.jpg", None),
        ] {
            assert_eq!(index.suggest(asked).as_deref(), found, "{asked}");
        }
    }
}

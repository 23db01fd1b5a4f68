//! Which ids come more than once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64;

use crate::records::Records;

/// A record as its file numbers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// name of the file
    pub file: String,
    /// its number there
    pub record: usize,
}

/// An id and two of the records that have it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Twice {
    id: String,
    first: Origin,
    again: Origin,
}

/// What is known of all ids; a hash stands for each.
#[derive(Debug, Default, Serialize)]
pub struct Ids {
    /// ids that come more than once
    repeated: usize,
    /// records whose id an earlier record has
    records: usize,
    examples: Vec<Twice>,
    #[serde(skip)]
    seen: HashMap<u64, Seen>,
}

#[derive(Debug)]
struct Seen {
    first: u32,
    again: bool,
}

/// Examples that are kept.
const EXAMPLES: usize = 5;

impl Ids {
    /// Takes the id of a record. One that a mixture takes several times has no twin in itself.
    pub fn add(&mut self, index: usize, id: &str, records: &Records) {
        let seen = match self.seen.entry(xxh3_64(id.as_bytes())) {
            Entry::Occupied(place) => place.into_mut(),
            Entry::Vacant(place) => {
                place.insert(Seen { first: index as u32, again: false });
                return;
            }
        };
        let (first, again) = (seen.first as usize, index);
        if records.origin(first) == records.origin(again) {
            return;
        }
        self.records += 1;
        if std::mem::replace(&mut seen.again, true) {
            return;
        }
        self.repeated += 1;
        if self.examples.len() < EXAMPLES {
            let (first, again) = (Origin::of(first, records), Origin::of(again, records));
            self.examples.push(Twice { id: id.to_owned(), first, again });
        }
    }
}

impl Origin {
    /// Of record `index`, which has to be there.
    #[must_use]
    pub fn of(index: usize, records: &Records) -> Self {
        let (file, record) = records.origin(index);
        Self { file: file.to_owned(), record }
    }
}

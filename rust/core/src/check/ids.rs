//! Which ids come more than once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64;

/// An id and two of the records that have it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Twice {
    id: String,
    first: usize,
    again: usize,
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
    /// Takes the id of a record.
    pub fn add(&mut self, record: usize, id: &str) {
        match self.seen.entry(xxh3_64(id.as_bytes())) {
            Entry::Vacant(place) => {
                place.insert(Seen { first: record as u32, again: false });
            }
            Entry::Occupied(mut place) => {
                let seen = place.get_mut();
                self.records += 1;
                if !std::mem::replace(&mut seen.again, true) {
                    self.repeated += 1;
                    if self.examples.len() < EXAMPLES {
                        let (id, first) = (id.to_owned(), seen.first as usize);
                        self.examples.push(Twice { id, first, again: record });
                    }
                }
            }
        }
    }
}

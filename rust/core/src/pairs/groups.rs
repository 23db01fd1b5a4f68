//! Which entries of a tar have the same key.

use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};

use super::names::{Role, meaning};
use super::pair::Pair;
use crate::record::LARGEST;
use crate::source::archive::{Cause, read_at};
use crate::source::index::Kind;
use crate::source::names::clean;
use crate::source::tar::{self, Member};

/// Entries of one key that are looked at.
const MOST_ENTRIES: usize = 4096;

/// The entries of a tar that belong to records, by record.
pub(super) struct Groups {
    /// number of the record, and where the entry's headers start
    entries: Vec<(u32, u64)>,
    /// first entry of each record, and the number of entries at the end
    starts: Vec<usize>,
}

impl Groups {
    /// Walks over a tar of `total` bytes.
    pub(super) fn find(file: &File, total: u64) -> Cause<Self> {
        let (mut entries, mut known, mut texts) = (Vec::new(), Keys::default(), false);
        let mut at = 0;
        while let Some(member) = tar::member(file, at, total)? {
            at = member.end;
            if member.kind == Kind::Directory {
                continue;
            }
            if let Some((key, role)) = clean(&member.name).as_deref().and_then(meaning) {
                entries.push((known.number(key)?, member.start));
                texts |= role != Role::Picture;
            }
        }
        if !texts {
            return Err("no `.json` and no `.txt` entry in it: not a tar of pairs".to_owned());
        }
        entries.sort_by_key(|&(record, _)| record);
        let mut starts = vec![0];
        starts.extend((1..entries.len()).filter(|&at| entries[at].0 != entries[at - 1].0));
        starts.push(entries.len());
        Ok(Self { entries, starts })
    }

    /// How many records there are.
    pub(super) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// The entries of record `number`.
    pub(super) fn pair(&self, number: usize, file: &File) -> Cause<Pair<'static>> {
        let entries = &self.entries[self.starts[number]..self.starts[number + 1]];
        let mut reader = Reader { file, names: Vec::new(), pair: None };
        for &(_, start) in entries.iter().take(MOST_ENTRIES) {
            let member = tar::member(file, start, u64::MAX)?;
            let member = member.ok_or("the tar has changed while it was read")?;
            reader.take(&member)?;
        }
        let mut pair = reader.pair.ok_or("the tar has changed while it was read")?;
        if entries.len() > MOST_ENTRIES {
            pair.set_fault(format!("more than {MOST_ENTRIES} entries of one key"));
        }
        pair.finish();
        Ok(pair)
    }
}

/// Numbers of keys, by their hashes.
#[derive(Default)]
struct Keys {
    hasher: RandomState,
    numbers: HashMap<u64, u32>,
}

impl Keys {
    fn number(&mut self, key: &str) -> Cause<u32> {
        let next = u32::try_from(self.numbers.len()).map_err(|_| "more than 4294967295 records")?;
        Ok(*self.numbers.entry(self.hasher.hash_one(key)).or_insert(next))
    }
}

/// A record being put together.
struct Reader<'a> {
    file: &'a File,
    /// of the entries so far
    names: Vec<String>,
    pair: Option<Pair<'static>>,
}

impl Reader<'_> {
    fn take(&mut self, member: &Member) -> Cause<()> {
        let name = clean(&member.name).unwrap_or_default().into_owned();
        let Some((key, role)) = meaning(&name) else { return Ok(()) };
        let pair = self.pair.get_or_insert_with(|| Pair::new(key));
        let same = |other: &String| {
            *other == name || role != Role::Picture && role_of(other) == Some(role)
        };
        if let Some(other) = self.names.iter().find(|other| same(other)) {
            pair.set_fault(format!("`{other}` and `{name}` are both of the key `{key}`"));
        } else if role == Role::Picture {
            pair.add_picture(name.clone(), member.start);
        } else {
            match text(self.file, member)? {
                Err(why) => pair.set_fault(format!("`{name}`: {why}")),
                Ok(text) if role == Role::Json => pair.set_json(text),
                Ok(text) => pair.set_txt(text),
            }
        }
        self.names.push(name);
        Ok(())
    }
}

fn role_of(name: &str) -> Option<Role> {
    meaning(name).map(|(_, role)| role)
}

/// The text of an entry, or why it is none; an error if it cannot be read at all.
fn text(file: &File, member: &Member) -> Cause<Cause<String>> {
    if let Some(why) = member.kind.refusal() {
        return Ok(Err(why));
    }
    if member.size > LARGEST as u64 {
        return Ok(Err(format!("larger than {LARGEST} bytes")));
    }
    let bytes = read_at(file, member.data, member.size)?;
    Ok(String::from_utf8(bytes)
        .map_err(|error| format!("not UTF-8 behind byte {}", error.utf8_error().valid_up_to())))
}

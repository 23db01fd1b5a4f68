//! The central directory of a zip: one record per entry.

use std::fs::File;
use std::io::{BufRead, Read};

use super::end::{Directory, find};
use super::{LOCAL_LEN, number};
use crate::source::archive::{Cause, forward, in_words};
use crate::source::index::{Kind, Listing};
use crate::source::names::clean;

const RECORD: &[u8; 4] = b"PK\x01\x02";
const RECORD_LEN: usize = 46;
const MADE_BY_UNIX: u64 = 3;
const ZIP64_EXTRA: u64 = 1;
/// In a field of 32 bits: the value is in the zip64 extra field.
const ELSEWHERE: u64 = 0xffff_ffff;

/// Reads the central directory.
pub(in crate::source) fn list(file: &File, listing: &mut Listing<'_>) -> Cause<()> {
    let Directory { start, length, entries, shift } = find(file)?;
    let mut records = forward(file, start).take(length);
    let (mut fixed, mut variable) = ([0; RECORD_LEN], Vec::new());
    let mut count = 0;
    while !records.fill_buf().map_err(|error| in_words(&error))?.is_empty() {
        let damaged = |_| format!("the central directory is cut off in entry {count}");
        records.read_exact(&mut fixed).map_err(damaged)?;
        if !fixed.starts_with(RECORD) {
            return Err(format!("entry {count} of the central directory is damaged"));
        }
        let [name, extra, comment] = [28, 30, 32].map(|at| number(&fixed, at, 2) as usize);
        variable.resize(name + extra + comment, 0);
        records.read_exact(&mut variable).map_err(damaged)?;
        let (name, rest) = variable.split_at(name);
        add(listing, &fixed, name, &rest[..extra], shift)
            .ok_or_else(|| format!("entry {count} of the central directory has bad sizes"))?;
        count += 1;
    }
    // Writers without zip64 count modulo 2^16.
    if count & 0xffff != entries & 0xffff {
        return Err(format!("the central directory has {count} entries, {entries} are declared"));
    }
    listing.finish(LOCAL_LEN, start);
    Ok(())
}

/// `None` if a size that is said to be in the extra field is not there.
fn add(
    listing: &mut Listing<'_>,
    record: &[u8],
    name: &[u8],
    extra: &[u8],
    shift: u64,
) -> Option<()> {
    let mut places = [42, 20, 24].map(|at| number(record, at, 4));
    let mut large = zip64_fields(extra);
    // The order of the extra field: size, packed size, offset.
    for at in [2, 1, 0] {
        if places[at] == ELSEWHERE {
            places[at] = large.next()?;
        }
    }
    places[0] = places[0].checked_add(shift)?;
    let kind = kind(record, name, &places);
    // A name that nobody can ask for needs no entry.
    if let Some(name) = clean(name) {
        listing.push(&name, places, number(record, 16, 4) as u32, kind);
    }
    Some(())
}

/// The numbers of the zip64 extra field.
fn zip64_fields(mut extra: &[u8]) -> impl Iterator<Item = u64> + '_ {
    let mut found: &[u8] = &[];
    while let Some((head, rest)) = extra.split_at_checked(4) {
        let length = (number(head, 2, 2) as usize).min(rest.len());
        if number(head, 0, 2) == ZIP64_EXTRA {
            found = &rest[..length];
        }
        extra = &rest[length..];
    }
    found.chunks_exact(8).map(|field| number(field, 0, 8))
}

fn kind(record: &[u8], name: &[u8], [_, packed, size]: &[u64; 3]) -> Kind {
    let (flags, method) = (number(record, 8, 2), number(record, 10, 2));
    // Encrypted, patch data, strong encryption, encrypted directory.
    if flags & (1 | 1 << 5 | 1 << 6 | 1 << 13) != 0 {
        return Kind::Encrypted;
    }
    if name.ends_with(b"/") {
        return Kind::Directory;
    }
    let unix_mode = number(record, 40, 2);
    if number(record, 5, 1) == MADE_BY_UNIX {
        match unix_mode & 0o170_000 {
            0 | 0o100_000 => (),
            0o120_000 => return Kind::Link,
            0o040_000 => return Kind::Directory,
            _ => return Kind::Special,
        }
    }
    match method {
        0 if packed == size => Kind::Stored,
        0 => Kind::Outside,
        8 => Kind::Deflated,
        other => Kind::Method(other as u16),
    }
}

//! The record at the end of a zip that says where its central directory is.

use std::fs::File;

use super::{fill, number};
use crate::source::archive::{Cause, length, read_at};

const END: &[u8; 4] = b"PK\x05\x06";
const END_LEN: usize = 22;
/// The comment after the record has a length of 16 bits.
const LONGEST_COMMENT: u64 = u16::MAX as u64;
const LOCATOR: &[u8; 4] = b"PK\x06\x07";
const LOCATOR_LEN: u64 = 20;
const END_64: &[u8; 4] = b"PK\x06\x06";
const END_64_LEN: usize = 56;

/// The central directory: its place in the file, its length and its entries.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Directory {
    pub(super) start: u64,
    pub(super) length: u64,
    pub(super) entries: u64,
    /// bytes in front of the archive, which all its offsets leave out
    pub(super) shift: u64,
}

/// Finds the central directory.
pub(super) fn find(file: &File) -> Cause<Directory> {
    let total = length(file)?;
    let tail_len = total.min(END_LEN as u64 + LONGEST_COMMENT);
    let tail = read_at(file, total - tail_len, tail_len)?;
    let at = (0..=tail.len().saturating_sub(END_LEN))
        .rev()
        .find(|&at| is_end(&tail[at..]))
        .ok_or("no end of central directory: the zip is cut off or still being written")?;
    let position = total - tail_len + at as u64;
    let record = &tail[at..];
    if number(record, 4, 2) != number(record, 6, 2) && number(record, 4, 2) != 0xffff {
        return Err("is one part of a zip of several".to_owned());
    }
    match zip64(file, position)? {
        Some((record, position)) => directory(
            position,
            [number(&record, 40, 8), number(&record, 48, 8), number(&record, 32, 8)],
        ),
        None => directory(
            position,
            [number(record, 12, 4), number(record, 16, 4), number(record, 10, 2)],
        ),
    }
}

/// Whether a record starts here whose comment ends where the file ends.
fn is_end(tail: &[u8]) -> bool {
    tail.starts_with(END) && END_LEN as u64 + number(tail, 20, 2) == tail.len() as u64
}

/// The record of a large archive, named by a locator right before the usual one.
fn zip64(file: &File, end: u64) -> Cause<Option<([u8; END_64_LEN], u64)>> {
    let Some(at) = end.checked_sub(LOCATOR_LEN) else { return Ok(None) };
    let locator: [u8; LOCATOR_LEN as usize] = fill(file, at)?;
    if !locator.starts_with(LOCATOR) {
        return Ok(None);
    }
    // Bytes in front of the archive shift the record, which lies right before its locator then.
    let near = at.checked_sub(END_64_LEN as u64);
    for position in [Some(number(&locator, 8, 8)), near].into_iter().flatten() {
        if position.checked_add(END_64_LEN as u64).is_some_and(|record_end| record_end <= at) {
            let record: [u8; END_64_LEN] = fill(file, position)?;
            if record.starts_with(END_64) {
                return Ok(Some((record, position)));
            }
        }
    }
    Err("no zip64 end of central directory where its locator points".to_owned())
}

fn directory(end: u64, [length, offset, entries]: [u64; 3]) -> Cause<Directory> {
    let start = end.checked_sub(length).filter(|start| *start >= offset);
    let start = start.ok_or_else(|| {
        format!("a central directory of {length} bytes at {offset} does not fit before byte {end}")
    })?;
    Ok(Directory { start, length, entries, shift: start - offset })
}

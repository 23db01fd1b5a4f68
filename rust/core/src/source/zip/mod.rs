//! Zip archives: the index from the central directory, stored and deflated entries.
//!
//! Only the central directory is believed. What it says of an entry is checked against the entry's
//! own header, the declared size and the CRC-32 when the entry is read.

mod directory;
mod end;

use std::fs::File;

use flate2::{Decompress, FlushDecompress, Status};

use super::archive::{Cause, read_at, read_exact_at};
use super::index::{Entry, Kind};

pub(super) use directory::list;

const LOCAL_HEADER: &[u8; 4] = b"PK\x03\x04";
/// Bytes of the header before an entry, without name and extra field.
const LOCAL_LEN: u64 = 30;
/// Deflate cannot pack more tightly: 258 bytes in two bits.
const BEST_RATIO: u64 = 1032;

/// A little-endian number of at most 8 bytes at `at`; 0 for bytes that are not there.
fn number(bytes: &[u8], at: usize, length: usize) -> u64 {
    let field = bytes.get(at..at + length).unwrap_or_default();
    field.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte))
}

/// The bytes of an entry.
pub(super) fn read(file: &File, entry: &Entry, name: &str) -> Cause<Vec<u8>> {
    let data = data_start(file, entry, name)?;
    let bytes = match entry.kind {
        Kind::Deflated => inflate(&read_at(file, data, entry.packed())?, entry.size())?,
        _ => read_at(file, data, entry.size())?,
    };
    let crc = crc32fast::hash(&bytes);
    if crc != entry.crc {
        return Err(format!("the CRC-32 is {crc:08x}, the index says {:08x}", entry.crc));
    }
    Ok(bytes)
}

/// The first `most` bytes of an entry, unchecked; all of a deflated one.
pub(super) fn start(file: &File, entry: &Entry, name: &str, most: u64) -> Cause<Vec<u8>> {
    if entry.kind == Kind::Deflated {
        return read(file, entry, name);
    }
    read_at(file, data_start(file, entry, name)?, entry.size().min(most))
}

/// Where the data begins: behind the entry's own header, which has to be there and of this name.
fn data_start(file: &File, entry: &Entry, name: &str) -> Cause<u64> {
    let header = read_at(file, entry.header(), LOCAL_LEN)?;
    if !header.starts_with(LOCAL_HEADER) {
        return Err(format!("no entry header at byte {}", entry.header()));
    }
    let (name_len, extra_len) = (number(&header, 26, 2), number(&header, 28, 2));
    let own = read_at(file, entry.header() + LOCAL_LEN, name_len)?;
    if super::names::clean(&own).as_deref() != Some(name) {
        return Err(format!(
            "the entry's own header has another name, `{}`",
            String::from_utf8_lossy(&own).escape_debug()
        ));
    }
    Ok(entry.header() + LOCAL_LEN + name_len + extra_len)
}

/// Exactly `size` bytes from deflated ones. The buffer is never larger than that, so what inflates
/// to more stops there.
fn inflate(packed: &[u8], size: u64) -> Cause<Vec<u8>> {
    if size / BEST_RATIO > packed.len() as u64 {
        return Err(format!("{} bytes cannot inflate to the declared {size}", packed.len()));
    }
    let length = usize::try_from(size).map_err(|_| "no memory to read it")?;
    // One more byte of room lets the stream come to its end, and shows one that goes on.
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length + 1).map_err(|_| "no memory to read it")?;
    let mut stream = Decompress::new(false);
    let status = stream
        .decompress_vec(packed, &mut bytes, FlushDecompress::Finish)
        .map_err(|error| format!("the deflated data is damaged: {error}"))?;
    match (status, bytes.len()) {
        (Status::StreamEnd, got) if got == length => Ok(bytes),
        (_, got) if got > length => Err(format!("inflates to more than the declared {size} bytes")),
        (Status::StreamEnd, got) => Err(format!("inflates to {got} bytes, {size} are declared")),
        _ => Err("the deflated data ends too early".to_owned()),
    }
}

/// Fills a buffer from the file; a shorter file is an error.
fn fill<const N: usize>(file: &File, at: u64) -> Cause<[u8; N]> {
    let mut bytes = [0; N];
    read_exact_at(file, at, &mut bytes)?;
    Ok(bytes)
}

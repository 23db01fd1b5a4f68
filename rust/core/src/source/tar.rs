//! Tar archives: the index from a walk over all headers, regular files.
//!
//! Names of any length (ustar prefix, GNU `L` entries, pax `path`), sizes of any length (octal,
//! binary, pax `size`).

use std::fs::File;

use tar::{EntryType, Header, PaxExtensions};

use super::archive::{Cause, length, read_at, read_exact_at};
use super::index::{Entry, Index, Kind};
use super::names::clean;

const BLOCK: u64 = 512;
/// The longest name or pax entry that is read, in bytes.
const LONGEST_EXTENSION: u64 = 1 << 20;

/// What the entries in front of a header say about it.
#[derive(Default)]
struct Ahead {
    name: Option<Vec<u8>>,
    size: Option<u64>,
    sparse: bool,
}

/// Whether a file starts with a tar header.
pub(super) fn is_tar(start: &[u8]) -> bool {
    <&[u8; 512]>::try_from(start).is_ok_and(|block| sound(Header::from_byte_slice(block)))
}

/// Whether the checksum of a header fits.
fn sound(header: &Header) -> bool {
    let sum = header.as_bytes().iter().enumerate().fold(0, |sum, (at, &byte)| {
        // The field of the checksum itself counts as spaces.
        sum + u32::from(if (148..156).contains(&at) { b' ' } else { byte })
    });
    header.cksum().is_ok_and(|cksum| cksum == sum)
}

/// Walks over all headers.
pub(super) fn index(file: &File) -> Cause<Index> {
    let total = length(file)?;
    let (mut index, mut ahead) = (Index::default(), Ahead::default());
    let mut at = 0;
    let mut block = [0; BLOCK as usize];
    while at < total {
        if at + BLOCK > total {
            return Err(format!("the tar is cut off in the header at byte {at}"));
        }
        read_exact_at(file, at, &mut block)?;
        if block == [0; BLOCK as usize] {
            break;
        }
        let header = Header::from_byte_slice(&block);
        if !sound(header) {
            return Err(format!("no tar header at byte {at}"));
        }
        at = entry(file, &mut index, header, &mut ahead, [at, total])?;
    }
    index.finish(BLOCK, total);
    Ok(index)
}

/// Takes one header into account; the position of the next comes back.
fn entry(
    file: &File,
    index: &mut Index,
    header: &Header,
    ahead: &mut Ahead,
    [at, total]: [u64; 2],
) -> Cause<u64> {
    let kind = header.entry_type();
    let declared =
        header.entry_size().map_err(|_| format!("bad size in the header at byte {at}"))?;
    let size = ahead.size.filter(|_| !extends(kind)).unwrap_or(declared);
    let data = at + BLOCK + sparse_map(file, header, at)?;
    let stored = if has_data(kind) { size } else { 0 };
    let end = data.checked_add(stored).and_then(|end| end.checked_next_multiple_of(BLOCK));
    let end = end.filter(|_| data + stored <= total).ok_or_else(|| {
        format!("the tar is cut off: the entry at byte {at} has {stored} bytes, the file ends at {total}")
    })?;
    match kind {
        EntryType::GNULongName => ahead.name = Some(until_zero(extension(file, data, size)?)),
        EntryType::XHeader => read_pax(&extension(file, data, size)?, ahead, at)?,
        EntryType::GNULongLink | EntryType::XGlobalHeader => (),
        _ => {
            let ahead = std::mem::take(ahead);
            let kind = if ahead.sparse { Kind::Sparse } else { our_kind(header) };
            let name = ahead.name.unwrap_or_else(|| header.path_bytes().into_owned());
            if let Some(name) = clean(&name) {
                let kind = if name_is_folder(header, kind) { Kind::Directory } else { kind };
                index.push(&name, [at, stored, size], crc32fast::hash(header.as_bytes()), kind);
            }
        }
    }
    Ok(end)
}

/// Entries that say something about the next one.
fn extends(kind: EntryType) -> bool {
    use EntryType as E;
    matches!(kind, E::GNULongName | E::GNULongLink | E::XHeader | E::XGlobalHeader)
}

/// Links, folders and devices may have a size, but never data.
fn has_data(kind: EntryType) -> bool {
    use EntryType as E;
    !matches!(kind, E::Link | E::Symlink | E::Char | E::Block | E::Directory | E::Fifo)
}

fn our_kind(header: &Header) -> Kind {
    use EntryType as E;
    match header.entry_type() {
        E::Regular | E::Continuous => Kind::Stored,
        E::Link | E::Symlink => Kind::Link,
        E::Directory => Kind::Directory,
        E::GNUSparse => Kind::Sparse,
        _ => Kind::Special,
    }
}

/// The oldest archives mark a folder by the end of its name.
fn name_is_folder(header: &Header, kind: Kind) -> bool {
    kind == Kind::Stored && header.as_bytes()[156] == 0 && header.path_bytes().ends_with(b"/")
}

/// Bytes of the blocks that go on with the map of an old GNU sparse file.
fn sparse_map(file: &File, header: &Header, at: u64) -> Cause<u64> {
    let (mut more, mut length) = (header.as_bytes()[482] == 1, 0);
    if header.entry_type() != EntryType::GNUSparse {
        return Ok(0);
    }
    while more {
        length += BLOCK;
        more = read_at(file, at + length, BLOCK)?[504] == 1;
    }
    Ok(length)
}

fn extension(file: &File, at: u64, size: u64) -> Cause<Vec<u8>> {
    if size > LONGEST_EXTENSION {
        return Err(format!("a name of {size} bytes at byte {at}"));
    }
    read_at(file, at, size)
}

fn until_zero(mut name: Vec<u8>) -> Vec<u8> {
    let end = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
    name.truncate(end);
    name
}

fn read_pax(bytes: &[u8], ahead: &mut Ahead, at: u64) -> Cause<()> {
    for field in PaxExtensions::new(bytes) {
        let damaged = || format!("damaged pax header at byte {at}");
        let field = field.map_err(|_| damaged())?;
        match field.key_bytes() {
            b"path" | b"GNU.sparse.name" => ahead.name = Some(field.value_bytes().to_vec()),
            b"size" => {
                let value = field.value().ok().and_then(|value| value.parse().ok());
                ahead.size = Some(value.ok_or_else(damaged)?);
            }
            _ => (),
        }
        ahead.sparse |= field.key_bytes().starts_with(b"GNU.sparse.");
    }
    Ok(())
}

/// The first `most` bytes of an entry, whose header has to be as it was.
pub(super) fn read(file: &File, entry: &Entry, most: u64) -> Cause<Vec<u8>> {
    let mut block = [0; BLOCK as usize];
    read_exact_at(file, entry.header, &mut block)?;
    if crc32fast::hash(&block) != entry.crc {
        return Err("the archive has changed since it was opened".to_owned());
    }
    read_at(file, entry.header + BLOCK, entry.size.min(most))
}

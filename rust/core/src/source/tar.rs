//! Tar archives: the index from a walk over all headers, regular files.
//!
//! Names of any length (ustar prefix, GNU `L` entries, pax `path`), sizes of any length (octal,
//! binary, pax `size`).

use std::fs::File;

use tar::{EntryType, Header, PaxExtensions};

use super::archive::{Cause, length, read_at, read_exact_at};
use super::index::{Entry, Kind, Listing};
use super::names::clean;

const BLOCK: u64 = 512;
/// The longest name or pax entry that is read, in bytes.
const LONGEST_EXTENSION: u64 = 1 << 20;

/// Whether a file starts with a tar header.
pub(crate) fn is_tar(start: &[u8]) -> bool {
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

/// A member of a tar.
pub(crate) struct Member {
    /// byte at which its headers start, those that only say its name or size included
    pub(crate) start: u64,
    /// byte at which its data starts
    pub(crate) data: u64,
    /// bytes of the file that it is
    pub(crate) size: u64,
    /// bytes of its data in the tar
    stored: u64,
    /// byte at which the next member starts
    pub(crate) end: u64,
    /// CRC-32 of its own header
    pub(crate) crc: u32,
    /// how it is read
    pub(crate) kind: Kind,
    /// as it is written
    pub(crate) name: Vec<u8>,
}

/// What the headers in front of a member's own say about it.
#[derive(Default)]
struct Ahead {
    name: Option<Vec<u8>>,
    size: Option<u64>,
    sparse: bool,
}

/// The member whose headers start at `start`, in a file of `total` bytes; None at the end.
pub(crate) fn member(file: &File, start: u64, total: u64) -> Cause<Option<Member>> {
    let (mut ahead, mut at) = (Ahead::default(), start);
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
        let place = Place::of(file, header, &ahead, [at, total])?;
        match header.entry_type() {
            EntryType::GNULongName => {
                ahead.name = Some(until_zero(extension(file, place.data, place.size)?));
            }
            EntryType::XHeader => {
                read_pax(&extension(file, place.data, place.size)?, &mut ahead, at)?;
            }
            EntryType::GNULongLink | EntryType::XGlobalHeader => (),
            _ => return Ok(Some(place.member(header, ahead, start))),
        }
        at = place.end;
    }
    Ok(None)
}

/// Where the data behind a header lies.
struct Place {
    data: u64,
    size: u64,
    stored: u64,
    end: u64,
}

impl Place {
    fn of(file: &File, header: &Header, ahead: &Ahead, [at, total]: [u64; 2]) -> Cause<Self> {
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
        Ok(Self { data, size, stored, end })
    }

    fn member(self, header: &Header, ahead: Ahead, start: u64) -> Member {
        let Self { data, size, stored, end } = self;
        let crc = crc32fast::hash(header.as_bytes());
        let kind = if ahead.sparse { Kind::Sparse } else { our_kind(header) };
        let kind = if name_is_folder(header, kind) { Kind::Directory } else { kind };
        let name = ahead.name.unwrap_or_else(|| header.path_bytes().into_owned());
        Member { start, data, size, stored, end, crc, kind, name }
    }
}

/// Walks over all members.
pub(super) fn list(file: &File, listing: &mut Listing<'_>) -> Cause<()> {
    let total = length(file)?;
    let mut at = 0;
    while let Some(member) = member(file, at, total)? {
        // A name that nobody can ask for needs no entry.
        if let Some(name) = clean(&member.name) {
            let place = [member.start, member.stored, member.size];
            listing.push(&name, place, member.crc, member.kind);
        }
        at = member.end;
    }
    listing.finish(BLOCK, total);
    Ok(())
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

/// The first `most` bytes of the entry `name`, whose header has to be as it was.
pub(super) fn read(file: &File, entry: &Entry, name: &str, most: u64) -> Cause<Vec<u8>> {
    // How long the file is now shows when its data is read.
    let member = member(file, entry.header(), u64::MAX).ok().flatten();
    let same =
        |member: &Member| member.crc == entry.crc && clean(&member.name).as_deref() == Some(name);
    let Some(member) = member.filter(same) else {
        return Err("the archive has changed since it was opened".to_owned());
    };
    read_at(file, member.data, member.size.min(most))
}

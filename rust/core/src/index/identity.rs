//! Whether a file is still the one that it was, without reading all of it.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};

use crate::fingerprint::Fingerprint;

/// Blocks that are compared, spread evenly over the file, and their size. An edit that keeps a
/// file's size and its time of change is seen if it touches one of them.
const BLOCKS: u64 = 64;
const BLOCK: u64 = 4096;

/// Size, time of the last change and a sample of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// bytes
    pub size: u64,
    /// nanoseconds since 1970
    modified: u64,
    sample: u64,
}

impl Identity {
    /// Of an open regular file.
    ///
    /// # Errors
    /// What reading gives; `UnexpectedEof` for a file that gets shorter meanwhile.
    pub fn of(file: &File) -> io::Result<Self> {
        let found = file.metadata()?;
        let nanoseconds =
            found.mtime().wrapping_mul(1_000_000_000).wrapping_add(found.mtime_nsec());
        let size = found.size();
        Ok(Self { size, modified: nanoseconds as u64, sample: sample(file, size)? })
    }

    /// For comparisons byte by byte.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 24] {
        let mut bytes = [0; 24];
        for (place, value) in [self.size, self.modified, self.sample].into_iter().enumerate() {
            bytes[place * 8..][..8].copy_from_slice(&value.to_le_bytes());
        }
        bytes
    }
}

fn sample(file: &File, size: u64) -> io::Result<u64> {
    let mut hasher = Fingerprint::default();
    let mut block = [0; BLOCK as usize];
    let blocks = size.div_ceil(BLOCK).min(BLOCKS);
    for number in 0..blocks {
        // The first block and the last are always among them.
        let start = size.saturating_sub(BLOCK) / (blocks - 1).max(1) * number;
        let start = if number + 1 == blocks { size.saturating_sub(BLOCK) } else { start };
        let block = &mut block[..BLOCK.min(size) as usize];
        file.read_exact_at(block, start)?;
        hasher.update(block);
    }
    Ok(hasher.finish())
}

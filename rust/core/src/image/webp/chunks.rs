//! Chunks of a RIFF file.

use super::{malformed, truncated};
use crate::Result;

/// `RIFF`, a length, `WEBP`.
const FILE_HEADER: usize = 12;

/// One chunk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunk<'a> {
    pub(super) kind: [u8; 4],
    pub(super) payload: &'a [u8],
}

/// The chunks one after the other.
pub(super) struct Chunks<'a>(&'a [u8]);

impl<'a> Chunks<'a> {
    /// Of a file; bytes behind its declared length are not looked at.
    ///
    /// # Errors
    /// `Truncated` if the file is shorter than it declares.
    pub(super) fn of_file(file: &'a [u8]) -> Result<Self> {
        let length =
            file.get(4..).and_then(<[u8]>::first_chunk).map(|four| u32::from_le_bytes(*four));
        let length = length.ok_or_else(|| truncated("the file ends inside its header"))? as usize;
        match file.get(FILE_HEADER..length.saturating_add(8)) {
            Some(chunks) => Ok(Self(chunks)),
            None if length + 8 < FILE_HEADER => Err(malformed(format!("a length of {length}"))),
            None => Err(truncated(format!("{} bytes of {}", file.len(), length.saturating_add(8)))),
        }
    }

    /// Of a chunk that holds chunks.
    pub(super) fn of_payload(payload: &'a [u8]) -> Self {
        Self(payload)
    }

    /// The next chunk, without taking it.
    pub(super) fn peek(&self) -> Result<Option<Chunk<'a>>> {
        Self(self.0).next()
    }

    /// Takes the next chunk; `None` at the end.
    ///
    /// # Errors
    /// `Malformed` if it is longer than what holds it.
    pub(super) fn next(&mut self) -> Result<Option<Chunk<'a>>> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let Some((&[k0, k1, k2, k3, l0, l1, l2, l3], rest)) = self.0.split_first_chunk() else {
            return Err(malformed("bytes behind the last chunk"));
        };
        let kind = [k0, k1, k2, k3];
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        let padded = length.next_multiple_of(2);
        let Some((payload, rest)) = rest.split_at_checked(padded) else {
            return Err(malformed(format!("chunk `{}` is too long", kind.escape_ascii())));
        };
        self.0 = rest;
        Ok(Some(Chunk { kind, payload: &payload[..length] }))
    }
}

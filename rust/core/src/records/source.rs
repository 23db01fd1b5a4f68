//! Where the bytes of records come from.
//!
//! A file stays open and every read says where it reads: threads and forked processes share it
//! without a lock, and a file that is cut off meanwhile is an error and never a signal.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::FileExt;

use crate::error::Error;
use crate::index::{Sealed, Side};

/// Bytes that are read at once; they fit into the second cache.
const BLOCK: usize = 256 << 10;

/// Kind of the side file with the records of a container.
const KIND: &str = "records";

/// A file, a side file, or a text that is in memory anyway.
#[derive(Debug)]
pub(super) enum Source {
    Text(String),
    File(File),
    Kept(Sealed),
}

impl Source {
    /// Text that `write` makes from the file that has `key`: what was kept of an earlier time, or made
    /// now and kept; in memory where there is no place that can be written.
    ///
    /// # Errors
    /// Those of `write`.
    pub(super) fn kept(
        side: &Side,
        key: &[u8],
        write: impl Fn(&mut dyn Write) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        if let Some(found) = side.find(KIND, key) {
            return Ok(Self::Kept(found));
        }
        let lock = side.lock(KIND);
        // Another process may have made it in the meantime.
        if let Some(found) = side.find(KIND, key) {
            return Ok(Self::Kept(found));
        }
        let mut fault = None;
        let kept = lock.is_some_and(|lock| {
            let body = |out: &mut dyn Write| {
                write(out).map_err(|error| {
                    fault = Some(error);
                    io::Error::other("no text")
                })
            };
            lock.publish(KIND, key, body).is_ok()
        });
        match (fault, side.find(KIND, key)) {
            (None, Some(found)) if kept => Ok(Self::Kept(found)),
            // A full disk is one of these faults: memory may still have room.
            _ => {
                let mut text = Vec::new();
                write(&mut text)?;
                String::from_utf8(text).map(Self::Text).map_err(|e| Error::Data(e.to_string()))
            }
        }
    }

    /// `take(block)` for all bytes, in order.
    ///
    /// # Errors
    /// Those of `take`, and of reading.
    pub(super) fn blocks<E: From<io::Error>>(
        &self,
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        if let Self::Text(text) = self {
            return take(text.as_bytes());
        }
        let mut block = vec![0; BLOCK];
        let mut at = 0;
        loop {
            match self.read_at(&mut block, at) {
                Ok(0) => return Ok(()),
                Ok(count) => {
                    take(&block[..count])?;
                    at += count as u64;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn read_at(&self, block: &mut [u8], at: u64) -> io::Result<usize> {
        match self {
            Self::Text(_) => Ok(0),
            Self::File(file) => file.read_at(block, at),
            Self::Kept(content) => {
                let size = content.length.saturating_sub(at).min(block.len() as u64) as usize;
                content.read(&mut block[..size], at).map(|()| size)
            }
        }
    }

    /// `length` bytes from `start` on.
    ///
    /// # Errors
    /// `UnexpectedEof` where the file has become shorter, or what reading gives.
    pub(super) fn read(&self, start: u64, length: usize) -> io::Result<Cow<'_, [u8]>> {
        match self {
            Self::Text(text) => {
                let first = start as usize;
                let bytes = text.as_bytes().get(first..first + length);
                bytes.map(Cow::Borrowed).ok_or_else(|| ErrorKind::UnexpectedEof.into())
            }
            Self::File(file) => {
                let mut bytes = vec![0; length];
                file.read_exact_at(&mut bytes, start)?;
                Ok(Cow::Owned(bytes))
            }
            Self::Kept(content) => {
                let mut bytes = vec![0; length];
                content.read(&mut bytes, start)?;
                Ok(Cow::Owned(bytes))
            }
        }
    }
}

//! Where the bytes of records come from.
//!
//! A file stays open and every read says where it reads: threads and forked processes share it
//! without a lock, and a file that is cut off meanwhile is an error and never a signal.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::error::Error;
use crate::source::{file, open_regular};

/// Bytes that are read at once; they fit into the second cache.
const BLOCK: usize = 256 << 10;

/// A file, or a text that is in memory anyway.
#[derive(Debug)]
pub(super) enum Source {
    Text(String),
    File(File),
}

impl Source {
    /// Opens a regular file.
    ///
    /// # Errors
    /// The cause; the name is for the caller to add.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        open_regular(path).map(Self::File)
    }

    /// The first bytes, at most `most`.
    ///
    /// # Errors
    /// What reading gives.
    pub(super) fn start(&self, most: usize) -> io::Result<Vec<u8>> {
        match self {
            Self::Text(text) => Ok(text.as_bytes()[..most.min(text.len())].to_owned()),
            Self::File(file) => file::start(file, most),
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
        let file = match self {
            Self::Text(text) => return take(text.as_bytes()),
            Self::File(file) => file,
        };
        let mut block = vec![0; BLOCK];
        let mut at = 0;
        loop {
            match file.read_at(&mut block, at) {
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
        }
    }
}

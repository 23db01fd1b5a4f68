//! A file that is read by position, so that threads and forked processes can share it.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

use crate::Error;
use crate::source::open_regular;

/// An open file and its length when it was opened.
pub struct Positioned {
    file: Arc<File>,
    length: u64,
}

impl Positioned {
    /// # Errors
    /// Of the system.
    pub fn open(path: &Path) -> crate::Result<Self> {
        let file = open_regular(path)?;
        let length = file.metadata().map_err(|error| Error::Data(error.to_string()))?.len();
        Ok(Self { file: Arc::new(file), length })
    }

    fn check(&self, start: u64, length: usize) -> Result<()> {
        match start.checked_add(length as u64) {
            Some(end) if end <= self.length => Ok(()),
            _ => Err(ParquetError::General(format!(
                "{length} bytes at {start}, the file has {}",
                self.length
            ))),
        }
    }
}

impl Length for Positioned {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for Positioned {
    type T = BufReader<From>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        self.check(start, 0)?;
        // A page header is a few dozen bytes; what a larger buffer reads beyond is thrown away.
        Ok(BufReader::with_capacity(512, From { file: Arc::clone(&self.file), position: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        self.check(start, length)?;
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, start)?;
        Ok(bytes.into())
    }
}

/// The file from a position on.
pub struct From {
    file: Arc<File>,
    position: u64,
}

impl Read for From {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.position)?;
        self.position += count as u64;
        Ok(count)
    }
}

//! The side file of counts: a head, and blocks behind each other as they were counted.
//!
//! One process appends, under a lock; the others read along. Each block has a checksum, so one that
//! is still being written, or never was finished, is simply the end of the file. A block that comes
//! again adds to the one before.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::block::ROWS;
use super::bytes::Reader;
use super::key::Key;
use crate::index::{Lock, Side};
use crate::source::open_regular;

const MAGIC: &[u8; 8] = b"LFCOUNTS";
const HEAD: usize = 32;
/// Of a block: its number, bytes behind this head, their checksum.
const BLOCK_HEAD: usize = 16;
/// More bytes than a block ever has.
const LARGEST: u32 = 64 << 20;

/// The side file of one file of records.
#[derive(Debug)]
pub struct Store {
    side: Side,
    kind: String,
    /// the file that is read or written
    path: PathBuf,
    head: [u8; HEAD],
    key: u64,
    file: Option<File>,
    /// where the blocks end that were read or written
    end: u64,
    lock: Option<Lock>,
}

impl Store {
    /// Among the side files `side` of a file with so many `records`.
    pub fn new(side: &Side, key: Key, records: usize) -> Self {
        let kind = format!("{:016x}.counts", key.settings);
        let mut head = [0; HEAD];
        head[..8].copy_from_slice(MAGIC);
        head[8..16].copy_from_slice(&(ROWS as u64).to_le_bytes());
        head[16..24].copy_from_slice(&(records as u64).to_le_bytes());
        head[24..].copy_from_slice(&key.all.to_le_bytes());
        let path = side.paths(&kind).next().unwrap_or_default();
        let side = side.clone();
        Self { side, kind, path, head, key: key.all, file: None, end: 0, lock: None }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Hands over what comes behind the blocks that were read before, until `take` refuses one or it
    /// is time to stop; whether that was all.
    pub fn read(&mut self, until: Instant, mut take: impl FnMut(u32, &[u8]) -> bool) -> bool {
        if self.file.is_none() {
            self.file = self.open();
        }
        while let Some((number, bytes)) = self.file.as_ref().and_then(|file| self.block(file)) {
            if !take(number, &bytes) {
                break;
            }
            self.end += (BLOCK_HEAD + bytes.len()) as u64;
            if Instant::now() > until {
                return false;
            }
        }
        true
    }

    /// The file, if there is one of these very records and settings; under the lock, the one that
    /// will be written.
    fn open(&mut self) -> Option<File> {
        let ours = |path: &Path| open_regular(path).ok().filter(|file| self.is_ours(file));
        let (path, file) = match &self.lock {
            Some(lock) => (lock.path().to_owned(), ours(lock.path())?),
            None => {
                self.side.paths(&self.kind).find_map(|path| Some((path.clone(), ours(&path)?)))?
            }
        };
        (self.path, self.end) = (path, HEAD as u64);
        Some(file)
    }

    fn is_ours(&self, file: &File) -> bool {
        let mut head = [0; HEAD];
        file.read_exact_at(&mut head, 0).is_ok() && head == self.head
    }

    fn block(&self, file: &File) -> Option<(u32, Vec<u8>)> {
        let mut head = [0; BLOCK_HEAD];
        file.read_exact_at(&mut head, self.end).ok()?;
        let mut head = Reader(&head);
        let (number, length, sum) = (head.word()?, head.word()?, head.long()?);
        let mut bytes = vec![0; Some(length).filter(|&length| length <= LARGEST)? as usize];
        file.read_exact_at(&mut bytes, self.end + BLOCK_HEAD as u64).ok()?;
        (sum == self.checksum(number, &bytes)).then_some((number, bytes))
    }

    /// A block that was copied to another place, or another file, is damaged.
    fn checksum(&self, number: u32, bytes: &[u8]) -> u64 {
        xxh3_64_with_seed(bytes, self.key ^ u64::from(number))
    }

    /// Tries to become the one that writes, who reads the file once more; false while another process
    /// does.
    ///
    /// # Errors
    /// No such file can be made.
    pub fn lock(&mut self) -> io::Result<bool> {
        let Some(lock) = self.side.try_lock(&self.kind)? else { return Ok(false) };
        lock.path().clone_into(&mut self.path);
        // The file may be another one by now.
        (self.lock, self.file, self.end) = (Some(lock), None, 0);
        Ok(true)
    }

    /// Cuts off what [`Store::read`] could not use; a file of other records or settings is replaced.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn begin(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            self.replace()?;
        }
        let file = OpenOptions::new().read(true).write(true).open(&self.path)?;
        file.set_len(self.end)?;
        self.file = Some(file);
        Ok(())
    }

    /// Forgets what is in the file, under the lock.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn replace(&mut self) -> io::Result<()> {
        let new = self.path.with_extension("new");
        // Left by a process that was killed.
        let _ = fs::remove_file(&new);
        File::create_new(&new)?.write_all(&self.head)?;
        fs::rename(&new, &self.path)?;
        self.end = HEAD as u64;
        Ok(())
    }

    /// Adds block `number`, between [`Store::begin`] and [`Store::finish`].
    ///
    /// # Errors
    /// It cannot be written; what is there of it is no block.
    pub fn append(&mut self, number: u32, bytes: &[u8]) -> io::Result<()> {
        let Some(file) = &self.file else { return Err(ErrorKind::NotFound.into()) };
        let mut block = Vec::with_capacity(BLOCK_HEAD + bytes.len());
        block.extend(number.to_le_bytes());
        block.extend((bytes.len() as u32).to_le_bytes());
        block.extend(self.checksum(number, bytes).to_le_bytes());
        block.extend(bytes);
        file.write_all_at(&block, self.end)?;
        self.end += block.len() as u64;
        Ok(())
    }

    /// Lets others write.
    pub fn finish(&mut self) {
        self.lock = None;
    }
}

//! The form of every side file: what it was made from, then its content, both under checksums.
//!
//! | bytes | |
//! |---|---|
//! | 8 | `LLAVAFAS` |
//! | 4, 4 | version; length of kind and key |
//! | 8, 8 | length of the content; its checksum |
//! | … | kind, a zero byte, key |
//! | 8 | checksum of everything before |
//! | … | content |

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

const MAGIC: &[u8; 8] = b"LLAVAFAS";
const VERSION: u32 = 1;
/// Bytes before kind and key.
const FIXED: usize = 32;
const BLOCK: usize = 256 << 10;

/// The content of a side file that was found whole.
#[derive(Debug)]
pub struct Sealed {
    file: File,
    start: u64,
    /// bytes
    pub length: u64,
}

impl Sealed {
    /// Opens a side file; None unless it is whole, of this kind and made from this key.
    pub(super) fn open(path: &Path, kind: &str, key: &[u8]) -> Option<Self> {
        let file = crate::source::open_regular(path).ok()?;
        let start = head(kind, key, 0, 0).len();
        let mut found = vec![0; start];
        file.read_exact_at(&mut found, 0).ok()?;
        let length = u64::from_le_bytes(found[16..24].try_into().ok()?);
        let checksum = u64::from_le_bytes(found[24..32].try_into().ok()?);
        if found != head(kind, key, length, checksum) {
            return None;
        }
        let sealed = Self { file, start: start as u64, length };
        let size = sealed.file.metadata().ok()?.len();
        let whole = size.checked_sub(sealed.start) == Some(length);
        (whole && sealed.checksum().ok()? == checksum).then_some(sealed)
    }

    /// Fills `bytes` from `at` on.
    ///
    /// # Errors
    /// Those of reading; `UnexpectedEof` behind the end.
    pub fn read(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        self.file.read_exact_at(bytes, self.start.saturating_add(at))
    }

    fn checksum(&self) -> io::Result<u64> {
        let (mut hasher, mut block, mut at) = (Xxh3::new(), vec![0; BLOCK], 0);
        while at < self.length {
            let size = (self.length - at).min(BLOCK as u64) as usize;
            self.read(&mut block[..size], at)?;
            hasher.update(&block[..size]);
            at += size as u64;
        }
        Ok(hasher.digest())
    }
}

/// Writes a whole side file, where there is none.
pub(super) fn write(
    path: &Path,
    kind: &str,
    key: &[u8],
    body: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut file = BufWriter::with_capacity(BLOCK, File::create_new(path)?);
    file.write_all(&head(kind, key, 0, 0))?;
    let mut hashed = Hashed { file, hasher: Xxh3::new(), length: 0 };
    body(&mut hashed)?;
    let Hashed { mut file, hasher, length } = hashed;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&head(kind, key, length, hasher.digest()))?;
    file.into_inner()?.sync_data()
}

fn head(kind: &str, key: &[u8], length: u64, checksum: u64) -> Vec<u8> {
    let named = kind.len() + 1 + key.len();
    let mut head = Vec::with_capacity(FIXED + named + 8);
    head.extend_from_slice(MAGIC);
    head.extend_from_slice(&VERSION.to_le_bytes());
    head.extend_from_slice(&(named as u32).to_le_bytes());
    head.extend_from_slice(&length.to_le_bytes());
    head.extend_from_slice(&checksum.to_le_bytes());
    head.extend_from_slice(kind.as_bytes());
    head.push(0);
    head.extend_from_slice(key);
    let checksum = xxh3_64(&head);
    head.extend_from_slice(&checksum.to_le_bytes());
    head
}

/// Writes, and takes the checksum of what is written.
struct Hashed {
    file: BufWriter<File>,
    hasher: Xxh3,
    length: u64,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_all(bytes)?;
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

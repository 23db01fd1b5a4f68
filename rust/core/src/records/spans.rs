//! Where each record of a file lies: sixteen bytes a record, in memory or in a side file.

use std::fs::File;
use std::io::{self, Write};

use super::scan::{Fault, Found, Scanner, Span};
use super::source::Source;
use crate::error::Error;
use crate::fingerprint::Fingerprint;
use crate::index::{Identity, Sealed, Side};

/// Kind of the side file.
const KIND: &str = "spans";
/// Bytes before the spans: fingerprint of the file, whether it has one record a line.
const HEAD: u64 = 16;
const SPAN: u64 = 16;

/// The records of a file.
#[derive(Debug)]
pub(super) struct Index {
    spans: Spans,
    /// of all bytes of the file
    pub(super) fingerprint: u64,
    /// one record in each line, not a list
    pub(super) by_line: bool,
}

#[derive(Debug)]
enum Spans {
    Listed(Vec<Span>),
    Stored(Sealed),
}

/// Why a file is not indexed.
pub(super) enum Stop {
    Fault(Fault),
    Read(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

impl Stop {
    pub(super) fn in_file(self, name: &str) -> Error {
        Error::Data(match self {
            Self::Read(error) => format!("`{name}`: {error}"),
            Self::Fault(Fault::NoRecords(detail)) => format!("`{name}`: {detail}"),
            Self::Fault(Fault::At { line, column, detail }) => {
                format!("`{name}`: line {line} column {column}: {detail}")
            }
        })
    }
}

impl Index {
    /// Reads `source` through.
    pub(super) fn scan(source: &Source, mut scanner: Scanner) -> Result<Self, Stop> {
        let mut hasher = Fingerprint::default();
        source.blocks(|block| {
            hasher.update(block);
            scanner.feed(block).map_err(Stop::Fault)
        })?;
        let Found { spans, by_line } = scanner.finish().map_err(Stop::Fault)?;
        Ok(Self { spans: Spans::Listed(spans), fingerprint: hasher.finish(), by_line })
    }

    /// What an earlier scan of the file left, or a new one, which is kept for the next time where
    /// there is a place that can be written. `file` is what `source` reads, or was made from.
    pub(super) fn of(
        source: &Source,
        file: &File,
        side: &Side,
        scanner: Scanner,
    ) -> Result<Self, Stop> {
        let key = Identity::of(file)?.to_bytes();
        let find = || side.find(KIND, &key).and_then(Self::stored);
        if let Some(found) = find() {
            return Ok(found);
        }
        let lock = side.lock(KIND);
        // Another process may have made it in the meantime.
        if let Some(found) = find() {
            return Ok(found);
        }
        let made = Self::scan(source, scanner)?;
        if Identity::of(file)?.to_bytes() != key {
            return Err(io::Error::other("the file changed while it was read").into());
        }
        let kept = lock.and_then(|lock| lock.publish(KIND, &key, |out| made.write(out)).ok());
        Ok(kept.and_then(|()| find()).unwrap_or(made))
    }

    fn stored(content: Sealed) -> Option<Self> {
        let mut head = [[0; 8]; 2];
        content.read(head.as_flattened_mut(), 0).ok()?;
        let [fingerprint, by_line] = head.map(u64::from_le_bytes);
        let spans = content.length.checked_sub(HEAD)?;
        (spans % SPAN == 0).then_some(())?;
        Some(Self { spans: Spans::Stored(content), fingerprint, by_line: by_line == 1 })
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&self.fingerprint.to_le_bytes())?;
        out.write_all(&u64::from(self.by_line).to_le_bytes())?;
        for number in 0..self.len() {
            let Span { start, length, line } = self.get(number)?;
            let words = [start, u64::from(length) | u64::from(line) << 32];
            out.write_all(words.map(u64::to_le_bytes).as_flattened())?;
        }
        Ok(())
    }

    /// Records in the file.
    pub(super) fn len(&self) -> usize {
        match &self.spans {
            Spans::Listed(spans) => spans.len(),
            Spans::Stored(content) => ((content.length - HEAD) / SPAN) as usize,
        }
    }

    /// Where record `number` lies.
    ///
    /// # Errors
    /// Of reading the side file.
    pub(super) fn get(&self, number: usize) -> io::Result<Span> {
        let content = match &self.spans {
            Spans::Listed(spans) => return Ok(spans[number]),
            Spans::Stored(content) => content,
        };
        let mut words = [[0; 8]; 2];
        content.read(words.as_flattened_mut(), HEAD + number as u64 * SPAN)?;
        let [start, rest] = words.map(u64::from_le_bytes);
        Ok(Span { start, length: rest as u32, line: (rest >> 32) as u32 })
    }
}

//! Where each record lies in a file that is seen once, block by block.
//!
//! A file is a JSON list, or has one record in each line; its first byte tells which. Only what
//! separates records is checked: strings, brackets, commas of the list. What is wrong inside a
//! record is found when that record is parsed, so it costs no other one.

use super::lines::Lines;
use super::list::List;

/// A record in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// first byte
    pub start: u64,
    /// bytes; `u32::MAX` for any larger number
    pub length: u32,
    /// line, from 1, in which it starts
    pub line: u32,
}

impl Span {
    pub(super) fn new(start: u64, end: u64, line: u64) -> Self {
        let line = u32::try_from(line).unwrap_or(u32::MAX);
        Self { start, length: u32::try_from(end - start).unwrap_or(u32::MAX), line }
    }
}

/// Why a file is no list of records, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Something is wrong at a place.
    At {
        /// from 1
        line: u64,
        /// from 1, in bytes; 0 at the end of the file behind a line break
        column: u64,
        /// what
        detail: String,
    },
    /// The file is of another kind altogether.
    NoRecords(String),
}

/// What is known of the place in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// bytes before the block
    pub(super) base: u64,
    /// line, from 1
    pub(super) line: u64,
    /// first byte of the line
    pub(super) line_start: u64,
}

impl Place {
    /// Moves behind a line break that is `index` bytes into the block.
    pub(super) fn next_line(&mut self, index: usize) {
        self.line += 1;
        self.line_start = self.base + index as u64 + 1;
    }

    /// A fault `index` bytes into the block.
    pub(super) fn fault(&self, index: usize, detail: impl Into<String>) -> Fault {
        let column = self.base + index as u64 + 1 - self.line_start;
        Fault::At { line: self.line, column, detail: detail.into() }
    }

    /// A fault of a file that ends here.
    pub(super) fn ends(&self, detail: impl Into<String>) -> Fault {
        Fault::At { line: self.line, column: self.base - self.line_start, detail: detail.into() }
    }
}

/// The spans of a whole file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// in the order of the file
    pub spans: Vec<Span>,
    /// one record in each line, not a list
    pub by_line: bool,
}

/// What Windows editors write before the text; JSON has none.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Takes a file block by block.
#[derive(Debug)]
pub(super) struct Scanner {
    place: Place,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// nothing but white space so far
    Unknown,
    List(List),
    Lines(Lines),
}

impl Default for Scanner {
    fn default() -> Self {
        let place = Place { base: 0, line: 1, line_start: 0 };
        Self { place, kind: Kind::Unknown }
    }
}

impl Scanner {
    /// For a file that is known to have one record in each line, or none at all.
    pub(super) fn of_lines() -> Self {
        Self { kind: Kind::Lines(Lines::default()), ..Self::default() }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// A [`Fault`]; the scan is then over.
    pub(super) fn feed(&mut self, block: &[u8]) -> Result<(), Fault> {
        let begun = match self.kind {
            Kind::Unknown => self.begin(block)?,
            _ => 0,
        };
        match &mut self.kind {
            Kind::Unknown => {}
            Kind::List(list) => list.feed(block, begun, &mut self.place)?,
            Kind::Lines(lines) => lines.feed(block, begun, &mut self.place),
        }
        self.place.base += block.len() as u64;
        Ok(())
    }

    /// The records, all bytes having been seen.
    ///
    /// # Errors
    /// The file ends too early.
    pub(super) fn finish(self) -> Result<Found, Fault> {
        let mut found = match self.kind {
            Kind::Unknown => return Err(self.place.ends("EOF while parsing a value")),
            Kind::List(list) => Found { spans: list.finish(&self.place)?, by_line: false },
            Kind::Lines(lines) => Found { spans: lines.finish(&self.place), by_line: true },
        };
        found.spans.shrink_to_fit();
        Ok(found)
    }

    /// Finds the first byte that is no white space, which tells the kind of file; returns where the
    /// scan of that kind begins.
    fn begin(&mut self, block: &[u8]) -> Result<usize, Fault> {
        for (index, &byte) in block.iter().enumerate() {
            let at = self.place.base + index as u64;
            match byte {
                b'\n' => self.place.next_line(index),
                b' ' | b'\t' | b'\r' => {}
                b'[' => {
                    self.kind = Kind::List(List::default());
                    return Ok(index + 1);
                }
                b'{' => {
                    self.kind = Kind::Lines(Lines::default());
                    return Ok(index);
                }
                // Each byte of the mark at its place only.
                mark if MARK.get(at as usize) == Some(&mark) => {}
                other => return Err(no_records(other)),
            }
        }
        Ok(block.len())
    }
}

fn no_records(first: u8) -> Fault {
    let shown = match first {
        b' '..=b'~' => format!("JSON that starts with `{}`", char::from(first)),
        other => format!("a file that starts with the byte 0x{other:02x}"),
    };
    Fault::NoRecords(format!("got {shown}, expected a list of records, or one record a line"))
}

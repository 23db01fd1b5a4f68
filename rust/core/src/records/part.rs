//! The records of one file.

use std::borrow::Cow;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde::de::IgnoredAny;

use super::container::{self, Container};
use super::scan::{Fault, Found, Scanner, Span};
use super::source::Source;
use super::spans::{Index, Stop};
use crate::error::{Error, RecordFault, Result};
use crate::fingerprint::Fingerprint;
use crate::pairs::Pair;
use crate::record::{LARGEST, Reading, Record};
use crate::source::{Images, open_regular};

/// The records of a file, or of a text, and which of them are taken.
#[derive(Debug)]
pub struct Part {
    pub(super) name: String,
    /// None = a text in memory
    path: Option<PathBuf>,
    source: Source,
    index: Index,
    /// numbers in the file; None = all, once
    chosen: Option<Vec<u32>>,
    /// whether each line is a [`Pair`]
    has_pairs: bool,
    /// that lie in the same file
    pictures: Option<Images>,
}

impl Part {
    pub(super) fn open(path: &Path, place: &Place) -> Result<Self> {
        let name = path.display().to_string();
        let named = |error| Error::Data(format!("`{name}`: {error}"));
        let source = Source::open(path).map_err(named)?;
        let start = source.start(container::START).map_err(|error| named(gone(&error)))?;
        match Container::open(path, &start)? {
            None => Self::new(name, source, Scanner::default()),
            Some(container) => Self::of_container(name, container),
        }
    }

    fn of_container(name: String, container: Container) -> Result<Self> {
        let mut lines = Vec::new();
        container.write(&name, &mut lines)?;
        let lines = String::from_utf8(lines).map_err(|error| Error::Data(error.to_string()))?;
        let part = Self::new(name, Source::Text(lines), Scanner::of_lines())?;
        Ok(Self {
            has_pairs: container.has_pairs(),
            pictures: Some(container.into_images()),
            ..part
        })
    }

    pub(super) fn from_text(name: &str, text: String) -> Result<Self> {
        Self::new(name.to_owned(), Source::Text(text), Scanner::default())
    }

    fn new(name: String, source: Source, scanner: Scanner) -> Result<Self> {
        let (found, fingerprint) = scan(&source, scanner).map_err(|stop| stop.in_file(&name))?;
        let Found { spans, by_line } = found;
        let (chosen, has_pairs, pictures) = (None, false, None);
        let part = Self { name, source, spans, fingerprint, chosen, has_pairs, pictures };
        if by_line {
            part.check_lines()?;
        }
        Ok(part)
    }

    /// An object over many lines is one by mistake; as one record a line all of it would be bad.
    fn check_lines(&self) -> Result<()> {
        if self.spans.is_empty() {
            return Ok(());
        }
        let Ok(first) = self.line(0) else { return Ok(()) };
        let open = serde_json::from_str::<IgnoredAny>(&first).is_err_and(|error| error.is_eof());
        if open && self.index.len() > 1 {
            let (name, line) = (&self.name, self.line(0));
            return Err(Error::Data(format!(
                "`{name}`: line {line}: the object does not end in its line, expected a list of \
                 records, or one record a line"
            )));
        }
        Ok(())
    }

    /// Records in the file.
    pub(super) fn records(&self) -> usize {
        self.index.len()
    }

    /// Takes only these records, in this order; None = all, once.
    pub(super) fn take(&mut self, chosen: Option<Vec<u32>>) {
        self.chosen = chosen;
    }

    /// Its name in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it lies; None for a text in memory.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Records in the file, taken or not.
    #[must_use]
    pub fn records(&self) -> usize {
        self.spans.len()
    }

    /// Numbers of the records that are taken, in their order; None = all, once.
    #[must_use]
    pub fn chosen(&self) -> Option<&[u32]> {
        self.chosen.as_deref()
    }

    /// Of the file's bytes.
    #[must_use]
    pub fn content(&self) -> u64 {
        self.fingerprint
    }

    /// The pictures that lie in the same file.
    #[must_use]
    pub fn pictures(&self) -> Option<&Images> {
        self.pictures.as_ref()
    }

    /// Records that are taken.
    pub(super) fn len(&self) -> usize {
        self.chosen.as_ref().map_or(self.index.len(), Vec::len)
    }

    /// The number in the file of the record taken as number `place`.
    pub(super) fn number(&self, place: usize) -> usize {
        self.chosen.as_ref().map_or(place, |chosen| chosen[place] as usize)
    }

    /// Of the file's bytes, and of what is taken where that is not all.
    pub(super) fn fingerprint(&self) -> (u64, Option<u64>) {
        let bytes = |numbers: &Vec<u32>| {
            let mut hasher = Fingerprint::default();
            for number in numbers {
                hasher.update(&number.to_le_bytes());
            }
            hasher.finish()
        };
        (self.index.fingerprint, self.chosen.as_ref().map(bytes))
    }

    /// Record `number` of the file, checked.
    pub(super) fn get(&self, number: usize, reading: Reading) -> Result<Record> {
        let text = self.line(number)?;
        if self.has_pairs {
            return Pair::parse(&text)?.record(reading);
        }
        Record::read(&text, number, reading).map_err(|error| self.with_line(number, error))
    }

    /// Record `number` of the file as it is written.
    pub(super) fn text(&self, number: usize) -> Result<Cow<'_, str>> {
        let text = self.line(number)?;
        if self.has_pairs { Ok(Pair::parse(&text)?.text()?.into()) } else { Ok(text) }
    }

    fn line(&self, number: usize) -> Result<Cow<'_, str>> {
        let Span { start, length, .. } = self.spans[number];
        let length = length as usize;
        if length > LARGEST {
            return Err(RecordFault::TooLarge(LARGEST).into());
        }
        let bytes = self.source.read(start, length).map_err(|error| gone(&error))?;
        let utf8 = match bytes {
            Cow::Borrowed(bytes) => str::from_utf8(bytes).map(Cow::Borrowed),
            Cow::Owned(bytes) => {
                String::from_utf8(bytes).map(Cow::Owned).map_err(|error| error.utf8_error())
            }
        };
        utf8.map_err(|error| {
            let detail = format!("not UTF-8 behind byte {}", error.valid_up_to());
            self.with_line(number, RecordFault::BadUnicode(detail).into())
        })
    }

    /// The id of record `number` as far as it can be read, else the number.
    ///
    /// # Panics
    /// If `number` is not below [`Part::records`].
    #[must_use]
    pub fn id(&self, number: usize) -> String {
        #[derive(serde::Deserialize)]
        struct Id {
            id: serde_json::Value,
        }
        let id = self.text(number).map(|text| serde_json::from_str::<Id>(&text));
        match id {
            Ok(Ok(Id { id: serde_json::Value::String(id) })) => id,
            Ok(Ok(Id { id: serde_json::Value::Number(id) })) => id.to_string(),
            _ => self.key(number).unwrap_or_else(|| number.to_string()),
        }
    }

    /// What the entries of a pair have in common.
    fn key(&self, number: usize) -> Option<String> {
        let line = self.has_pairs.then(|| self.line(number))?.ok()?;
        Some(Pair::parse(&line).ok()?.key().to_owned())
    }

    /// What is no JSON object has a place in the file.
    fn with_line(&self, number: usize, error: Error) -> Error {
        let line = self.line(number);
        let placed = |detail: String| {
            let link = if detail.contains(" at line ") { " of the record, which" } else { "; it" };
            format!("{detail}{link} starts in line {line}")
        };
        match error {
            Error::Record(RecordFault::Malformed(d)) => RecordFault::Malformed(placed(d)).into(),
            Error::Record(RecordFault::BadUnicode(d)) => RecordFault::BadUnicode(placed(d)).into(),
            other => other,
        }
    }
}

/// Why a scan stops.
enum Stop {
    Fault(Fault),
    Read(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

impl Stop {
    fn in_file(self, name: &str) -> Error {
        Error::Data(match self {
            Self::Read(error) => format!("`{name}`: {error}"),
            Self::Fault(Fault::NoRecords(detail)) => format!("`{name}`: {detail}"),
            Self::Fault(Fault::At { line, column, detail }) => {
                format!("`{name}`: line {line} column {column}: {detail}")
            }
        })
    }
}

/// The records of a file and its fingerprint.
fn scan(source: &Source, mut scanner: Scanner) -> std::result::Result<(Found, u64), Stop> {
    let mut hasher = Fingerprint::default();
    source.blocks(|block| {
        hasher.update(block);
        scanner.feed(block).map_err(Stop::Fault)
    })?;
    Ok((scanner.finish().map_err(Stop::Fault)?, hasher.finish()))
}

fn gone(error: &io::Error) -> Error {
    Error::Data(match error.kind() {
        ErrorKind::UnexpectedEof => "the file has been cut off since it was opened".to_owned(),
        _ => error.to_string().to_lowercase(),
    })
}

pub(super) fn too_many(name: &str) -> Error {
    Error::Data(format!("`{name}`: more than {} records", u32::MAX))
}

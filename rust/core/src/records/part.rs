//! The records of one file.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde::de::IgnoredAny;

use super::container::{self, Container};
use super::scan::{Scanner, Span};
use super::source::Source;
use super::spans::{Index, Stop};
use crate::error::{Error, RecordFault, Result};
use crate::fingerprint::Fingerprint;
use crate::index::{Identity, Place, Side};
use crate::pairs::Pair;
use crate::record::{LARGEST, Reading, Record};
use crate::source::{Images, file, open_regular};

/// The records of a file, or of a text, and which of them are taken.
#[derive(Debug)]
pub struct Part {
    pub(super) name: String,
    /// None = a text in memory
    path: Option<PathBuf>,
    /// where what is known of the file is kept
    side: Option<Side>,
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
        let file = open_regular(path).map_err(named)?;
        let failed = |error| Stop::from(error).in_file(&name);
        let start = file::start(&file, container::START).map_err(failed)?;
        let side = place.side(path);
        let part = if let Some(container) = Container::open(path, &start)? {
            Self::of_container(&name, container, &file, &side)?
        } else {
            let source = Source::File(file.try_clone().map_err(failed)?);
            let index = Index::of(&source, &file, &side, Scanner::default());
            Self::new(name.clone(), source, index.map_err(|stop| stop.in_file(&name))?)?
        };
        Ok(Self { path: Some(path.to_owned()), side: Some(side), ..part })
    }

    /// The records are written out as lines once, beside the container.
    fn of_container(name: &str, container: Container, file: &File, side: &Side) -> Result<Self> {
        let failed = |stop: Stop| stop.in_file(name);
        let key = Identity::of(file).map_err(|error| failed(error.into()))?.to_bytes();
        let source = Source::kept(side, &key, |out| container.write(name, out))?;
        let index = Index::of(&source, file, side, Scanner::of_lines()).map_err(failed)?;
        let part = Self::new(name.to_owned(), source, index)?;
        Ok(Self {
            has_pairs: container.has_pairs(),
            pictures: Some(container.into_images()),
            ..part
        })
    }

    pub(super) fn from_text(name: &str, text: String) -> Result<Self> {
        let source = Source::Text(text);
        let index = Index::scan(&source, Scanner::default());
        Self::new(name.to_owned(), source, index.map_err(|stop| stop.in_file(name))?)
    }

    fn new(name: String, source: Source, index: Index) -> Result<Self> {
        let (path, side, chosen, has_pairs, pictures) = (None, None, None, false, None);
        let part = Self { name, path, side, source, index, chosen, has_pairs, pictures };
        if part.index.by_line {
            part.check_lines()?;
        }
        Ok(part)
    }

    /// An object over many lines is one by mistake; as one record a line all of it would be bad.
    fn check_lines(&self) -> Result<()> {
        if self.index.len() == 0 {
            return Ok(());
        }
        let Ok(first) = self.line(0) else { return Ok(()) };
        let open = serde_json::from_str::<IgnoredAny>(&first).is_err_and(|error| error.is_eof());
        if open && self.index.len() > 1 {
            let (name, line) = (&self.name, self.line_number(0));
            return Err(Error::Data(format!(
                "`{name}`: line {line}: the object does not end in its line, expected a list of \
                 records, or one record a line"
            )));
        }
        Ok(())
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

    /// Where what is known of it is kept; None for a text in memory.
    #[must_use]
    pub fn side(&self) -> Option<&Side> {
        self.side.as_ref()
    }

    /// Records in the file, taken or not.
    #[must_use]
    pub fn records(&self) -> usize {
        self.index.len()
    }

    /// Numbers of the records that are taken, in their order; None = all, once.
    #[must_use]
    pub fn chosen(&self) -> Option<&[u32]> {
        self.chosen.as_deref()
    }

    /// Of the file's bytes.
    #[must_use]
    pub fn content(&self) -> u64 {
        self.index.fingerprint
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
    ///
    /// # Errors
    /// The [`RecordFault`], or why the file cannot be read any more; without the record's place.
    ///
    /// # Panics
    /// If `number` is not below [`Part::records`].
    pub fn get(&self, number: usize, reading: Reading) -> Result<Record> {
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
        let Span { start, length, .. } = self.index.get(number).map_err(|error| gone(&error))?;
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

    /// In which line record `number` starts; 0 where that cannot be read any more.
    fn line_number(&self, number: usize) -> u32 {
        self.index.get(number).map_or(0, |span| span.line)
    }

    /// What the entries of a pair have in common.
    fn key(&self, number: usize) -> Option<String> {
        let line = self.has_pairs.then(|| self.line(number))?.ok()?;
        Some(Pair::parse(&line).ok()?.key().to_owned())
    }

    /// What is no JSON object has a place in the file.
    fn with_line(&self, number: usize, error: Error) -> Error {
        let line = self.line_number(number);
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

fn gone(error: &io::Error) -> Error {
    Error::Data(match error.kind() {
        ErrorKind::UnexpectedEof => "the file has been cut off since it was opened".to_owned(),
        _ => error.to_string().to_lowercase(),
    })
}

pub(super) fn too_many(name: &str) -> Error {
    Error::Data(format!("`{name}`: more than {} records", u32::MAX))
}

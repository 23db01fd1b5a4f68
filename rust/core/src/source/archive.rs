//! One file with many pictures in it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::os::unix::fs::FileExt;

use super::file::{check_size, fault, missing};
use super::index::{Entry, Index};
use super::names::clean;
use super::{tar, zip};
use crate::image::Limits;
use crate::{Error, Result};

/// An open archive.
#[derive(Debug)]
pub(super) struct Archive {
    file: File,
    /// its path, for messages
    label: String,
    format: Format,
    index: Index,
}

#[derive(Clone, Copy, Debug)]
enum Format {
    Zip,
    Tar,
}

/// What is wrong, in words; the caller knows where.
pub(super) type Cause<T> = std::result::Result<T, String>;

impl Archive {
    pub(super) fn zip(file: File, label: String) -> Result<Self> {
        let index = zip::index(&file).map_err(|cause| broken(&label, &cause))?;
        Ok(Self { file, label, format: Format::Zip, index })
    }

    pub(super) fn tar(file: File, label: String) -> Result<Self> {
        let index = tar::index(&file).map_err(|cause| broken(&label, &cause))?;
        Ok(Self { file, label, format: Format::Tar, index })
    }

    /// The bytes of the entry `name`.
    pub(super) fn read(&self, name: &str, limits: &Limits) -> Result<Vec<u8>> {
        self.bytes(name, None, limits).map_err(|error| error.in_archive(&self.label))
    }

    /// The first bytes of the entry `name`.
    pub(super) fn start(&self, name: &str, most: usize, limits: &Limits) -> Result<Vec<u8>> {
        self.bytes(name, Some(most), limits).map_err(|error| error.in_archive(&self.label))
    }

    fn bytes(&self, name: &str, most: Option<usize>, limits: &Limits) -> Result<Vec<u8>> {
        let Some(name) = clean(name.as_bytes()) else {
            return Err(fault("the name leads out of the archive"));
        };
        let Some(entry) = self.index.find(&name) else {
            return Err(missing(&self.suggestion(&name)));
        };
        if let Some(why) = entry.kind.refusal() {
            return Err(fault(&why));
        }
        check_size(entry.size, limits)?;
        self.entry(entry, &name, most).map_err(|cause| fault(&cause))
    }

    fn entry(&self, entry: &Entry, name: &str, most: Option<usize>) -> Cause<Vec<u8>> {
        match (self.format, most) {
            (Format::Zip, None) => zip::read(&self.file, entry, name),
            (Format::Zip, Some(most)) => zip::start(&self.file, entry, name, most as u64),
            (Format::Tar, most) => {
                let most = most.map_or(u64::MAX, |most| most as u64);
                tar::read(&self.file, entry, most)
            }
        }
    }

    fn suggestion(&self, name: &str) -> String {
        let hint = self.index.suggest(name).map(|other| format!("; did you mean `{other}`?"));
        format!("no entry of that name{}", hint.unwrap_or_default())
    }
}

fn broken(label: &str, cause: &str) -> Error {
    Error::Data(format!("images: `{label}`: {cause}"))
}

/// `length` bytes from `at` on.
pub(super) fn read_at(file: &File, at: u64, length: u64) -> Cause<Vec<u8>> {
    let length = usize::try_from(length).map_err(|_| "no memory to read it")?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).map_err(|_| "no memory to read it")?;
    bytes.resize(length, 0);
    read_exact_at(file, at, &mut bytes)?;
    Ok(bytes)
}

/// Fills `bytes` from `at` on.
pub(super) fn read_exact_at(file: &File, at: u64, bytes: &mut [u8]) -> Cause<()> {
    file.read_exact_at(bytes, at).map_err(|error| in_words(&error))
}

pub(super) fn in_words(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::UnexpectedEof => "the file has become shorter than its index says".to_owned(),
        _ => error.to_string().to_lowercase(),
    }
}

/// Bytes in the file, as it is now.
pub(super) fn length(file: &File) -> Cause<u64> {
    file.metadata().map(|meta| meta.len()).map_err(|error| in_words(&error))
}

/// A reader from `at` on without the file's own position, which all threads and forks share.
pub(super) fn forward(file: &File, at: u64) -> impl BufRead + use<'_> {
    BufReader::with_capacity(1 << 16, Forward { file, at })
}

struct Forward<'a> {
    file: &'a File,
    at: u64,
}

impl Read for Forward<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(out, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

//! Files with many pictures in them: one, or the shards of a data set.

use std::fs::File;
use std::hash::RandomState;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::file::{check_size, fault, missing, start};
use super::handle::{Handle, Identity};
use super::index::{Entry, Found, Index, LONGEST, Listing, MOST_ARCHIVES};
use super::names::clean;
use super::{tar, zip};
use crate::image::Limits;
use crate::{Error, Result, parallel};

/// Archives, in which names are looked up all at once.
#[derive(Debug)]
pub(super) struct Archives {
    files: Vec<Archive>,
    index: Index,
}

/// One of them.
#[derive(Debug)]
struct Archive {
    handle: Handle,
    /// its path, for messages
    label: String,
    format: Format,
}

#[derive(Clone, Copy, Debug)]
enum Format {
    Zip,
    Tar,
}

/// What is wrong, in words; the caller knows where.
pub(crate) type Cause<T> = std::result::Result<T, String>;

/// Bytes at the start of a file by which archives are told.
const START: usize = 512;

/// What a file begins with that is an archive, but packed as a whole.
const PACKED: [(&[u8], &str); 4] = [
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
];

impl Archives {
    /// Opens zip and plain tar files, told by content, and lists what is in them.
    pub(super) fn open(paths: &[PathBuf]) -> Result<Self> {
        if paths.len() > MOST_ARCHIVES {
            return Err(Error::Data(format!("images: more than {MOST_ARCHIVES} archives")));
        }
        let hasher = RandomState::new();
        let opened = parallel::map(
            paths.iter().enumerate().collect(),
            parallel::available_threads(),
            |(number, path): (usize, &PathBuf)| {
                let archive = Archive::open(path)?;
                let mut listing = Listing::new(number, &hasher);
                archive.list(&mut listing)?;
                Ok((archive, listing.parts()))
            },
        );
        let opened: Vec<_> = opened.into_iter().collect::<Result<_>>()?;
        let (files, listings): (Vec<_>, Vec<_>) = opened.into_iter().unzip();
        check_different(&files)?;
        Ok(Self { files, index: Index::new(hasher, listings) })
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    /// The bytes of the entry `name`, or the first `most` of them; None if there is none.
    pub(super) fn read(
        &self,
        name: &str,
        most: Option<usize>,
        limits: &Limits,
    ) -> Option<Result<Vec<u8>>> {
        let Some(name) = clean(name.as_bytes()) else {
            return Some(Err(self.placed(fault("the name leads out of the archive"))));
        };
        match self.index.find(&name) {
            Found::Nothing => None,
            Found::Several(entries) => Some(Err(self.twice(entries))),
            Found::One(entry) => Some(self.entry(entry, &name, most, limits)),
        }
    }

    fn entry(
        &self,
        entry: &Entry,
        name: &str,
        most: Option<usize>,
        limits: &Limits,
    ) -> Result<Vec<u8>> {
        let archive = &self.files[entry.archive()];
        let bytes = || {
            if let Some(why) = entry.kind.refusal() {
                return Err(fault(&why));
            }
            check_size(entry.size(), limits)?;
            archive.entry(entry, name, most).map_err(|cause| fault(&cause))
        };
        bytes().map_err(|error| error.in_archive(&archive.label))
    }

    fn twice(&self, [one, other]: [&Entry; 2]) -> Error {
        let [one, other] = [one, other].map(|entry| &self.files[entry.archive()].label);
        if one == other {
            return fault("the archive has several entries of that name").in_archive(one);
        }
        fault(&format!("`{one}` and `{other}` both have an entry of that name"))
    }

    /// The archive that has the entry `name`.
    pub(super) fn holder(&self, name: &str) -> Option<&str> {
        let name = clean(name.as_bytes())?;
        match self.index.find(&name) {
            Found::Nothing => None,
            Found::One(entry) | Found::Several([entry, _]) => {
                Some(&self.files[entry.archive()].label)
            }
        }
    }

    /// No archive has `name`.
    pub(super) fn missing(&self, name: &str) -> Error {
        let suggestion = clean(name.as_bytes()).and_then(|name| self.index.suggest(&name));
        let hint = suggestion.map(|other| format!("; did you mean `{other}`?"));
        self.placed(missing(&format!("no entry of that name{}", hint.unwrap_or_default())))
    }

    fn placed(&self, error: Error) -> Error {
        match &self.files[..] {
            [only] => error.in_archive(&only.label),
            [first, .., last] => error.in_archives(&first.label, &last.label),
            [] => error,
        }
    }
}

impl Archive {
    fn open(path: &Path) -> Result<Self> {
        let named = |cause: &str| Error::Data(format!("images: `{}` {cause}", path.display()));
        let handle = Handle::open(path)
            .map_err(|error| named(&format!("is no folder, zip or tar: {error}")))?;
        let unread = |cause: String| named(&format!("cannot be read: {cause}"));
        let file = handle.get().map_err(unread)?;
        let start = start(&file, START).map_err(|error| unread(error.to_string()))?;
        let format = match () {
            () if start.starts_with(b"PK") => Format::Zip,
            () if tar::is_tar(&start) => Format::Tar,
            () => return Err(named(&no_archive(&start))),
        };
        if handle.length() > LONGEST {
            return Err(named(&format!("is larger than {LONGEST} bytes")));
        }
        drop(file);
        Ok(Self { handle, label: path.display().to_string(), format })
    }

    fn list(&self, listing: &mut Listing<'_>) -> Result<()> {
        let mut list = || {
            let file = self.handle.get()?;
            match self.format {
                Format::Zip => zip::list(&file, listing),
                Format::Tar => tar::list(&file, listing),
            }
        };
        list().map_err(|cause| Error::Data(format!("images: `{}`: {cause}", self.label)))
    }

    fn entry(&self, entry: &Entry, name: &str, most: Option<usize>) -> Cause<Vec<u8>> {
        let file = self.handle.get()?;
        match (self.format, most) {
            (Format::Zip, None) => zip::read(&file, entry, name),
            (Format::Zip, Some(most)) => zip::start(&file, entry, name, most as u64),
            (Format::Tar, most) => {
                let most = most.map_or(u64::MAX, |most| most as u64);
                tar::read(&file, entry, name, most)
            }
        }
    }
}

fn no_archive(start: &[u8]) -> String {
    match PACKED.iter().find(|(magic, _)| start.starts_with(magic)) {
        Some((_, name)) => format!(
            "is packed with {name}, which has no way to a single picture: unpack it to a folder or a \
             plain .tar"
        ),
        None => "is neither a folder nor a zip or tar archive".to_owned(),
    }
}

/// An archive that is named twice has every name twice.
fn check_different(files: &[Archive]) -> Result<()> {
    let mut seen: Vec<(Identity, &str)> =
        files.iter().map(|file| (file.handle.identity(), file.label.as_str())).collect();
    seen.sort_unstable();
    match seen.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        None => Ok(()),
        Some(pair) => {
            let (one, other) = (pair[0].1, pair[1].1);
            Err(Error::Data(format!("images: `{one}` and `{other}` are the same archive")))
        }
    }
}

/// `length` bytes from `at` on.
pub(crate) fn read_at(file: &File, at: u64, length: u64) -> Cause<Vec<u8>> {
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

//! Where pictures come from: files by path, a folder, a zip or a tar archive, a column of a table.
//!
//! Nothing is mapped and no position is shared: every read says where it reads. So threads need no
//! lock, forked processes can use one open archive, and a file that is cut off meanwhile is an error
//! and never a signal.

mod archive;
mod file;
mod folder;
mod index;
mod names;
mod tar;
#[cfg(test)]
mod tests;
mod zip;

use std::path::Path;

use archive::Archive;
use folder::Folder;

use crate::image::Limits;
use crate::parquet::Pictures;
use crate::{Error, Result};

pub(crate) use file::open_regular;
pub use file::read_image;

/// A set of pictures by name.
#[derive(Debug)]
pub struct Images(Kind);

#[derive(Debug)]
enum Kind {
    Anywhere,
    Folder(Folder),
    Archive(Archive),
    /// boxed: its reader knows all columns and row groups
    Table(Box<Pictures>),
}

impl From<Pictures> for Images {
    fn from(pictures: Pictures) -> Self {
        Self(Kind::Table(Box::new(pictures)))
    }
}

/// Bytes at the start of a file by which archives are told.
const START: usize = 512;

/// What a file begins with that is an archive, but packed as a whole.
const PACKED: [(&[u8], &str); 4] = [
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
];

impl Images {
    /// Names are paths as the system understands them, without limits on where they lead.
    #[must_use]
    pub fn anywhere() -> Self {
        Self(Kind::Anywhere)
    }

    /// Whether no place for them is named.
    #[must_use]
    pub fn is_anywhere(&self) -> bool {
        matches!(self.0, Kind::Anywhere)
    }

    /// A folder, a zip or a plain tar file, told by content. The index of an archive is made here,
    /// once.
    ///
    /// `follow_links`: whether symbolic links of a folder may lead out of it.
    ///
    /// # Errors
    /// `Data` naming `path` and what is wrong with it.
    pub fn open(path: &Path, follow_links: bool) -> Result<Self> {
        let named = |cause: &str| Error::Data(format!("images: `{}` {cause}", path.display()));
        if path.is_dir() {
            let folder = Folder::open(path, follow_links)
                .map_err(|error| named(&format!("cannot be opened: {error}")))?;
            return Ok(Self(Kind::Folder(folder)));
        }
        let file = file::open_regular(path)
            .map_err(|error| named(&format!("is no folder, zip or tar: {error}")))?;
        let start = file::start(&file, START)
            .map_err(|error| named(&format!("cannot be read: {error}")))?;
        let label = path.display().to_string();
        if start.starts_with(b"PK") {
            return Archive::zip(file, label).map(|zip| Self(Kind::Archive(zip)));
        }
        if tar::is_tar(&start) {
            return Archive::tar(file, label).map(|tar| Self(Kind::Archive(tar)));
        }
        match PACKED.iter().find(|(magic, _)| start.starts_with(magic)) {
            Some((_, name)) => Err(named(&format!(
                "is packed with {name}, which has no way to a single picture: unpack it to a folder or a plain .tar"
            ))),
            None => Err(named("is neither a folder nor a zip or tar archive")),
        }
    }

    /// The bytes of a picture file.
    ///
    /// # Errors
    /// `Missing`; `Unreadable` with the cause; `Refused` for more than `limits.file_bytes`.
    pub fn read(&self, name: &str, limits: &Limits) -> Result<Vec<u8>> {
        match &self.0 {
            Kind::Anywhere => read_image(Path::new(name), limits),
            Kind::Folder(folder) => folder.read(name, limits),
            Kind::Archive(archive) => archive.read(name, limits),
            Kind::Table(pictures) => pictures.read(name, limits),
        }
    }

    /// The first bytes of a picture file, `most` or a few more; all of an entry that is packed.
    ///
    /// # Errors
    /// As [`Images::read`].
    pub fn start(&self, name: &str, most: usize, limits: &Limits) -> Result<Vec<u8>> {
        match &self.0 {
            Kind::Anywhere => {
                file::picture_start(&file::open_regular(Path::new(name))?, most, limits)
            }
            Kind::Folder(folder) => file::picture_start(&folder.open_file(name)?, most, limits),
            Kind::Archive(archive) => archive.start(name, most, limits),
            Kind::Table(pictures) => pictures.read(name, limits),
        }
    }
}

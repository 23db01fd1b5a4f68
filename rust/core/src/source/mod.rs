//! Where pictures come from: files by path, folders, zip and tar archives, a column of a table.
//!
//! Nothing is mapped and no position is shared: every read says where it reads. So threads need no
//! lock, forked processes can use one open archive, and a file that is cut off meanwhile is an error
//! and never a signal.

pub(crate) mod archive;
pub(crate) mod file;
mod folder;
pub(crate) mod handle;
pub(crate) mod index;
pub(crate) mod names;
mod several;
mod size;
pub(crate) mod tar;
#[cfg(test)]
mod tests;
mod zip;

use std::path::{Path, PathBuf};

use archive::Archives;
use folder::Folder;
use several::{Several, only_archives};

use crate::image::Limits;
use crate::pairs::Pairs;
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
    Archives(Archives),
    Several(Several),
    /// boxed: its reader knows all columns and row groups
    Table(Box<Pictures>),
    Pairs(Pairs),
}

impl From<Pairs> for Images {
    fn from(pairs: Pairs) -> Self {
        Self(Kind::Pairs(pairs))
    }
}

impl From<Pictures> for Images {
    fn from(pictures: Pictures) -> Self {
        Self(Kind::Table(Box::new(pictures)))
    }
}

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

    /// Folders, zip and plain tar files, told by content; a folder with nothing but archives in it
    /// stands for those. The index of archives is made here, once.
    ///
    /// `follow_links`: whether symbolic links of a folder may lead out of it.
    ///
    /// # Errors
    /// `Data` naming the path and what is wrong with it.
    pub fn open(places: &[PathBuf], follow_links: bool) -> Result<Self> {
        let (mut folders, mut archives) = (Vec::new(), Vec::new());
        for path in places {
            if !path.is_dir() {
                archives.push(path.clone());
            } else if let Some(inside) = only_archives(path) {
                archives.extend(inside);
            } else {
                let label = path.display().to_string();
                let folder = Folder::open(path, follow_links).map_err(|error| {
                    Error::Data(format!("images: `{label}` cannot be opened: {error}"))
                })?;
                folders.push((label, folder));
            }
        }
        let archives = Archives::open(&archives)?;
        Ok(Self(match (folders.len(), archives.len()) {
            (0, _) => Kind::Archives(archives),
            (1, 0) => Kind::Folder(folders.remove(0).1),
            _ => Kind::Several(Several::new(folders, archives)),
        }))
    }

    /// The bytes of a picture file.
    ///
    /// # Errors
    /// `Missing`; `Unreadable` with the cause; `Refused` for more than `limits.file_bytes`.
    pub fn read(&self, name: &str, limits: &Limits) -> Result<Vec<u8>> {
        match &self.0 {
            Kind::Anywhere => read_image(Path::new(name), limits),
            Kind::Folder(folder) => folder.read(name, limits),
            Kind::Archives(archives) => in_archives(archives, name, None, limits),
            Kind::Several(places) => places.read(name, None, limits),
            Kind::Table(pictures) => pictures.read(name, limits),
            Kind::Pairs(pairs) => pairs.read(name, None, limits),
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
            Kind::Archives(archives) => in_archives(archives, name, Some(most), limits),
            Kind::Several(places) => places.read(name, Some(most), limits),
            Kind::Table(pictures) => pictures.read(name, limits),
            Kind::Pairs(pairs) => pairs.read(name, Some(most), limits),
        }
    }
}

fn in_archives(
    archives: &Archives,
    name: &str,
    most: Option<usize>,
    limits: &Limits,
) -> Result<Vec<u8>> {
    archives.read(name, most, limits).unwrap_or_else(|| Err(archives.missing(name)))
}

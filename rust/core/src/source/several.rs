//! Pictures that lie in several folders and archives at once.

use std::fs::read_dir;
use std::path::{Path, PathBuf};

use super::archive::Archives;
use super::file::{fault, picture_start, read_all};
use super::folder::Folder;
use crate::image::Limits;
use crate::{Error, ImageFault, Result};

/// Folders and archives. A name that two of them have is nobody's.
#[derive(Debug)]
pub(super) struct Several {
    folders: Vec<(String, Folder)>,
    archives: Archives,
}

impl Several {
    pub(super) fn new(folders: Vec<(String, Folder)>, archives: Archives) -> Self {
        Self { folders, archives }
    }

    /// The bytes of a picture file, or the first `most` of them.
    pub(super) fn read(&self, name: &str, most: Option<usize>, limits: &Limits) -> Result<Vec<u8>> {
        let mut holders = Vec::new();
        let mut found = None;
        for (label, folder) in &self.folders {
            match folder.open_file(name) {
                Ok(file) => {
                    holders.push(label.as_str());
                    found = Some(Ok(file));
                }
                Err(Error::Image(ImageFault::Missing(_))) => {}
                Err(error) => found = found.or(Some(Err(error))),
            }
        }
        holders.extend(self.archives.holder(name));
        match (&holders[..], found) {
            ([one, other, ..], _) => {
                Err(fault(&format!("`{one}` and `{other}` both have an entry of that name")))
            }
            (_, Some(Ok(file))) => match most {
                None => read_all(&file, limits),
                Some(most) => picture_start(&file, most, limits),
            },
            (_, unusable) => self.archives.read(name, most, limits).unwrap_or_else(|| {
                Err(unusable.and_then(Result::err).unwrap_or_else(|| self.missing(name)))
            }),
        }
    }

    fn missing(&self, name: &str) -> Error {
        if self.archives.len() > 0 {
            return self.archives.missing(name);
        }
        super::file::missing(&format!("no file of that name in {} folders", self.folders.len()))
    }
}

/// The archives of a folder that holds nothing else, in the order of their names. Hidden names do
/// not count: index files of archives have them.
pub(super) fn only_archives(folder: &Path) -> Option<Vec<PathBuf>> {
    let mut archives = Vec::new();
    // The first picture ends it: a folder of pictures may be large.
    for entry in read_dir(folder).ok()? {
        let path = entry.ok()?.path();
        if path.file_name()?.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let extension = path.extension()?.to_ascii_lowercase();
        if !(extension == "zip" || extension == "tar") || path.is_dir() {
            return None;
        }
        archives.push(path);
    }
    archives.sort_unstable();
    (!archives.is_empty()).then_some(archives)
}

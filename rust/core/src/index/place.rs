//! Where side files lie.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::{Lock, Sealed};
use crate::fingerprint::fingerprint;

/// Name of the folder beside the data.
const BESIDE: &str = ".llava_fast";

/// The choice of a place.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// None = beside the data, else in the cache folder of the user
    folder: Option<PathBuf>,
}

impl Place {
    /// One folder for the side files of all data.
    #[must_use]
    pub fn folder(path: PathBuf) -> Self {
        Self { folder: Some(path) }
    }

    /// The side files of a data file.
    #[must_use]
    pub fn side(&self, data: &Path) -> Side {
        let whole = std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
        let name = whole.file_name().map_or_else(|| "data".into(), OsString::from);
        // Files of one name from different folders meet in a common folder.
        let own = format!("{:016x}", fingerprint(whole.as_os_str().as_bytes()));
        let folders = if let Some(folder) = &self.folder {
            vec![folder.join(own)]
        } else {
            let beside = whole.parent().unwrap_or(Path::new(".")).join(BESIDE);
            [Some(beside), caches().map(|caches| caches.join(own))].into_iter().flatten().collect()
        };
        Side { name, folders }
    }
}

/// `llava_fast/index` in the cache folder of the user, as the XDG base directory rules have it.
fn caches() -> Option<PathBuf> {
    let given = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let caches = given("XDG_CACHE_HOME").or_else(|| Some(given("HOME")?.join(".cache")))?;
    Some(caches.join("llava_fast/index"))
}

/// The side files of one data file, by kind.
#[derive(Clone, Debug)]
pub struct Side {
    /// of the data file
    name: OsString,
    /// that can have them, the preferred one first
    pub(super) folders: Vec<PathBuf>,
}

impl Side {
    /// The side file `kind` that was made from `key`, where there is one and it is whole.
    #[must_use]
    pub fn find(&self, kind: &str, key: &[u8]) -> Option<Sealed> {
        self.paths(kind).find_map(|path| Sealed::open(&path, kind, key))
    }

    /// Where the side file `kind` can be, the preferred place first.
    pub fn paths(&self, kind: &str) -> impl Iterator<Item = PathBuf> {
        self.folders.iter().map(move |folder| self.path(folder, kind))
    }

    /// Waits until nobody else makes the side file `kind`, and keeps others from it; None where no
    /// folder can be written.
    #[must_use]
    pub fn lock(&self, kind: &str) -> Option<Lock> {
        self.folders.iter().find_map(|folder| {
            make(folder).ok()?;
            Lock::take(self.path(folder, kind)).ok()
        })
    }

    /// The same without waiting; None while another process has it.
    ///
    /// # Errors
    /// No folder can be written, with the cause in the last one.
    pub fn try_lock(&self, kind: &str) -> io::Result<Option<Lock>> {
        let mut failed = io::ErrorKind::NotFound.into();
        for folder in &self.folders {
            match make(folder).and_then(|()| Lock::try_take(self.path(folder, kind))) {
                Ok(lock) => return Ok(lock),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    pub(super) fn path(&self, folder: &Path, kind: &str) -> PathBuf {
        let mut name = self.name.clone();
        name.push(".");
        name.push(kind);
        folder.join(name)
    }
}

/// Makes the folder, of which version control is to know nothing.
fn make(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    // The folder may be there already, made by another process at this moment.
    let _ = fs::write(folder.join(".gitignore"), "*\n");
    Ok(())
}

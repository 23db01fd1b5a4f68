//! A file that may be one of thousands.
//!
//! A process may have some thousand files open, and a data set more shards than that. So a file
//! stays open as long as half of the descriptors suffice; the others are opened for each read, which
//! costs microseconds. There is no list of recently used files: it would need a lock, and a process
//! that forks while another thread holds one leaves its child waiting for ever.

use std::fs::{File, Metadata};
use std::ops::Deref;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::{Resource, getrlimit};

use super::archive::Cause;
use super::file::{open_regular, unreadable};
use crate::Result;

/// Descriptors of handles that this process keeps.
static KEPT: AtomicU64 = AtomicU64::new(0);

/// A regular file, open or to be opened again.
#[derive(Debug)]
pub(crate) struct Handle {
    path: PathBuf,
    identity: Identity,
    kept: Option<Kept>,
}

/// What tells a file from another one of its name, and from itself after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Identity {
    place: (u64, u64),
    length: u64,
    modified: (i64, i64),
}

impl Identity {
    fn of(meta: &Metadata) -> Self {
        Self {
            place: (meta.dev(), meta.ino()),
            length: meta.len(),
            modified: (meta.mtime(), meta.mtime_nsec()),
        }
    }
}

impl Handle {
    /// Opens a file that is no folder, pipe, socket or device.
    ///
    /// # Errors
    /// The cause; the name is for the caller to add.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        Self::with_at_most(path, most())
    }

    fn with_at_most(path: &Path, most: u64) -> Result<Self> {
        let file = open_regular(path)?;
        let identity = Identity::of(&file.metadata().map_err(|error| unreadable(&error))?);
        // What is opened again has to be found whatever the working directory is then.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Ok(Self { path, identity, kept: Kept::new(file, most) })
    }

    /// What tells this file from others.
    pub(crate) fn identity(&self) -> Identity {
        self.identity
    }

    /// Bytes in the file when it was opened.
    pub(crate) fn length(&self) -> u64 {
        self.identity.length
    }

    /// The open file.
    ///
    /// # Errors
    /// It cannot be opened any more, or is another file now.
    pub(crate) fn get(&self) -> Cause<Opened<'_>> {
        if let Some(Kept(file)) = &self.kept {
            return Ok(Opened::Kept(file));
        }
        let again = open_regular(&self.path).map_err(|error| error.to_string())?;
        let meta = again.metadata().map_err(|error| error.to_string().to_lowercase())?;
        if Identity::of(&meta) != self.identity {
            return Err("the file has changed since it was opened".to_owned());
        }
        Ok(Opened::Again(again))
    }
}

/// Half of what the process may have open.
fn most() -> u64 {
    getrlimit(Resource::Nofile).current.map_or(u64::MAX, |descriptors| descriptors / 2)
}

/// A file that counts.
#[derive(Debug)]
struct Kept(File);

impl Kept {
    fn new(file: File, most: u64) -> Option<Self> {
        if KEPT.fetch_add(1, Ordering::Relaxed) < most {
            return Some(Self(file));
        }
        KEPT.fetch_sub(1, Ordering::Relaxed);
        None
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        KEPT.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The file of a [`Handle`] for the time of a read.
pub(crate) enum Opened<'a> {
    Kept(&'a File),
    Again(File),
}

impl Deref for Opened<'_> {
    type Target = File;

    fn deref(&self) -> &File {
        match self {
            Self::Kept(file) => file,
            Self::Again(file) => file,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::FileExt;

    use super::Handle;

    #[test]
    fn a_file_that_is_not_kept_is_opened_again_unless_it_is_another() {
        let name = format!("llava_fast_{}_handle", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, b"first").expect("write");
        let (kept, again) = (Handle::open(&path), Handle::with_at_most(&path, 0));
        let (kept, again) = (kept.expect("open"), again.expect("open"));
        assert!(kept.kept.is_some() && again.kept.is_none());
        let read = |handle: &Handle| {
            let mut bytes = [0; 5];
            handle.get().map(|file| file.read_exact_at(&mut bytes, 0).map(|()| bytes))
        };
        assert_eq!(&read(&kept).expect("open").expect("read"), b"first");
        assert_eq!(&read(&again).expect("open").expect("read"), b"first");
        fs::remove_file(&path).expect("remove");
        assert_eq!(read(&again).expect_err("gone"), "no such file");
        fs::write(&path, b"other").expect("write");
        assert_eq!(&read(&kept).expect("open").expect("read"), b"first");
        assert_eq!(read(&again).expect_err("another"), "the file has changed since it was opened");
        fs::remove_file(&path).expect("remove");
    }
}

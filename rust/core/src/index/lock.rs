//! One process makes a side file; the others wait for it.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::sealed;

/// The folder may be anybody's: no link is followed out of it, and no pipe waited for.
const FLAGS: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK);

/// The right to make a side file, until it is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    _held: File,
}

impl Lock {
    /// Waits for the right to make `path`.
    pub(super) fn take(path: PathBuf) -> io::Result<Self> {
        let held = open(&with(&path, ".lock"))?;
        // A file system without locks costs work done twice, not a wrong file: names are changed at
        // the end.
        let _ = held.lock();
        Self::of(path, held)
    }

    /// The same without waiting; None while another process has it.
    pub(super) fn try_take(path: PathBuf) -> io::Result<Option<Self>> {
        let held = open(&with(&path, ".lock"))?;
        match held.try_lock() {
            Err(TryLockError::WouldBlock) => Ok(None),
            Ok(()) | Err(TryLockError::Error(_)) => Self::of(path, held).map(Some),
        }
    }

    fn of(path: PathBuf, held: File) -> io::Result<Self> {
        let lock = Self { path, _held: held };
        // Prove now that files can be made, not after minutes of work.
        open(&lock.unfinished())?;
        Ok(lock)
    }

    /// The file that this is about.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file for what is not whole yet; whoever has the lock next finds it.
    #[must_use]
    pub fn unfinished(&self) -> PathBuf {
        with(&self.path, ".part")
    }

    /// Writes the side file, made from `key`: `body` fills it.
    ///
    /// # Errors
    /// Of the file system; nothing is left behind, and a file that was there stays.
    pub fn publish(
        &self,
        kind: &str,
        key: &[u8],
        body: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        let whole = with(&self.path, ".new");
        // Left by a process that was killed.
        let _ = fs::remove_file(&whole);
        let done =
            sealed::write(&whole, kind, key, body).and_then(|()| fs::rename(&whole, &self.path));
        if done.is_err() {
            let _ = fs::remove_file(&whole);
        }
        done
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The lock itself stays: a process that waits for it has it open.
        if fs::metadata(self.unfinished()).is_ok_and(|found| found.len() == 0) {
            let _ = fs::remove_file(self.unfinished());
        }
    }
}

/// Opens a file for writing as it is, or makes it.
fn open(path: &Path) -> io::Result<File> {
    let flags = FLAGS.bits() as i32;
    OpenOptions::new().write(true).create(true).truncate(false).custom_flags(flags).open(path)
}

fn with(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}

//! Files of records. Each is written by one process, only at its end, and read by all.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::record::{HEAD, Head};

const SUFFIX: &str = ".pixels";

/// A segment as its folder lists it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Listed {
    /// begins with the time at which it was made: names sort by age
    pub(super) name: String,
    pub(super) bytes: u64,
}

/// All segments in `folder`, the oldest first. Anything else in there is none of our business.
pub(super) fn list(folder: &Path) -> io::Result<Vec<Listed>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(folder)?.flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        // Not through links; and one that was removed meanwhile is no error.
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_file() && name.ends_with(SUFFIX) {
            segments.push(Listed { name, bytes: metadata.len() });
        }
    }
    segments.sort();
    Ok(segments)
}

/// Makes a new segment, which no other process has.
pub(super) fn create(folder: &Path) -> io::Result<(String, File)> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
    loop {
        let name = format!("{now:016x}-{:016x}{SUFFIX}", random());
        let made =
            OpenOptions::new().read(true).write(true).create_new(true).open(path(folder, &name));
        match made {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => return other.map(|file| (name, file)),
        }
    }
}

/// The standard library's seed of hash maps differs from map to map and from process to process;
/// a forked process shares it, hence the process number.
fn random() -> u64 {
    use std::hash::BuildHasher;
    std::collections::hash_map::RandomState::new().hash_one(std::process::id())
}

pub(super) fn path(folder: &Path, name: &str) -> PathBuf {
    folder.join(name)
}

/// Calls `found` with each whole record from `start` on and its offset, and returns where to go on
/// later: after a record that is still being written, or was never finished, or has a damaged head.
pub(super) fn scan(file: &File, start: u64, mut found: impl FnMut(Head, u64)) -> u64 {
    let Ok(end) = file.metadata().map(|metadata| metadata.len()) else { return start };
    let mut offset = start;
    let mut bytes = [0; HEAD];
    while file.read_exact_at(&mut bytes, offset).is_ok() {
        let next = Head::from_bytes(&bytes).and_then(|head| {
            let next = offset.checked_add(HEAD as u64)?.checked_add(head.length)?;
            (next <= end).then_some((head, next))
        });
        let Some((head, next)) = next else { break };
        found(head, offset);
        offset = next;
    }
    offset
}

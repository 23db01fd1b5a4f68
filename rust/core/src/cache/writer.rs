//! The segment that this process writes, and the size of all of them.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use super::index::Place;
use super::record::{HEAD, Head};
use super::segment;

/// Parts of the cap: a segment, which is what makes room at once; what stays free for other
/// processes that write meanwhile; how much is written before the folder is measured again.
const SEGMENTS: u64 = 16;
const SLACK: u64 = 8;
const MEASURED: u64 = 256;

/// Appends records.
pub(super) struct Writer {
    max_bytes: u64,
    current: Option<Current>,
    unmeasured: u64,
    record: Vec<u8>,
}

/// The segment at whose end the next record goes.
struct Current {
    name: String,
    file: Arc<File>,
    end: u64,
}

/// A record that was written; `segment` is its file if that is a new one.
pub(super) struct Written {
    pub(super) place: Place,
    pub(super) segment: Option<String>,
}

impl Writer {
    pub(super) fn new(max_bytes: u64) -> Self {
        // Measures before its first record.
        Self { max_bytes, current: None, unmeasured: u64::MAX, record: Vec::new() }
    }

    /// `None` for a record that is too large for the cap.
    ///
    /// # Errors
    /// Of the file system; what was written of the record is cut off again where that is possible.
    pub(super) fn append(
        &mut self,
        folder: &Path,
        head: Head,
        payload: &[u8],
    ) -> io::Result<Option<Written>> {
        let bytes = HEAD as u64 + head.length;
        if bytes > self.max_bytes / 2 {
            return Ok(None);
        }
        self.make_room(folder, bytes)?;
        let segment = self.next_segment(folder, bytes)?;
        self.record.clear();
        self.record.extend_from_slice(&head.to_bytes());
        self.record.extend_from_slice(payload);
        let Some(current) = &mut self.current else { return Ok(None) };
        if let Err(error) = current.file.write_all_at(&self.record, current.end) {
            current.file.set_len(current.end)?;
            return Err(error);
        }
        let place = Place { file: Arc::clone(&current.file), offset: current.end, head };
        current.end += bytes;
        self.unmeasured = self.unmeasured.saturating_add(bytes);
        Ok(Some(Written { place, segment }))
    }

    /// Removes the oldest segments until `bytes` more are within the cap.
    fn make_room(&mut self, folder: &Path, bytes: u64) -> io::Result<()> {
        if self.unmeasured.saturating_add(bytes) <= self.max_bytes / MEASURED {
            return Ok(());
        }
        let mut segments = segment::list(folder)?;
        let most = self.max_bytes - self.max_bytes / SLACK;
        let mut total = segments.iter().map(|segment| segment.bytes).sum::<u64>() + bytes;
        while total > most && !segments.is_empty() {
            let oldest = segments.remove(0);
            match fs::remove_file(segment::path(folder, &oldest.name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => total -= oldest.bytes,
            }
        }
        // Ours may be among the removed: by this process or another.
        self.current = self
            .current
            .take()
            .filter(|current| segments.iter().any(|segment| segment.name == current.name));
        self.unmeasured = 0;
        Ok(())
    }

    /// Makes a segment if there is none or it is full; returns its name then.
    fn next_segment(&mut self, folder: &Path, bytes: u64) -> io::Result<Option<String>> {
        let full =
            |current: &Current| current.end > 0 && current.end + bytes > self.max_bytes / SEGMENTS;
        if self.current.as_ref().is_some_and(|current| !full(current)) {
            return Ok(None);
        }
        let (name, file) = segment::create(folder)?;
        self.current = Some(Current { name: name.clone(), file: Arc::new(file), end: 0 });
        Ok(Some(name))
    }
}

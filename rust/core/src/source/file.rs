//! Regular files of bounded size.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

use crate::image::Limits;
use crate::{Error, ImageFault, Result};

/// Reads a picture file, wherever it is.
///
/// # Errors
/// `Missing`; `Unreadable` with the cause; `Refused` for more than `limits.file_bytes`.
pub fn read_image(path: &Path, limits: &Limits) -> Result<Vec<u8>> {
    read_all(&open_regular(path)?, limits)
}

/// Opens without waiting: a named pipe without a writer would block for ever.
pub(super) const FLAGS: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// A file that is no folder, pipe, socket or device.
pub(crate) fn open_regular(path: &Path) -> Result<File> {
    match open(path, FLAGS, Mode::empty()) {
        Ok(descriptor) => regular(File::from(descriptor)),
        Err(errno) => Err(unreadable(&Errno::into(errno))),
    }
}

pub(super) fn regular(file: File) -> Result<File> {
    let meta = file.metadata().map_err(|error| unreadable(&error))?;
    if meta.is_dir() {
        return Err(fault("is a directory"));
    }
    if !meta.is_file() {
        return Err(fault("not a regular file"));
    }
    Ok(file)
}

pub(super) fn read_all(file: &File, limits: &Limits) -> Result<Vec<u8>> {
    let length = file.metadata().map_err(|error| unreadable(&error))?.len();
    check_size(length, limits)?;
    let mut bytes = buffer(length as usize + 1)?;
    // One byte more than allowed: a file that grows meanwhile is caught as well.
    let most = limits.file_bytes as u64;
    file.take(most + 1).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
    check_size(bytes.len() as u64, limits)?;
    Ok(bytes)
}

/// An empty vector with room for `room` bytes.
pub(super) fn buffer(room: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(room).map_err(|_| fault("no memory to read it"))?;
    Ok(bytes)
}

/// Refuses a file by its size in bytes.
pub(crate) fn check_size(size: u64, limits: &Limits) -> Result<()> {
    if size <= limits.file_bytes as u64 {
        return Ok(());
    }
    let text = format!("the file is larger than {} bytes", limits.file_bytes);
    Err(ImageFault::Refused(text).into())
}

/// The first bytes of a file, at most `most`.
pub(crate) fn start(file: &File, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; most];
    let mut filled = 0;
    while filled < most {
        match file.read_at(&mut bytes[filled..], filled as u64)? {
            0 => break,
            count => filled += count,
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// The first bytes of a picture file, wherever it is; the limits are of the whole file.
pub(super) fn picture_start(file: &File, most: usize, limits: &Limits) -> Result<Vec<u8>> {
    let length = file.metadata().map_err(|error| unreadable(&error))?.len();
    check_size(length, limits)?;
    start(file, most).map_err(|error| unreadable(&error))
}

pub(super) fn unreadable(error: &io::Error) -> Error {
    match error.kind() {
        ErrorKind::NotFound => missing("no such file"),
        ErrorKind::PermissionDenied => fault("permission denied"),
        ErrorKind::IsADirectory => fault("is a directory"),
        ErrorKind::NotADirectory => fault("a parent is not a directory"),
        _ => fault(&error.to_string().to_lowercase()),
    }
}

pub(super) fn missing(cause: &str) -> Error {
    ImageFault::Missing(cause.to_owned()).into()
}

pub(crate) fn fault(cause: &str) -> Error {
    ImageFault::Unreadable(cause.to_owned()).into()
}

//! Reading picture files: regular files only, of bounded size, never outside their folder.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Component, Path};

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

use crate::{Error, ImageFault, Result};

/// The largest picture file that is read, in bytes.
const MAX_FILE: u64 = 64 << 20;

/// Reads a picture file. With a `root`, `path` is relative to it and cannot leave it, be it by `..`
/// or by a link.
///
/// # Errors
/// `Unreadable` with the cause; `Refused` for more than 64 MiB.
pub fn read_image(root: Option<&Path>, path: &str) -> Result<Vec<u8>> {
    let file = match root {
        Some(root) => open_beneath(root, Path::new(path))?,
        None => open_file(Path::new(path))?,
    };
    let meta = file.metadata().map_err(|error| unreadable(&error))?;
    if meta.is_dir() {
        return Err(fault("is a directory"));
    }
    if !meta.is_file() {
        return Err(fault("not a regular file"));
    }
    read_all(file, meta.len())
}

fn open_beneath(root: &Path, path: &Path) -> Result<File> {
    let inside = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    if !path.components().all(inside) {
        return Err(fault("leaves the image folder"));
    }
    let joined = root.join(path);
    let real = joined.canonicalize().map_err(|error| unreadable(&error))?;
    if !real.starts_with(root.canonicalize().map_err(|error| unreadable(&error))?) {
        return Err(fault("leaves the image folder through a link"));
    }
    open_file(&real)
}

/// Opens without waiting: a named pipe without a writer would block for ever.
fn open_file(path: &Path) -> Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match open(path, flags, Mode::empty()) {
        Ok(descriptor) => Ok(File::from(descriptor)),
        Err(errno) => Err(unreadable(&Errno::into(errno))),
    }
}

fn read_all(file: File, length: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let room = usize::try_from(length.min(MAX_FILE)).unwrap_or(0) + 1;
    bytes.try_reserve_exact(room).map_err(|_| fault("no memory to read it"))?;
    // One byte more than allowed: a file that grows meanwhile is caught as well.
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(ImageFault::Refused("the file is larger than 64 MiB".into()).into());
    }
    Ok(bytes)
}

fn unreadable(error: &io::Error) -> Error {
    match error.kind() {
        ErrorKind::NotFound => fault("no such file"),
        ErrorKind::PermissionDenied => fault("permission denied"),
        ErrorKind::IsADirectory => fault("is a directory"),
        ErrorKind::NotADirectory => fault("a parent is not a directory"),
        _ => fault(&error.to_string().to_lowercase()),
    }
}

fn fault(cause: &str) -> Error {
    ImageFault::Unreadable(cause.to_owned()).into()
}

//! Reading picture files: regular files only, of bounded size, never outside their folder.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Component, Path};

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

use crate::{Error, ImageFault, Result};

/// Reads a picture file of at most `limit` bytes. With a `root`, `path` is relative to it and cannot
/// leave it, be it by `..` or by a link.
///
/// # Errors
/// `Unreadable` with the cause; `Refused` for a larger file.
pub fn read_image(root: Option<&Path>, path: impl AsRef<Path>, limit: usize) -> Result<Vec<u8>> {
    let file = match root {
        Some(root) => open_beneath(root, path.as_ref())?,
        None => open_file(path.as_ref())?,
    };
    let meta = file.metadata().map_err(|error| unreadable(&error))?;
    if meta.is_dir() {
        return Err(fault("is a directory"));
    }
    if !meta.is_file() {
        return Err(fault("not a regular file"));
    }
    read_all(file, meta.len(), limit as u64)
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

fn read_all(file: File, length: u64, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let room = usize::try_from(length.min(limit)).unwrap_or(0).saturating_add(1);
    bytes.try_reserve_exact(room).map_err(|_| fault("no memory to read it"))?;
    // One byte more than allowed: a file that grows meanwhile is caught as well.
    let limited = limit.saturating_add(1);
    file.take(limited).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
    if bytes.len() as u64 > limit {
        return Err(ImageFault::Refused(format!("the file is larger than {limit} bytes")).into());
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    use super::read_image;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("llava_fast_{}_{name}", std::process::id()));
        fs::create_dir_all(folder.join("root/sub")).expect("temporary folder");
        fs::write(folder.join("secret"), b"secret").expect("write");
        fs::write(folder.join("root/sub/a.jpg"), b"picture").expect("write");
        folder
    }

    #[test]
    fn files_of_the_folder_are_read_and_others_are_not() {
        let folder = folder("beneath");
        let root = folder.join("root");
        symlink("sub/a.jpg", root.join("inside")).expect("link");
        symlink(folder.join("secret"), root.join("outside")).expect("link");
        let read =
            |path: &str| read_image(Some(&root), path, 100).map_err(|error| error.to_string());
        for path in ["sub/a.jpg", "./sub/a.jpg", "inside"] {
            assert_eq!(read(path).as_deref(), Ok(&b"picture"[..]), "{path}");
        }
        let absolute = folder.join("secret").display().to_string();
        for (path, cause) in [
            ("../secret", "leaves the image folder"),
            ("sub/../../secret", "leaves the image folder"),
            (absolute.as_str(), "leaves the image folder"),
            ("outside", "leaves the image folder through a link"),
            ("sub", "is a directory"),
            ("sub/b.jpg", "no such file"),
            ("sub/a.jpg/b", "a parent is not a directory"),
        ] {
            assert_eq!(read(path), Err(cause.to_owned()), "{path}");
        }
        assert_eq!(read_image(None, &absolute, 6).expect("no root, no limits"), b"secret");
        fs::remove_dir_all(folder).expect("remove");
    }

    #[test]
    fn a_huge_file_is_refused() {
        let folder = folder("huge");
        let file = fs::File::create(folder.join("root/huge")).expect("create");
        file.set_len((64 << 20) + 1).expect("sparse file");
        let read = |limit| read_image(Some(&folder.join("root")), "huge", limit);
        let error = read(64 << 20).expect_err("too large");
        assert_eq!(error.to_string(), "image refused: the file is larger than 67108864 bytes");
        assert!(read((64 << 20) + 1).is_ok());
        fs::remove_dir_all(folder).expect("remove");
    }
}

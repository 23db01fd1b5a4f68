//! A folder of pictures, and nothing outside of it.

use std::fs::File;
use std::path::{Component, Path, PathBuf};

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, open};

use super::file::{FLAGS, fault, open_regular, read_all, regular, unreadable};
use crate::Result;
use crate::image::Limits;

#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    directory: OwnedFd,
    follow_links: bool,
}

impl Folder {
    pub(super) fn open(path: &Path, follow_links: bool) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory =
            open(path, flags, Mode::empty()).map_err(|errno| unreadable(&errno.into()))?;
        Ok(Self { path: path.to_owned(), directory, follow_links })
    }

    /// A file of the folder; `name` is relative to it and cannot leave it by `..`, nor by a link
    /// unless links are followed.
    pub(super) fn read(&self, name: &str, limits: &Limits) -> Result<Vec<u8>> {
        read_all(&self.open_file(name)?, limits)
    }

    /// The same file, open.
    pub(super) fn open_file(&self, name: &str) -> Result<File> {
        let name = Path::new(name);
        let inside = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
        if !name.components().all(inside) {
            return Err(fault("leaves the image folder"));
        }
        if self.follow_links {
            return open_regular(&self.path.join(name));
        }
        match beneath(&self.directory, name) {
            Some(file) => regular(file),
            None => self.open_slowly(name),
        }
    }

    /// For systems that cannot resolve beneath a folder, for absolute links to places inside, and
    /// for the cause of a failure.
    fn open_slowly(&self, name: &Path) -> Result<File> {
        let real = |path: &Path| path.canonicalize().map_err(|error| unreadable(&error));
        let target = real(&self.path.join(name))?;
        if !target.starts_with(real(&self.path)?) {
            return Err(fault("leaves the image folder through a link"));
        }
        open_regular(&target)
    }
}

/// Opens in one step in which nobody can exchange a part of the path for a link.
#[cfg(target_os = "linux")]
fn beneath(directory: &OwnedFd, name: &Path) -> Option<File> {
    use rustix::fs::{ResolveFlags, openat2};
    openat2(directory, name, FLAGS, Mode::empty(), ResolveFlags::BENEATH).ok().map(File::from)
}

#[cfg(not(target_os = "linux"))]
fn beneath(_: &OwnedFd, _: &Path) -> Option<File> {
    None
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    use super::Folder;
    use crate::image::Limits;

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
        symlink(root.join("sub/a.jpg"), root.join("absolute")).expect("link");
        symlink(folder.join("secret"), root.join("outside")).expect("link");
        symlink("../..", root.join("sub/up")).expect("link");
        let read = |path: &str, links: bool| {
            let source = Folder::open(&root, links).expect("a folder");
            source.read(path, &Limits::default()).map_err(|error| error.to_string())
        };
        for path in ["sub/a.jpg", "./sub/a.jpg", "inside", "absolute", "sub//a.jpg"] {
            assert_eq!(read(path, false).as_deref(), Ok(&b"picture"[..]), "{path}");
            assert_eq!(read(path, true).as_deref(), Ok(&b"picture"[..]), "{path}");
        }
        let absolute = folder.join("secret").display().to_string();
        for (path, cause) in [
            ("../secret", "leaves the image folder"),
            ("sub/../../secret", "leaves the image folder"),
            (absolute.as_str(), "leaves the image folder"),
            ("sub", "is a directory"),
            ("sub/b.jpg", "no such file"),
            ("sub/a.jpg/b", "a parent is not a directory"),
        ] {
            assert_eq!(read(path, false), Err(cause.to_owned()), "{path}");
            assert_eq!(read(path, true), Err(cause.to_owned()), "{path}");
        }
        for path in ["outside", "sub/up/secret"] {
            let cause = "leaves the image folder through a link";
            assert_eq!(read(path, false), Err(cause.to_owned()), "{path}");
            assert_eq!(read(path, true).as_deref(), Ok(&b"secret"[..]), "{path}");
        }
        fs::remove_dir_all(folder).expect("remove");
    }

    #[test]
    fn a_huge_file_is_refused() {
        let folder = folder("huge");
        let file = fs::File::create(folder.join("root/huge")).expect("create");
        file.set_len((64 << 20) + 1).expect("sparse file");
        let source = Folder::open(&folder.join("root"), false).expect("a folder");
        let error = source.read("huge", &Limits::default()).expect_err("too large");
        assert_eq!(error.to_string(), "image refused: the file is larger than 67108864 bytes");
        fs::remove_dir_all(folder).expect("remove");
    }
}

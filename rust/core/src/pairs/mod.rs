//! Records in a tar, with their pictures beside them, as `WebDataset` keeps them.
//!
//! Entries of one key make up a record: `000123.json` with any record that is read elsewhere, or
//! `000123.txt` with a caption, and the pictures `000123.jpg`, `000123.0.png` and so on. The entries
//! need not be neighbours.

mod groups;
mod names;
mod pair;

use std::io::{self, Write};
use std::path::Path;

use crate::image::Limits;
use crate::source::archive::{Cause, read_at};
use crate::source::file::{check_size, fault};
use crate::source::handle::Handle;
use crate::source::names::clean;
use crate::source::tar::{self, Member};
use crate::{Error, Result};
use groups::Groups;

pub(crate) use pair::Pair;
pub(crate) use tar::is_tar;

/// A tar of pairs: its records once, its pictures by name.
#[derive(Debug)]
pub struct Pairs {
    tar: Handle,
}

impl Pairs {
    /// Opens a tar file; nothing of it is read yet.
    ///
    /// # Errors
    /// The cause; the name is for the caller to add.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        Ok(Self { tar: Handle::open(path)? })
    }

    /// Writes a line for each record, which [`Pair::parse`] reads: in the order in which their keys
    /// come first.
    ///
    /// # Errors
    /// `Data` with the place where it stops being a tar; that of `out` otherwise.
    pub(crate) fn write(&self, out: &mut dyn Write) -> Result<()> {
        let unread = Error::Data;
        let file = self.tar.get().map_err(unread)?;
        let groups = Groups::find(&file, self.tar.length()).map_err(unread)?;
        for number in 0..groups.len() {
            let pair = groups.pair(number, &file).map_err(unread)?;
            let written = serde_json::to_writer(&mut *out, &pair).map_err(io::Error::from);
            written.and_then(|()| out.write_all(b"\n")).map_err(|error| unwritten(&error))?;
        }
        Ok(())
    }

    /// The bytes of a picture file, or the first `most` of them.
    ///
    /// # Errors
    /// `Unreadable` with the cause; `Refused` for more than `limits.file_bytes`.
    pub fn read(&self, name: &str, most: Option<usize>, limits: &Limits) -> Result<Vec<u8>> {
        let (name, start) = names::split(name)
            .ok_or_else(|| fault("the pictures of a tar are named by its records"))?;
        let unread = |cause: String| fault(&cause);
        let file = self.tar.get().map_err(unread)?;
        let member = same_member(tar::member(&file, start, u64::MAX), name).map_err(unread)?;
        if let Some(why) = member.kind.refusal() {
            return Err(fault(&why));
        }
        check_size(member.size, limits)?;
        let most = most.map_or(u64::MAX, |most| most as u64);
        read_at(&file, member.data, member.size.min(most)).map_err(unread)
    }
}

fn same_member(found: Cause<Option<Member>>, name: &str) -> Cause<Member> {
    let member = found.ok().flatten().filter(|m| clean(&m.name).as_deref() == Some(name));
    member.ok_or_else(|| "the tar has changed since it was opened".to_owned())
}

/// An error of the place where records are written to.
pub(crate) fn unwritten(error: &io::Error) -> Error {
    Error::Data(format!("its records cannot be written: {}", error.to_string().to_lowercase()))
}

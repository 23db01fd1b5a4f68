//! Why a record cannot be used, in a form that can be kept.

use std::borrow::Cow;

use super::bytes::{Reader, put_text};
use crate::error::{Class, Error};

/// Letters of a message that are kept: a record may quote a whole book.
const LONGEST: usize = 2000;
const LONGEST_CODE: usize = 64;

/// What is wrong with a record, without its number and file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    kind: Kind,
    /// short stable word
    pub code: Cow<'static, str>,
    /// of the record, or its number
    pub id: String,
    /// message
    pub cause: String,
}

/// What has to change before the record is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// the record itself
    Record,
    /// a picture
    Image,
    /// whatever kept the file from being read
    Data,
    /// a setting
    Argument,
}

const KINDS: [Kind; 4] = [Kind::Record, Kind::Image, Kind::Data, Kind::Argument];

impl Fault {
    /// Of a record called `id`; `error` without the record's place.
    pub fn new(id: &str, error: &Error) -> Self {
        let kind = match (root(error), error.class()) {
            (Error::Record(_), _) => Kind::Record,
            (_, Class::Image) => Kind::Image,
            (_, Class::Data) => Kind::Data,
            (_, Class::Argument) => Kind::Argument,
        };
        let code = Cow::Borrowed(error.code());
        Self { kind, code, id: shortened(id), cause: shortened(&error.to_string()) }
    }

    /// Whether the same bytes are at fault the next time too. A picture may be there by then.
    pub fn lasts(&self) -> bool {
        self.kind == Kind::Record
    }

    /// Which exception it is in Python.
    pub fn class(&self) -> Class {
        match self.kind {
            Kind::Record | Kind::Data => Class::Data,
            Kind::Image => Class::Image,
            Kind::Argument => Class::Argument,
        }
    }

    pub(super) fn put(&self, bytes: &mut Vec<u8>) {
        bytes.push(self.kind as u8);
        for text in [&*self.code, &self.id, &self.cause] {
            put_text(bytes, text);
        }
    }

    /// None for bytes that [`Fault::put`] does not write.
    pub(super) fn take(bytes: &mut Reader<'_>) -> Option<Self> {
        let kind = *KINDS.get(usize::from(bytes.byte()?))?;
        let code = bytes.text(LONGEST_CODE)?;
        let word = |letter: u8| letter.is_ascii_lowercase() || letter == b'_';
        if !code.bytes().all(word) {
            return None;
        }
        let mut text = || bytes.text(4 * LONGEST).map(str::to_owned);
        Some(Self { kind, code: Cow::Owned(code.to_owned()), id: text()?, cause: text()? })
    }
}

fn root(error: &Error) -> &Error {
    match error {
        Error::At { source, .. } => root(source),
        other => other,
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        None => text.to_owned(),
        Some(_) => text.chars().take(LONGEST - 1).chain(['…']).collect(),
    }
}

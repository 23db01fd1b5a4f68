//! Everything that can be wrong with a user's files, in words that say where.
//!
//! A message reads from the outside in: `record 3 (id `000000033471`) in `train.json`: image
//! `coco/33471.jpg`: truncated JPEG: the scan ends after 81 bytes`. The layer that knows a name
//! adds it ([`Error::in_image`], [`Error::in_record`]); no layer guesses.

mod record;

use std::time::Duration;

use thiserror::Error as ThisError;

pub use record::{RecordFault, TurnFault};

/// Result of every fallible function of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What the Python side raises for an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// `llava_fast.ImageError`
    Image,
    /// `llava_fast.DataError`
    Data,
    /// `ValueError`: the caller passed a bad argument
    Argument,
}

/// Why a picture cannot be used.
#[derive(Clone, Debug, ThisError, PartialEq, Eq)]
pub enum ImageFault {
    /// The file ends, or breaks off, before the picture is complete.
    #[error("truncated {format}: {detail}")]
    Truncated {
        /// `JPEG` or `PNG`
        format: &'static str,
        /// what is missing
        detail: String,
    },
    /// The bytes break the rules of their format.
    #[error("malformed {format}: {detail}")]
    Malformed {
        /// `JPEG` or `PNG`
        format: &'static str,
        /// which rule
        detail: String,
    },
    /// A valid file of a kind that is not decoded here.
    #[error("unsupported image: {0}")]
    Unsupported(String),
    /// Not a picture at all.
    #[error("not an image: {0}")]
    NotAnImage(String),
    /// The header asks for more pixels or a more extreme shape than the limits allow.
    #[error("image refused: {0}")]
    Refused(String),
    /// There is no such file.
    #[error("{0}")]
    Missing(String),
    /// The file cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// Reading takes longer than it may.
    #[error("not read after {0:?}: written off")]
    Stuck(Duration),
    /// A decoder panicked: a bug here or in a crate below, reported as a bad picture.
    #[error("decoder panicked: {0}")]
    Panic(String),
}

/// Any failure of this crate.
#[derive(Clone, Debug, ThisError)]
pub enum Error {
    /// A bad picture.
    #[error(transparent)]
    Image(#[from] ImageFault),
    /// A bad record.
    #[error(transparent)]
    Record(#[from] RecordFault),
    /// A data file (not a picture) that cannot be read or parsed.
    #[error("{0}")]
    Data(String),
    /// A bad argument of the caller.
    #[error("{0}")]
    Argument(String),
    /// Another error and the place where it happened.
    #[error("{place}: {source}")]
    At {
        /// record, file or image
        place: String,
        /// what happened there
        source: Box<Error>,
    },
}

impl Error {
    /// Adds the name of the picture.
    #[must_use]
    pub fn in_image(self, path: &str) -> Self {
        self.at(format!("image `{path}`"))
    }

    /// Adds the archive that the picture lies in.
    #[must_use]
    pub fn in_archive(self, path: &str) -> Self {
        self.at(format!("archive `{path}`"))
    }

    /// Adds the archives in which the picture was looked for.
    #[must_use]
    pub fn in_archives(self, first: &str, last: &str) -> Self {
        self.at(format!("archives `{first}` to `{last}`"))
    }

    /// Adds record number, id and JSON file.
    #[must_use]
    pub fn in_record(self, index: usize, id: &str, file: &str) -> Self {
        self.at(record_place(index, id, file))
    }

    fn at(self, place: String) -> Self {
        Self::At { place, source: Box::new(self) }
    }

    /// Which exception this becomes in Python.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Image(_) => Class::Image,
            Self::Record(_) | Self::Data(_) => Class::Data,
            Self::Argument(_) => Class::Argument,
            Self::At { source, .. } => source.class(),
        }
    }

    /// A short stable word for counting bad samples by reason.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Image(fault) => fault.code(),
            Self::Record(fault) => fault.code(),
            Self::Data(_) => "data",
            Self::Argument(_) => "argument",
            Self::At { source, .. } => source.code(),
        }
    }
}

/// A record in messages.
#[must_use]
pub fn record_place(index: usize, id: &str, file: &str) -> String {
    format!("record {index} (id `{id}`) in `{file}`")
}

impl ImageFault {
    fn code(&self) -> &'static str {
        match self {
            Self::Truncated { .. } => "truncated_image",
            Self::Malformed { .. } => "malformed_image",
            Self::Unsupported(_) => "unsupported_image",
            Self::NotAnImage(_) => "not_an_image",
            Self::Refused(_) => "refused_image",
            Self::Missing(_) => "missing_image",
            Self::Unreadable(_) => "unreadable_image",
            Self::Stuck(_) => "stuck_read",
            Self::Panic(_) => "decoder_panic",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_reads_from_the_record_to_the_cause() {
        let fault = ImageFault::Truncated { format: "JPEG", detail: "no scan".into() };
        let error = Error::from(fault).in_image("coco/1.jpg").in_record(3, "x1", "train.json");
        assert_eq!(
            error.to_string(),
            "record 3 (id `x1`) in `train.json`: image `coco/1.jpg`: truncated JPEG: no scan"
        );
        assert_eq!((error.class(), error.code()), (Class::Image, "truncated_image"));
    }
}

//! Everything that can be wrong with a user's files, in words that say where.
//!
//! A message reads from the outside in: `record 3 (id `000000033471`) in `train.json`: image
//! `coco/33471.jpg`: truncated JPEG: the scan ends after 81 bytes`. The layer that knows a name
//! adds it ([`Error::in_image`], [`Error::in_record`]); no layer guesses.

use thiserror::Error as ThisError;

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
    /// The file cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// A decoder panicked: a bug here or in a crate below, reported as a bad picture.
    #[error("decoder panicked: {0}")]
    Panic(String),
}

/// Why a record cannot be used.
#[derive(Clone, Debug, ThisError, PartialEq, Eq)]
pub enum RecordFault {
    /// The record is not the JSON object the format asks for.
    #[error("malformed record: {0}")]
    Malformed(String),
    /// A field that has to be there is not.
    #[error("missing field `{0}`")]
    MissingField(&'static str),
    /// A field has the wrong type or value.
    #[error("bad field `{field}`: {detail}")]
    BadField {
        /// JSON key
        field: &'static str,
        /// got and expected
        detail: String,
    },
    /// `conversations` is empty.
    #[error("empty conversation")]
    EmptyConversation,
    /// A turn is out of order, has an unknown role or no text.
    #[error("bad turn {index}: {detail}")]
    BadTurn {
        /// position in `conversations`
        index: usize,
        /// got and expected
        detail: String,
    },
    /// An assistant turn without text would train the model to say nothing.
    #[error("empty answer in turn {0}")]
    EmptyAnswer(usize),
    /// `<image>` tags in the human turns and image files do not match.
    #[error("{tags} `<image>` tags for {images} images")]
    ImageTagCount {
        /// tags in the text
        tags: usize,
        /// files in `image`
        images: usize,
    },
    /// The first round alone is longer than `max_length`.
    #[error("the first turn needs {needed} tokens, max_length is {max_length}")]
    TooLong {
        /// tokens of the shortest prefix with an answer
        needed: usize,
        /// the limit
        max_length: usize,
    },
    /// Nothing in the record is supervised.
    #[error("no supervised token")]
    NothingSupervised,
    /// The template cannot express this conversation.
    #[error("template `{template}`: {detail}")]
    Template {
        /// name of the template
        template: String,
        /// why not
        detail: String,
    },
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

    /// Adds record number, id and JSON file.
    #[must_use]
    pub fn in_record(self, index: usize, id: &str, file: &str) -> Self {
        self.at(format!("record {index} (id `{id}`) in `{file}`"))
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

impl ImageFault {
    fn code(&self) -> &'static str {
        match self {
            Self::Truncated { .. } => "truncated_image",
            Self::Malformed { .. } => "malformed_image",
            Self::Unsupported(_) => "unsupported_image",
            Self::NotAnImage(_) => "not_an_image",
            Self::Refused(_) => "refused_image",
            Self::Unreadable(_) => "unreadable_image",
            Self::Panic(_) => "decoder_panic",
        }
    }
}

impl RecordFault {
    fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed_record",
            Self::MissingField(_) => "missing_field",
            Self::BadField { .. } => "bad_field",
            Self::EmptyConversation => "empty_conversation",
            Self::BadTurn { .. } => "bad_turn",
            Self::EmptyAnswer(_) => "empty_answer",
            Self::ImageTagCount { .. } => "image_tag_count",
            Self::TooLong { .. } => "too_long",
            Self::NothingSupervised => "nothing_supervised",
            Self::Template { .. } => "template",
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

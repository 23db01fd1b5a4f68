//! What can be wrong with a record.

use thiserror::Error as ThisError;

/// Why a record cannot be used.
#[derive(Clone, Debug, ThisError, PartialEq, Eq)]
pub enum RecordFault {
    /// The record is not the JSON object the format asks for.
    #[error("malformed record: {0}")]
    Malformed(String),
    /// A key comes twice in one object: which value counts depends on the reader.
    #[error("malformed record: the key `{0}` comes twice")]
    DuplicateKey(String),
    /// Lists and objects inside each other.
    #[error("malformed record: nested deeper than {0} levels")]
    TooDeep(usize),
    /// An escape that stands for no character, such as half of a surrogate pair.
    #[error("malformed record: {0}")]
    BadUnicode(String),
    /// More bytes than a record may have.
    #[error("the record is larger than {0} bytes")]
    TooLarge(usize),
    /// The entries of a tar that make up a record do not.
    #[error("bad pair: {0}")]
    BadPair(String),
    /// Two fields say the same thing, perhaps differently.
    #[error("`{0}` beside `{1}`: which of them counts?")]
    TwoOf(&'static str, &'static str),
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
    #[error("bad turn {index}: {fault}")]
    BadTurn {
        /// position in `conversations`
        index: usize,
        /// what is wrong with it
        fault: TurnFault,
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
    /// The record, or the size of its pictures, is another than when it was counted.
    #[error("{now} tokens, {counted} when it was counted: the file, or a picture, has changed")]
    ChangedLength {
        /// tokens that the plan has room for
        counted: usize,
        /// tokens that it takes
        now: usize,
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

/// What is wrong with a turn.
#[derive(Clone, Debug, ThisError, PartialEq, Eq)]
pub enum TurnFault {
    /// It is something else than an object.
    #[error("got {0}, expected an object")]
    NotAnObject(&'static str),
    /// A key that has to be there is not.
    #[error("missing `{0}`")]
    Missing(&'static str),
    /// A text is null.
    #[error("`{0}`: got null, expected text")]
    Null(&'static str),
    /// A text is something else.
    #[error("`{key}`: got {got}, expected text")]
    NotText {
        /// of the turn
        key: &'static str,
        /// what it is
        got: &'static str,
    },
    /// Nobody known.
    #[error(
        "unknown role: got `{0}`, expected `human` or `user`, `gpt` or `assistant`, or `system`"
    )]
    UnknownRole(String),
    /// A system turn behind others.
    #[error("a `system` turn can only come first")]
    LateSystem,
    /// Two questions or two answers.
    #[error("the same role twice in a row")]
    RepeatedRole,
    /// A question or an answer where a prompt has no place for it.
    #[error("{0}")]
    OutOfOrder(String),
    /// A turn that would be left out has a picture.
    #[error("{0} is dropped, and its `<image>` with it")]
    LostImageTag(&'static str),
    /// A part of a content that is neither text nor, in a user turn, an image.
    #[error("a part of type `{0}`, expected `text`, or `image` in a user turn")]
    BadPart(String),
}

impl RecordFault {
    /// A short stable word for counting by reason.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed_record",
            Self::DuplicateKey(_) => "duplicate_key",
            Self::TooDeep(_) => "too_deep",
            Self::BadUnicode(_) => "bad_unicode",
            Self::TooLarge(_) => "record_too_large",
            Self::BadPair(_) => "bad_pair",
            Self::TwoOf(..) => "ambiguous_record",
            Self::MissingField(_) => "missing_field",
            Self::BadField { .. } => "bad_field",
            Self::EmptyConversation => "empty_conversation",
            Self::BadTurn { fault, .. } => fault.code(),
            Self::EmptyAnswer(_) => "empty_answer",
            Self::ImageTagCount { .. } => "image_tag_count",
            Self::TooLong { .. } => "too_long",
            Self::ChangedLength { .. } => "changed_length",
            Self::NothingSupervised => "nothing_supervised",
            Self::Template { .. } => "template",
        }
    }
}

impl TurnFault {
    fn code(&self) -> &'static str {
        match self {
            Self::NotAnObject(_) => "turn_not_an_object",
            Self::Missing("from" | "role") => "missing_role",
            Self::Missing(_) => "missing_text",
            Self::Null(_) => "null_text",
            Self::NotText { .. } => "not_text",
            Self::UnknownRole(_) => "unknown_role",
            Self::LateSystem => "late_system",
            Self::RepeatedRole => "repeated_role",
            Self::OutOfOrder(_) => "turn_out_of_order",
            Self::LostImageTag(_) => "lost_image_tag",
            Self::BadPart(_) => "bad_part",
        }
    }
}

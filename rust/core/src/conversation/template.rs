//! The conversation templates, as data.
//!
//! Source: LLaVA `conversation.py` (layouts of `plain`, `v0`, `v1`) and `train.py` (`v0` is written
//! differently in training, and its supervised parts). `v1_short` is `v1` without the system text.

use crate::error::{Error, Result};

/// A piece that a template writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// text
    Text(&'static str),
    /// the token that ends an answer
    Stop,
}

/// A mark and whether the model learns to write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// what is written
    pub mark: Mark,
    /// whether it is a target
    pub supervised: bool,
}

/// What stands around a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// before the text
    pub before: &'static [Part],
    /// after the text
    pub after: &'static [Part],
}

/// How a conversation is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// around the system text; nothing of it is written where that text is empty
    pub system: Frame,
    /// around a question
    pub user: Frame,
    /// opens an answer; a generation prompt ends with it
    pub header: &'static [Part],
    /// around an answer, after the header
    pub assistant: Frame,
    /// after the last turn of a training conversation
    pub end: &'static [Part],
}

/// A conversation template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Template {
    /// the name it is asked for by
    pub name: &'static str,
    /// system text of a record that brings none
    pub system: &'static str,
    /// pictures and one caption: the human text is not written, a system text has no place
    pub caption_only: bool,
    /// layout of a conversation to train on
    pub training: Layout,
    /// layout of a conversation to continue
    pub prompting: Layout,
}

const fn given(text: &'static str) -> Part {
    Part { mark: Mark::Text(text), supervised: false }
}

const fn learned(text: &'static str) -> Part {
    Part { mark: Mark::Text(text), supervised: true }
}

const STOP: Part = Part { mark: Mark::Stop, supervised: true };
const BARE: Frame = Frame { before: &[], after: &[] };

const PLAIN: Layout = Layout {
    system: BARE,
    user: BARE,
    header: &[],
    assistant: Frame { before: &[], after: &[learned("\n")] },
    end: &[],
};

// The space before an answer is learned with it: `▁A` is one token.
const V1: Layout = Layout {
    system: Frame { before: &[], after: &[given(" ")] },
    user: Frame { before: &[given("USER: ")], after: &[given(" ")] },
    header: &[given("ASSISTANT:")],
    assistant: Frame { before: &[learned(" ")], after: &[STOP] },
    end: &[],
};

// `###` ends the answer before it, so it is learned wherever it opens a turn.
const V0_TRAINING: Layout = Layout {
    system: Frame { before: &[], after: &[given("\n\n")] },
    user: Frame { before: &[learned("###"), given(" Human: ")], after: &[given("\n")] },
    header: &[learned("### Assistant:")],
    assistant: Frame { before: &[learned(" ")], after: &[learned("\n")] },
    end: &[learned("### ")],
};

const V0_PROMPTING: Layout = Layout {
    system: Frame { before: &[], after: &[given("###")] },
    user: Frame { before: &[given("Human: ")], after: &[given("###")] },
    header: &[given("Assistant:")],
    assistant: Frame { before: &[learned(" ")], after: &[learned("###")] },
    end: &[],
};

const TEMPLATES: [Template; 4] = [
    Template { name: "plain", system: "", caption_only: true, training: PLAIN, prompting: PLAIN },
    Template {
        name: "v0",
        system: "A chat between a curious human and an artificial intelligence assistant. The \
                 assistant gives helpful, detailed, and polite answers to the human's questions.",
        caption_only: false,
        training: V0_TRAINING,
        prompting: V0_PROMPTING,
    },
    Template {
        name: "v1",
        system: "A chat between a curious user and an artificial intelligence assistant. The \
                 assistant gives helpful, detailed, and polite answers to the user's questions.",
        caption_only: false,
        training: V1,
        prompting: V1,
    },
    Template { name: "v1_short", system: "", caption_only: false, training: V1, prompting: V1 },
];

/// The template of that name.
///
/// # Errors
/// [`Error::Argument`] naming the known ones.
pub fn find(name: &str) -> Result<&'static Template> {
    TEMPLATES.iter().find(|template| template.name == name).ok_or_else(|| {
        let known = names().join("`, `");
        Error::Argument(format!("template: got `{name}`, expected one of `{known}`"))
    })
}

/// Names of all templates.
#[must_use]
pub fn names() -> Vec<&'static str> {
    TEMPLATES.iter().map(|template| template.name).collect()
}

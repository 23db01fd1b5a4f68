//! The conversation templates, as data.
//!
//! `templates.json` lists the known ones, in the format in which a user writes one of his own: a
//! system text, what stands before and after each kind of turn, and the STOP. An affix is a string,
//! `{"learn": string}` where the model has to write it, `{"stop": string}` where it ends an answer
//! with it, or a list of those; what stands between an answer's header and its end is always learned.
//! `{bos}` and `{eos}` are those tokens of the tokenizer, nothing where it has none.
//!
//! Source: LLaVA `conversation.py` and the `preprocess_*` functions of `train.py` (`plain` to
//! `chatml_direct`; `v0` is written differently in training), LLaVA-NeXT's `conversation.py` and the
//! chat templates of the model makers (`qwen_*`, `llama_3`, `gemma`). `v1_short` is `v1` without the
//! system text.

use std::sync::{Arc, LazyLock};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::affix::Affix;
use crate::error::{Error, Result};
use crate::fingerprint::fingerprint;

/// How a conversation is laid out; `A` is an [`Affix`], or one whose tokens are known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Layout<A> {
    /// before the system text; nothing of the three is written where that text is empty
    pub system_prefix: A,
    /// after it
    pub system_suffix: A,
    /// between one round and the next
    pub separator: A,
    /// before a question
    pub user_prefix: A,
    /// after it
    pub user_suffix: A,
    /// opens an answer; a generation prompt ends with it
    pub assistant_prefix: A,
    /// before an answer, learned with it: `▁A` is one token
    pub answer_prefix: A,
    /// after an answer, learned with it
    pub answer_suffix: A,
    /// ends an answer
    pub stop: A,
    /// after the STOP
    pub assistant_suffix: A,
    /// after the last round
    pub end: A,
}

impl<A> Layout<A> {
    /// The same layout of other affixes.
    pub fn map<B>(&self, change: impl Fn(&A) -> B) -> Layout<B> {
        Layout {
            system_prefix: change(&self.system_prefix),
            system_suffix: change(&self.system_suffix),
            separator: change(&self.separator),
            user_prefix: change(&self.user_prefix),
            user_suffix: change(&self.user_suffix),
            assistant_prefix: change(&self.assistant_prefix),
            answer_prefix: change(&self.answer_prefix),
            answer_suffix: change(&self.answer_suffix),
            stop: change(&self.stop),
            assistant_suffix: change(&self.assistant_suffix),
            end: change(&self.end),
        }
    }
}

impl<A> Layout<A> {
    /// All affixes.
    pub fn all(&self) -> [&A; 11] {
        let Self { system_prefix, system_suffix, separator, user_prefix, user_suffix, .. } = self;
        let Self { assistant_prefix, answer_prefix, answer_suffix, stop, .. } = self;
        let Self { assistant_suffix, end, .. } = self;
        [
            system_prefix,
            system_suffix,
            separator,
            user_prefix,
            user_suffix,
            assistant_prefix,
            answer_prefix,
            answer_suffix,
            stop,
            assistant_suffix,
            end,
        ]
    }
}

impl Layout<Affix> {
    /// What stands between the header of an answer and its end is learned.
    fn read(fields: Map<String, Value>) -> Result<Self> {
        let mut layout: Self = read(fields)?;
        for affix in [&mut layout.answer_prefix, &mut layout.answer_suffix, &mut layout.stop] {
            affix.0.iter_mut().for_each(|part| part.learned = true);
        }
        layout.stop.0.iter_mut().for_each(|part| part.stop = true);
        Ok(layout)
    }
}

/// A conversation template.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "the switches of a file format")]
pub struct Template {
    /// the name it is asked for by
    pub name: String,
    /// system text of a record that brings none
    pub system: String,
    /// whether a record may bring its own
    pub system_turn: bool,
    /// the system text stands in the first question, behind its prefix
    pub system_in_user: bool,
    /// pictures and one caption: the human text is not written, a system text has no place
    pub caption_only: bool,
    /// white space around the texts of a record is not written
    pub trim: bool,
    /// layout of a conversation to train on
    pub training: Layout<Affix>,
    /// layout of a conversation to continue
    pub prompting: Layout<Affix>,
    aliases: Vec<String>,
}

/// The fields beside those of the layout.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Head {
    name: Option<String>,
    aliases: Vec<String>,
    system: String,
    system_turn: Option<bool>,
    system_in_user: bool,
    caption_only: bool,
    trim: bool,
    /// what is written differently where the model goes on
    prompt: Map<String, Value>,
}

const HEAD: [&str; 8] = [
    "name",
    "aliases",
    "system",
    "system_turn",
    "system_in_user",
    "caption_only",
    "trim",
    "prompt",
];

static TEMPLATES: LazyLock<Vec<Arc<Template>>> = LazyLock::new(|| {
    let list: Vec<Map<String, Value>> =
        serde_json::from_str(include_str!("templates.json")).unwrap_or_default();
    list.into_iter().filter_map(|fields| Template::from_fields(fields).ok()).map(Arc::new).collect()
});

impl Template {
    /// The template of that name or alias.
    ///
    /// # Errors
    /// [`Error::Argument`] naming the known ones.
    pub fn find(name: &str) -> Result<Arc<Self>> {
        let named = |template: &&Arc<Self>| {
            template.name == name || template.aliases.iter().any(|alias| alias == name)
        };
        TEMPLATES.iter().find(named).cloned().ok_or_else(|| {
            let known = Self::names().join("`, `");
            Error::Argument(format!("template: got `{name}`, expected one of `{known}`"))
        })
    }

    /// Names of the known templates.
    #[must_use]
    pub fn names() -> Vec<&'static str> {
        TEMPLATES.iter().map(|template| template.name.as_str()).collect()
    }

    /// A template of one's own.
    ///
    /// # Errors
    /// [`Error::Argument`] naming the field that is wrong.
    pub fn from_json(json: &str) -> Result<Self> {
        let fields = serde_json::from_str(json).map_err(|e| malformed(&e))?;
        Self::from_fields(fields)
    }

    /// Tells this template from others, by all that it writes.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        fingerprint(format!("{self:?}").as_bytes())
    }

    fn from_fields(mut fields: Map<String, Value>) -> Result<Self> {
        let mut head = Map::new();
        for key in HEAD {
            head.extend(fields.remove_entry(key));
        }
        let head: Head = read(head)?;
        let mut prompting = fields.clone();
        prompting.extend(head.prompt);
        let (training, prompting) = (Layout::read(fields)?, Layout::read(prompting)?);
        let name = head.name.unwrap_or_else(|| "custom".to_owned());
        if prompting.stop.0.iter().all(|part| part.text.is_empty()) {
            let detail = "`stop` is missing: without it an answer never ends";
            return Err(Error::Argument(format!("template `{name}`: {detail}")));
        }
        Ok(Self {
            name,
            system: head.system,
            system_turn: head.system_turn.unwrap_or(true) && !head.caption_only,
            system_in_user: head.system_in_user,
            caption_only: head.caption_only,
            trim: head.trim,
            training,
            prompting,
            aliases: head.aliases,
        })
    }
}

fn read<T: serde::de::DeserializeOwned>(fields: Map<String, Value>) -> Result<T> {
    serde_json::from_value(Value::Object(fields)).map_err(|e| malformed(&e))
}

fn malformed(error: &serde_json::Error) -> Error {
    Error::Argument(format!("template: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_of_the_table_is_known_by_its_names() {
        let list: Vec<Value> = serde_json::from_str(include_str!("templates.json")).expect("JSON");
        assert_eq!(list.len(), Template::names().len());
        for entry in list {
            let template = Template::from_json(&entry.to_string()).expect("a template");
            assert_eq!(*Template::find(&template.name).expect("known"), template);
            for alias in &template.aliases {
                assert_eq!(Template::find(alias).expect("known").name, template.name);
            }
        }
        assert!(Template::find("v9").is_err());
    }

    #[test]
    fn a_prompt_differs_where_it_says_so() {
        let json =
            r#"{"user_prefix": ["Q", {"learn": "!"}], "stop": "A", "prompt": {"stop": "B"}}"#;
        let template = Template::from_json(json).expect("a template");
        let texts = |affix: &Affix| affix.0.iter().map(|p| (p.text.clone(), p.learned)).collect();
        let prefix: Vec<_> = texts(&template.training.user_prefix);
        assert_eq!(prefix, [("Q".to_owned(), false), ("!".to_owned(), true)]);
        assert_eq!(template.prompting.user_prefix, template.training.user_prefix);
        assert_ne!(template.prompting.stop, template.training.stop);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (json, expected) in [
            ("{}", "template `custom`: `stop` is missing: without it an answer never ends"),
            ("[]", "template: invalid type: sequence, expected a map at line 1 column 0"),
            (r#"{"stop": "x", "sytem": ""}"#, "template: unknown field `sytem`, expected one of"),
            (
                r#"{"stop": "x", "trim": 3}"#,
                "template: invalid type: integer `3`, expected a boolean",
            ),
            (r#"{"stop": {"x": "y"}}"#, "template: got something else than a string"),
        ] {
            let error = Template::from_json(json).expect_err(json).to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}

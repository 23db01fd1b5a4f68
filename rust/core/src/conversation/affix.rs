//! What a template writes around a text, as it stands in JSON.

use serde::Deserialize;

/// Text of a template and whether the model learns to write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// the text, special tokens of the tokenizer included
    pub text: String,
    /// whether it is a target
    pub learned: bool,
    /// whether it ends an answer
    pub stop: bool,
}

/// What stands before or after a turn.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Written")]
pub struct Affix(pub Vec<Part>);

/// An affix as it is written.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "got something else than a string, `{\"learn\": string}`, `{\"stop\": string}` or a \
                 list of those"
)]
enum Written {
    Text(String),
    Learn(Learn),
    Stop(Stop),
    List(Vec<Written>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Learn {
    learn: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stop {
    stop: String,
}

impl From<Written> for Affix {
    fn from(written: Written) -> Self {
        let part = |text, learned, stop| Self(vec![Part { text, learned, stop }]);
        match written {
            Written::Text(text) => part(text, false, false),
            Written::Learn(Learn { learn }) => part(learn, true, false),
            Written::Stop(Stop { stop }) => part(stop, true, true),
            Written::List(list) => {
                Self(list.into_iter().flat_map(|one| Self::from(one).0).collect())
            }
        }
    }
}

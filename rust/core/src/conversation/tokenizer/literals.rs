//! Added tokens that are found in a text before the model sees it.

use serde_json::Value;

use super::words::{MARK, Rule};

/// The added tokens that are not special; special ones are never matched in a text.
pub struct Literals {
    first: [bool; 256],
    texts: Vec<Vec<u8>>,
}

impl Literals {
    /// Those of a `tokenizer.json`: the added tokens that are not special.
    pub fn of(tree: &Value, rule: &Rule) -> Result<Self, &'static str> {
        let mut texts = Vec::new();
        for token in tree["added_tokens"].as_array().into_iter().flatten() {
            if token["special"] == true {
                continue;
            }
            let marks = matches!(rule, Rule::Pairs(_));
            if !marks && token["normalized"] == true && !tree["normalizer"].is_null() {
                return Err("an added token is looked for in the normalised text");
            }
            texts.extend(spellings(token["content"].as_str().unwrap_or_default(), marks));
        }
        let mut first = [false; 256];
        for text in &texts {
            first[usize::from(text[0])] = true;
        }
        Ok(Self { first, texts })
    }

    /// Whether a text spells one of them.
    pub fn occur_in(&self, text: &str) -> bool {
        let bytes = text.as_bytes();
        !self.texts.is_empty()
            && (0..bytes.len()).any(|at| {
                self.first[usize::from(bytes[at])]
                    && self.texts.iter().any(|text| bytes[at..].starts_with(text))
            })
    }
}

/// What a text must contain for this token to be found in it. Where spaces become `▁` the two are the
/// same: a text with a `▁` of its own then counts as a match.
fn spellings(content: &str, marks: bool) -> impl Iterator<Item = Vec<u8>> {
    let spaced = marks && content.contains([' ', '▁']);
    let text = if spaced { content.replace('▁', " ") } else { content.to_owned() };
    let texts = [Some(text), spaced.then(|| MARK.to_owned())].into_iter().flatten();
    texts.map(String::into_bytes).filter(|text| !text.is_empty())
}

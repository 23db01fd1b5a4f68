//! Where a text may be cut so that its words, encoded one by one, give the ids of the whole.
//!
//! Why each cut is safe.
//!
//! [`Rule::Mark`], SentencePiece-BPE: before a `▁` that follows anything else. Spaces become `▁` one by
//! one and nothing else is changed, so the cut lies at the same place of what the model sees. A token
//! starts as a character of the vocabulary or as the bytes of one (all 256 are there, so there is no
//! unknown token that could swallow its neighbours) and grows by merges only (`ignore_merges` is off).
//! A token over the cut would be the result of a merge, with a `▁` after something else inside; no
//! merge of this tokenizer has such a result. So no merge ever joins the two sides. The merges of one
//! side are done in order of (rank, position): those of the other side do not change their order, and
//! both sides end as they would alone. The prefix, a `▁` before the text, belongs to the first word.
//!
//! [`Rule::Space`], byte-level BPE: before a space (U+0020) that follows no white space. A pattern that
//! [`PATTERNS`] lists covers every text with its matches, and each match is encoded alone. None holds
//! a space after anything but white space: where a space can stand, it is the first character, or
//! the match is white space up to there. So a match begins at the cut. What stands before it is matched
//! as if the text ended there: after a character that is not white space, every alternative stops at a
//! space as it stops at the end, and the look-ahead `(?!\S)` looks at the character after white
//! space only, which lies before the cut. What stands after it is matched as a text of its own: nothing
//! looks behind. NFC changes neither side: a space composes with nothing before it and is no
//! combining mark, and no other character becomes or ceases to be white space.
//!
//! Both need that no token is found in the text before the model sees it: a text that spells an added
//! token which is not special ([`Literals`]) is not cut. Special ones are never matched in a text.

use serde_json::{Value, json};

/// The split patterns of GPT-2, Llama 3 and Qwen2.
const PATTERNS: [&str; 3] = [
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
];

const MARK: &str = "▁";

/// Where words begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// before a space or `▁` that follows neither
    Mark,
    /// before a space that follows no white space
    Space,
}

impl Rule {
    /// The rule that holds for a `tokenizer.json`, or why there is none.
    pub fn of(tree: &Value) -> Result<Self, &'static str> {
        let model = &tree["model"];
        if model["type"] != "BPE" {
            return Err("the model is not BPE");
        }
        if model["dropout"].as_f64().is_some_and(|rate| rate != 0.0) {
            return Err("the model drops merges by chance");
        }
        if !keeps_offsets(&tree["post_processor"]) {
            return Err("the post-processor may move offsets");
        }
        if !is_byte_level(&tree["pre_tokenizer"]) {
            return check_marks(tree).map(|()| Self::Mark);
        }
        let local = normalises_locally(&tree["normalizer"]);
        local.then_some(Self::Space).ok_or("the normalizer may change a word with its neighbours")
    }

    /// The words of a text, in order; together they are the text.
    pub fn words(self, text: &str) -> Words<'_> {
        Words { rule: self, rest: text }
    }

    /// Whether a word begins at this byte, which is not the first.
    fn cuts(self, text: &str, at: usize) -> bool {
        let bytes = text.as_bytes();
        match self {
            Self::Mark => {
                starts_with_mark(&bytes[at..])
                    && bytes[at - 1] != b' '
                    && !bytes[..at].ends_with(MARK.as_bytes())
            }
            Self::Space => {
                bytes[at] == b' '
                    && text[..at].chars().next_back().is_some_and(|c| !c.is_whitespace())
            }
        }
    }
}

fn starts_with_mark(bytes: &[u8]) -> bool {
    match bytes {
        [b' ', ..] => true,
        [0xe2, ..] => bytes.starts_with(MARK.as_bytes()),
        _ => false,
    }
}

/// The words of a text.
pub struct Words<'a> {
    rule: Rule,
    rest: &'a str,
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        let end = (1..self.rest.len()).find(|&at| self.rule.cuts(self.rest, at));
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        Some(word)
    }
}

/// Added tokens that are matched in a text.
pub struct Literals {
    first: [bool; 256],
    texts: Vec<Vec<u8>>,
}

impl Literals {
    /// Those of a `tokenizer.json`: the added tokens that are not special.
    pub fn of(tree: &Value, rule: Rule) -> Result<Self, &'static str> {
        let mut texts = Vec::new();
        for token in tree["added_tokens"].as_array().into_iter().flatten() {
            if token["special"] == true {
                continue;
            }
            if rule == Rule::Space && token["normalized"] == true && !tree["normalizer"].is_null() {
                return Err("an added token is looked for in the normalised text");
            }
            texts.extend(spellings(token["content"].as_str().unwrap_or_default(), rule));
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
fn spellings(content: &str, rule: Rule) -> impl Iterator<Item = Vec<u8>> {
    let spaced = rule == Rule::Mark && content.contains([' ', '▁']);
    let text = if spaced { content.replace('▁', " ") } else { content.to_owned() };
    let texts = [Some(text), spaced.then(|| MARK.to_owned())].into_iter().flatten();
    texts.map(String::into_bytes).filter(|text| !text.is_empty())
}

/// A step and the steps inside a `Sequence`, which lists them under `key`; nothing for null.
fn steps<'a>(step: &'a Value, key: &str) -> Vec<&'a Value> {
    match (step, step[key].as_array()) {
        (Value::Null, _) => Vec::new(),
        (_, Some(inner)) => inner.iter().flat_map(|step| steps(step, key)).collect(),
        _ => vec![step],
    }
}

/// Trimmed offsets depend on where in the text a token stands.
fn keeps_offsets(post_processor: &Value) -> bool {
    steps(post_processor, "processors").into_iter().all(|step| match step["type"].as_str() {
        Some("TemplateProcessing") => true,
        Some("ByteLevel") => step["trim_offsets"] == false,
        _ => false,
    })
}

fn is_byte_level(pre_tokenizer: &Value) -> bool {
    let bytes = |step: &Value, splits: bool| {
        step["type"] == "ByteLevel"
            && step["add_prefix_space"] == false
            && step["use_regex"].as_bool().unwrap_or(true) == splits
    };
    let split = |step: &Value| {
        let pattern = step["pattern"]["Regex"].as_str();
        step["type"] == "Split"
            && step["behavior"] == "Isolated"
            && step["invert"] == false
            && pattern.is_some_and(|pattern| PATTERNS.contains(&pattern))
    };
    match steps(pre_tokenizer, "pretokenizers")[..] {
        [only] => bytes(only, true),
        [first, second] => split(first) && bytes(second, false),
        _ => false,
    }
}

fn normalises_locally(normalizer: &Value) -> bool {
    steps(normalizer, "normalizers").into_iter().all(|step| step["type"] == "NFC")
}

/// Whether a tokenizer is SentencePiece-BPE, and no merge has a `▁` after something else.
fn check_marks(tree: &Value) -> Result<(), &'static str> {
    let replace = json!({"type": "Replace", "pattern": {"String": " "}, "content": MARK});
    let prepend = json!({"type": "Prepend", "prepend": MARK});
    let normalizer = steps(&tree["normalizer"], "normalizers");
    let before_model = steps(&tree["pre_tokenizer"], "pretokenizers");
    let marks = before_model.iter().all(|step| is_metaspace(step));
    if !marks || !normalizer.iter().all(|&step| *step == replace || *step == prepend) {
        return Err("no known pre-tokenizer");
    }
    if before_model.is_empty() && !normalizer.contains(&&replace) {
        return Err("spaces stay spaces");
    }
    check_model(&tree["model"])
}

fn is_metaspace(step: &Value) -> bool {
    step["type"] == "Metaspace" && step["replacement"] == MARK && step["split"] == false
}

fn check_model(model: &Value) -> Result<(), &'static str> {
    let empty = |key: &str| model[key].as_str().unwrap_or_default().is_empty();
    let vocab = &model["vocab"];
    let spells_bytes = (0..256).all(|byte| !vocab[format!("<0x{byte:02X}>")].is_null());
    if model["byte_fallback"] != true || !spells_bytes || vocab[MARK].is_null() {
        return Err("the vocabulary has no token for some text");
    }
    if model["ignore_merges"] == true
        || !empty("continuing_subword_prefix")
        || !empty("end_of_word_suffix")
    {
        return Err("the model treats the ends of a text in a way of its own");
    }
    let merges = model["merges"].as_array().map(Vec::as_slice).unwrap_or_default();
    if merges.iter().any(|merge| merge_text(merge).is_none_or(|text| has_inner_mark(&text))) {
        return Err("a token has a `▁` after something else");
    }
    Ok(())
}

/// What a merge makes, written as a pair or, in older files, with a space between the two.
fn merge_text(merge: &Value) -> Option<String> {
    match merge {
        Value::String(pair) => Some(pair.replacen(' ', "", 1)),
        Value::Array(pair) => pair.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

fn has_inner_mark(token: &str) -> bool {
    token.trim_start_matches(MARK).contains(MARK)
}

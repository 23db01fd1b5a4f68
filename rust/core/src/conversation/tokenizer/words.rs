//! Where a text may be cut so that its words, encoded one by one, give the ids of the whole.
//!
//! Why each cut is safe.
//!
//! [`Rule::Pairs`], SentencePiece-BPE: between two characters that no token has side by side. Spaces
//! become `▁` one by one and nothing else is changed, so the cut lies at the same place of what the
//! model sees. A token starts as a character of the vocabulary or as one of its bytes (all 256 are
//! there, so there is no unknown token that could swallow its neighbours; no merge takes such a byte) and
//! grows by merges only (`ignore_merges` is off). A token over the cut would be the result of a merge
//! with the two characters side by side, and there is no such merge. So none ever joins the two
//! sides. The merges of one side are done in order of (rank, position): those of the other side do not
//! change their order, and both sides end as they would alone. The prefix, a `▁` before the text,
//! belongs to the first word.
//!
//! [`Rule::Classes`], byte-level BPE: before a space (U+0020) that follows no white space, and, both of
//! ASCII, after a letter or digit and before a character of another class. A pattern of the `shape`
//! module covers every text with its matches, and each match is encoded alone. None holds such a pair:
//! where a space can stand, it is the first character, or all before it is white space; after a
//! letter come letters only, after a digit digits. So a match begins at the cut. What stands before
//! it is matched as if the text ended there: every alternative that has come to the cut stops at the
//! character behind it as it stops at the end, and the look-ahead `(?!\S)` looks at the character
//! after white space only, which lies before the cut. What stands after it is matched as a text of its
//! own: nothing looks behind. NFC changes neither side: a character of ASCII composes with nothing
//! before it, is no combining mark and stays what it is, and no other becomes or ceases to be white space.
//!
//! Both need that no token is found in the text before the model sees it: a text that spells one of
//! [`super::literals`] is not cut.

use serde_json::Value;

use super::shape;

/// What SentencePiece writes for a space.
pub const MARK: &str = "▁";

/// Characters that tokens have side by side. ASCII is told apart, `▁` is the space, and the rest is
/// one class.
pub struct Pairs(Box<[[bool; CLASSES]]>);

const CLASSES: usize = 129;
const REST: usize = CLASSES - 1;

impl Pairs {
    /// Those inside the results of merges.
    fn of(results: &[String]) -> Self {
        let mut joined = vec![[false; CLASSES]; CLASSES].into_boxed_slice();
        for text in results {
            let (mut left, mut at) = class(text.as_bytes());
            while at < text.len() {
                let (right, width) = class(&text.as_bytes()[at..]);
                joined[left][right] = true;
                (left, at) = (right, at + width);
            }
        }
        Self(joined)
    }

    /// The first cut of a text, or its end.
    #[inline]
    fn cut(&self, text: &str) -> usize {
        let bytes = text.as_bytes();
        let (mut left, mut at) = class(bytes);
        while at < bytes.len() {
            let (right, width) = class(&bytes[at..]);
            if !self.0[left][right] {
                return at;
            }
            (left, at) = (right, at + width);
        }
        bytes.len()
    }
}

/// Class and length in bytes of the first character of some UTF-8.
#[inline]
fn class(text: &[u8]) -> (usize, usize) {
    match text[0] {
        byte @ ..0x80 => (usize::from(byte), 1),
        0xe2 if text.starts_with(MARK.as_bytes()) => (usize::from(b' '), MARK.len()),
        0x80..0xe0 => (REST, 2),
        0xe0..0xf0 => (REST, 3),
        _ => (REST, 4),
    }
}

/// Where words begin.
pub enum Rule {
    /// between characters that no token has side by side
    Pairs(Box<Pairs>),
    /// before a space, and where a run of letters or digits ends
    Classes,
}

impl Rule {
    /// The rule that holds for a `tokenizer.json`, or why there is none.
    pub fn of(tree: &Value) -> Result<Self, &'static str> {
        shape::check(tree)?;
        if shape::is_byte_level(tree)? {
            return Ok(Self::Classes);
        }
        Ok(Self::Pairs(Box::new(Pairs::of(&shape::merge_results(tree)?))))
    }

    /// The words of a text, in order; together they are the text.
    pub fn words<'a>(&'a self, text: &'a str) -> Words<'a> {
        Words { rule: self, rest: text }
    }

    fn cut(&self, text: &str) -> usize {
        match self {
            Self::Pairs(pairs) => pairs.cut(text),
            Self::Classes => cut_classes(text),
        }
    }
}

/// The first cut of a text, or its end.
fn cut_classes(text: &str) -> usize {
    let bytes = text.as_bytes();
    let cuts = |&at: &usize| match (bytes[at - 1], bytes[at]) {
        (b'a'..=b'z' | b'A'..=b'Z', right) => right.is_ascii() && !right.is_ascii_alphabetic(),
        (b'0'..=b'9', right) => right.is_ascii() && !right.is_ascii_digit(),
        (_, b' ') => text[..at].chars().next_back().is_some_and(|c| !c.is_whitespace()),
        _ => false,
    };
    (1..bytes.len()).find(cuts).unwrap_or(bytes.len())
}

/// The words of a text.
pub struct Words<'a> {
    rule: &'a Rule,
    rest: &'a str,
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    #[inline]
    fn next(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        let (word, rest) = self.rest.split_at(self.rule.cut(self.rest));
        self.rest = rest;
        Some(word)
    }
}

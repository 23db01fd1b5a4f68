//! Text to ids, with the bytes that each id stands for.
//!
//! A conversation is cut at its structural tokens only (STOP, pictures); a run of text between two
//! of them counts as one string, so ids equal those of the whole rendered conversation. What the text
//! spells never becomes structure: special tokens are not matched inside it.
//!
//! Most tokenizers allow to encode a run word by word ([`words`]); words recur, so most are looked up
//! ([`cache`]).
//!
//! A SentencePiece tokenizer puts a `▁` in front. The legacy kind does so for every run, byte-level
//! ones never; the newer kind (`Metaspace`, `prepend_scheme` "first") only at the start of the whole
//! string. A second encoder never does. A BOS is an id before the string, not part of it.

mod cache;
mod literals;
mod load;
mod shape;
mod words;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;

use self::cache::{Cache, Key, Token};
use self::literals::Literals;
use self::load::{Encoder, Prefix, does_not_load};
use self::words::Rule;
use crate::error::{Error, Result};
use crate::fingerprint::fingerprint;

/// Ids that stand for structure, and what is not said in a `tokenizer.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenizerOptions {
    /// first id of a sequence, if the tokenizer has one
    pub bos: Option<u32>,
    /// write `bos` even if the tokenizer's post-processor does not
    pub add_bos: bool,
    /// STOP, the end of an answer
    pub eos: u32,
    /// fills batches up
    pub pad: u32,
    /// one position of a picture
    pub image: u32,
    /// whether the text after a picture begins with a `▁` as the start of a sequence does; by default,
    /// as after any special token
    pub image_prefix: Option<bool>,
}

impl TokenizerOptions {
    fn structural(&self) -> Vec<u32> {
        self.bos.into_iter().chain([self.eos, self.pad, self.image]).collect()
    }
}

/// A tokenizer of the `tokenizers` crate and the ids that only structure may yield.
pub struct Tokenizer {
    encoder: Encoder,
    /// the same without a prefix, where some text has none
    bare: Option<Encoder>,
    prefix: Prefix,
    words: std::result::Result<(Rule, Literals), &'static str>,
    /// tells its words from those of other tokenizers
    owner: u64,
    options: TokenizerOptions,
    control: HashSet<u32>,
    strips: HashMap<u32, (bool, bool)>,
    /// special tokens, the longest first
    specials: Vec<(String, u32)>,
    fingerprint: u64,
}

/// What stands before a run of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// nothing, or BOS
    Start,
    /// a special token
    AfterToken,
    /// a picture
    AfterImage,
}

/// A run of text as ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    /// ids
    pub ids: Vec<u32>,
    /// the bytes of the text each id stands for; empty for an id that stands for none
    pub spans: Vec<Range<usize>>,
}

impl Tokenizer {
    /// Reads the content of a `tokenizer.json`.
    ///
    /// # Errors
    /// [`Error::Data`] if it does not load or lacks one of the ids; the caller adds the name of the file.
    /// [`Error::Argument`] if `image_prefix` is set and the tokenizer has no prefix.
    pub fn from_json(json: &[u8], mut options: TokenizerOptions) -> Result<Self> {
        let mut tree: Value = serde_json::from_slice(json).map_err(does_not_load)?;
        load::settle(&mut tree, &options.structural());
        let encoder = load::build(&tree)?;
        for id in options.structural() {
            encoder
                .id_to_token(id)
                .ok_or_else(|| does_not_load(format!("no token has id {id}")))?;
        }
        if !options.add_bos && !load::writes_first(&encoder, options.bos)? {
            options.bos = None;
        }
        let prefix = Prefix::of(&tree);
        if options.image_prefix.is_some() && prefix == Prefix::Never {
            let message = "image_prefix: the tokenizer puts no `▁` before a text";
            return Err(Error::Argument(message.to_owned()));
        }
        let words = Rule::of(&tree).and_then(|rule| {
            let literals = Literals::of(&tree, &rule)?;
            Ok((rule, literals))
        });
        let control = load::control_ids(&encoder, &tree, &options);
        let added = encoder.get_added_tokens_decoder().into_iter();
        let key = format!("{options:?}");
        Ok(Self {
            bare: (prefix != Prefix::Never).then(|| load::build_bare(tree)).transpose()?,
            prefix,
            words,
            owner: next_owner(),
            options,
            control,
            strips: added.map(|(id, token)| (id, (token.lstrip, token.rstrip))).collect(),
            specials: load::specials(&encoder),
            fingerprint: fingerprint(json) ^ fingerprint(key.as_bytes()).rotate_left(32),
            encoder,
        })
    }

    /// The id to write before a sequence, if any.
    #[must_use]
    pub fn bos(&self) -> Option<u32> {
        self.options.bos
    }

    /// STOP.
    #[must_use]
    pub fn eos(&self) -> u32 {
        self.options.eos
    }

    /// Fills batches up.
    #[must_use]
    pub fn pad(&self) -> u32 {
        self.options.pad
    }

    /// One position of a picture.
    #[must_use]
    pub fn image(&self) -> u32 {
        self.options.image
    }

    /// How an id is written, empty for an unknown one.
    #[must_use]
    pub fn token(&self, id: u32) -> String {
        self.encoder.id_to_token(id).unwrap_or_default()
    }

    /// Whether a token swallows the white space (before, after) it, as some `tokenizer.json` say.
    #[must_use]
    pub fn strips(&self, id: u32) -> (bool, bool) {
        self.strips.get(&id).copied().unwrap_or_default()
    }

    /// Size of the id space: one more than the highest id.
    #[must_use]
    pub fn vocab_size(&self) -> usize {
        let ids = self.encoder.get_vocab(true).into_values();
        ids.max().map_or(0, |id| id as usize + 1)
    }

    /// Tells this tokenizer and its special ids from others.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// Why text is not encoded word by word; None if it is.
    #[must_use]
    pub fn uncut(&self) -> Option<&'static str> {
        self.words.as_ref().err().copied()
    }

    /// The special token that a text begins with, the longest one: its length in bytes and its id.
    #[must_use]
    pub fn special_at(&self, text: &str) -> Option<(usize, u32)> {
        let at = self.specials.iter().find(|(token, _)| text.starts_with(token.as_str()));
        at.map(|(token, id)| (token.len(), *id))
    }

    /// Appends the ids of a run of text and the bytes that each stands for.
    ///
    /// # Errors
    /// [`Error::Data`] if the tokenizer fails on it, or cannot spell it without a control id.
    pub fn encode_chunk(&self, text: &str, place: Place, out: &mut Chunk) -> Result<()> {
        match &self.words {
            Ok((rule, literals)) if !literals.occur_in(text) => {
                self.encode_words(rule, text, place, out)
            }
            _ => self.encode_whole(text, place, out),
        }
    }

    /// As [`Self::encode_chunk`] does, and without a cut.
    ///
    /// # Errors
    /// As there.
    pub fn encode_whole(&self, text: &str, place: Place, out: &mut Chunk) -> Result<()> {
        self.encode_with(self.has_prefix(place), text, 0, out)
    }

    fn encode_words(&self, rule: &Rule, text: &str, place: Place, out: &mut Chunk) -> Result<()> {
        Cache::with(|cache| {
            let mut prefix = self.has_prefix(place);
            let mut at = 0;
            for word in rule.words(text) {
                let key = Key::new(self.owner + u64::from(prefix), word);
                if let Some(tokens) = cache.find(&key) {
                    append(tokens, at, out);
                } else {
                    let known = out.ids.len();
                    self.encode_with(prefix, word, at, out)?;
                    cache.insert(&key, since(known, at, out));
                }
                at += word.len();
                prefix = false;
            }
            Ok(())
        })
    }

    /// Appends the ids of a text that begins at byte `at` of its run.
    fn encode_with(&self, prefix: bool, text: &str, at: usize, out: &mut Chunk) -> Result<()> {
        let encoder =
            if prefix { &self.encoder } else { self.bare.as_ref().unwrap_or(&self.encoder) };
        let encoding =
            encoder.encode(text, false).map_err(|e| Error::Data(format!("tokenizer: {e}")))?;
        if let Some(&id) = encoding.get_ids().iter().find(|id| self.control.contains(id)) {
            let token = self.token(id);
            return Err(Error::Data(format!(
                "the tokenizer turns ordinary text into its control token `{token}` (id {id})"
            )));
        }
        out.ids.extend_from_slice(encoding.get_ids());
        out.spans.extend(encoding.get_offsets().iter().map(|&(start, end)| at + start..at + end));
        Ok(())
    }

    fn has_prefix(&self, place: Place) -> bool {
        let after_token = self.prefix == Prefix::Always;
        match place {
            Place::Start => self.prefix != Prefix::Never,
            Place::AfterToken => after_token,
            Place::AfterImage => self.options.image_prefix.unwrap_or(after_token),
        }
    }

    /// Text of ids.
    ///
    /// # Errors
    /// [`Error::Data`] if the tokenizer's decoder fails.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String> {
        self.encoder.decode(ids, skip_special).map_err(|e| Error::Data(format!("tokenizer: {e}")))
    }
}

/// Two numbers, this one and the next, that no other tokenizer of the process has.
fn next_owner() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(2, Ordering::Relaxed)
}

fn append(tokens: &[Token], at: usize, out: &mut Chunk) {
    out.ids.extend(tokens.iter().map(|token| token.id));
    let span = |token: &Token| at + usize::from(token.start)..at + usize::from(token.end);
    out.spans.extend(tokens.iter().map(span));
}

/// The tokens from number `known` on, of the word at byte `at`.
fn since(known: usize, at: usize, chunk: &Chunk) -> impl ExactSizeIterator<Item = Option<Token>> {
    let pairs = chunk.ids[known..].iter().zip(&chunk.spans[known..]);
    pairs.map(move |(&id, span)| {
        let start = u8::try_from(span.start - at).ok()?;
        let end = u8::try_from(span.end - at).ok()?;
        Some(Token { id, start, end })
    })
}

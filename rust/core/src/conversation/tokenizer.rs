//! Text to ids, with the bytes that each id stands for.
//!
//! A conversation is cut at its structural tokens only (STOP, pictures); a run of text between two
//! of them is encoded as one string, so ids equal those of the whole rendered conversation. What
//! the text spells never becomes structure: special tokens are not matched inside it.
//!
//! A SentencePiece tokenizer puts a space in front. The legacy kind does so for every run, byte-level
//! ones never; the newer kind (`Metaspace`, `prepend_scheme` "first") only at the start of the whole
//! string, so it needs a second copy that never does. A BOS is an id before the string, not part of it.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::panic;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::fingerprint::fingerprint;

type Encoder = tokenizers::Tokenizer;

/// Ids that stand for structure.
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
}

impl TokenizerOptions {
    fn structural(&self) -> Vec<u32> {
        self.bos.into_iter().chain([self.eos, self.pad, self.image]).collect()
    }
}

/// A tokenizer of the `tokenizers` crate and the ids that only structure may yield.
pub struct Tokenizer {
    first: Encoder,
    later: Option<Encoder>,
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
    pub fn from_json(json: &[u8], mut options: TokenizerOptions) -> Result<Self> {
        let mut tree: Value = serde_json::from_slice(json).map_err(does_not_load)?;
        settle(&mut tree, &options.structural());
        let first = build(&tree)?;
        for id in options.structural() {
            first.id_to_token(id).ok_or_else(|| does_not_load(format!("no token has id {id}")))?;
        }
        if !options.add_bos && !writes_first(&first, options.bos)? {
            options.bos = None;
        }
        let control = control_ids(&first, &tree, &options);
        let added = first.get_added_tokens_decoder().into_iter();
        let strips = added.map(|(id, token)| (id, (token.lstrip, token.rstrip))).collect();
        let specials = specials(&first);
        let other = tree.get_mut("pre_tokenizer").is_some_and(never_prepend);
        let later = other.then(|| build(&tree)).transpose()?;
        let key = format!("{options:?}");
        let fingerprint = fingerprint(json) ^ fingerprint(key.as_bytes()).rotate_left(32);
        Ok(Self { first, later, options, control, strips, specials, fingerprint })
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
        self.first.id_to_token(id).unwrap_or_default()
    }

    /// Whether a token swallows the white space (before, after) it, as some `tokenizer.json` say.
    #[must_use]
    pub fn strips(&self, id: u32) -> (bool, bool) {
        self.strips.get(&id).copied().unwrap_or_default()
    }

    /// Size of the id space: one more than the highest id.
    #[must_use]
    pub fn vocab_size(&self) -> usize {
        let ids = self.first.get_vocab(true).into_values();
        ids.max().map_or(0, |id| id as usize + 1)
    }

    /// Tells this tokenizer and its special ids from others.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
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
        let encoder = match place {
            Place::Start => &self.first,
            _ => self.later.as_ref().unwrap_or(&self.first),
        };
        let encoding =
            encoder.encode(text, false).map_err(|e| Error::Data(format!("tokenizer: {e}")))?;
        if let Some(&id) = encoding.get_ids().iter().find(|id| self.control.contains(id)) {
            let token = self.token(id);
            return Err(Error::Data(format!(
                "the tokenizer turns ordinary text into its control token `{token}` (id {id})"
            )));
        }
        out.ids.extend_from_slice(encoding.get_ids());
        out.spans.extend(encoding.get_offsets().iter().map(|&(start, end)| start..end));
        Ok(())
    }

    /// Text of ids.
    ///
    /// # Errors
    /// [`Error::Data`] if the tokenizer's decoder fails.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String> {
        self.first.decode(ids, skip_special).map_err(|e| Error::Data(format!("tokenizer: {e}")))
    }
}

#[allow(clippy::needless_pass_by_value, reason = "the shape that `map_err` wants")]
fn does_not_load(error: impl std::fmt::Display) -> Error {
    // The crate cuts tokens at byte positions when it reports a bad merge; the message may not be UTF-8.
    let message = error.to_string().into_bytes();
    Error::Data(format!("not a tokenizer: {}", String::from_utf8_lossy(&message)))
}

/// Built from JSON text so that ids, normalizer and merges come out as the `tokenizers` crate reads
/// them; special tokens stay known for decoding and are never matched in text.
fn build(tree: &Value) -> Result<Encoder> {
    let bytes = serde_json::to_vec(tree).map_err(does_not_load)?;
    let mut encoder = panic::catch_unwind(|| Encoder::from_bytes(bytes))
        .map_err(|_| does_not_load("the `tokenizers` crate panicked"))?
        .map_err(does_not_load)?;
    encoder.set_encode_special_tokens(true);
    Ok(encoder)
}

/// No truncation, no padding, and every structural id is a special token.
fn settle(tree: &mut Value, structural: &[u32]) {
    let Some(fields) = tree.as_object_mut() else { return };
    fields.remove("truncation");
    fields.remove("padding");
    let added = fields.get_mut("added_tokens").and_then(Value::as_array_mut);
    for token in added.into_iter().flatten().filter_map(Value::as_object_mut) {
        let id = token.get("id").and_then(Value::as_u64);
        if structural.iter().any(|&own| id == Some(u64::from(own))) {
            token.insert("special".to_owned(), Value::Bool(true));
        }
    }
}

/// Whether the post-processor itself begins a sequence with this id.
fn writes_first(encoder: &Encoder, bos: Option<u32>) -> Result<bool> {
    let empty = encoder.encode("", true).map_err(does_not_load)?;
    Ok(bos.is_some() && empty.get_ids().first().copied() == bos)
}

fn specials(encoder: &Encoder) -> Vec<(String, u32)> {
    let added = encoder.get_added_tokens_decoder().into_iter();
    let special = added.filter(|(_, token)| token.special && !token.content.is_empty());
    let mut specials: Vec<_> = special.map(|(id, token)| (token.content, id)).collect();
    specials.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then_with(|| a.cmp(b)));
    specials
}

/// All special ids. The unknown token is one that text may yield, unless it stands for pictures.
fn control_ids(encoder: &Encoder, tree: &Value, options: &TokenizerOptions) -> HashSet<u32> {
    let added = encoder.get_added_tokens_decoder();
    let special = added.into_iter().filter(|(_, token)| token.special).map(|(id, _)| id);
    let mut control: HashSet<u32> = special.chain(options.structural()).collect();
    let model = &tree["model"];
    let by_name = model["unk_token"].as_str().and_then(|token| encoder.token_to_id(token));
    let by_id = model["unk_id"].as_u64().and_then(|id| u32::try_from(id).ok());
    if let Some(unknown) = by_name.or(by_id) {
        control.remove(&unknown);
    }
    control.insert(options.image);
    control
}

/// Turns every `Metaspace` of kind "first" into "never"; says whether there was one.
fn never_prepend(pre_tokenizer: &mut Value) -> bool {
    match pre_tokenizer {
        Value::Array(steps) => {
            steps.iter_mut().map(never_prepend).filter(|&found| found).count() > 0
        }
        Value::Object(fields) if fields.get("prepend_scheme") == Some(&Value::from("first")) => {
            fields.insert("prepend_scheme".to_owned(), Value::from("never"));
            fields.remove("add_prefix_space");
            true
        }
        Value::Object(fields) => fields.get_mut("pretokenizers").is_some_and(never_prepend),
        _ => false,
    }
}

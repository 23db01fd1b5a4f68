//! A `tokenizer.json` made ready: what it holds, and an encoder of the `tokenizers` crate.

use std::collections::HashSet;
use std::panic;

use serde_json::Value;

use super::TokenizerOptions;
use crate::error::{Error, Result};

pub type Encoder = tokenizers::Tokenizer;

#[allow(clippy::needless_pass_by_value, reason = "the shape that `map_err` wants")]
pub fn does_not_load(error: impl std::fmt::Display) -> Error {
    // The crate cuts tokens at byte positions when it reports a bad merge; the message may not be UTF-8.
    let message = error.to_string().into_bytes();
    Error::Data(format!("not a tokenizer: {}", String::from_utf8_lossy(&message)))
}

/// Built from JSON text so that ids, normalizer and merges come out as the `tokenizers` crate reads
/// them; special tokens stay known for decoding and are never matched in text.
pub fn build(tree: &Value) -> Result<Encoder> {
    let bytes = serde_json::to_vec(tree).map_err(does_not_load)?;
    let mut encoder = panic::catch_unwind(|| Encoder::from_bytes(bytes))
        .map_err(|_| does_not_load("the `tokenizers` crate panicked"))?
        .map_err(does_not_load)?;
    encoder.set_encode_special_tokens(true);
    Ok(encoder)
}

/// No truncation, no padding. Every structural id is a special token, and so is what a template
/// writes as structure: a file that was made by `add_tokens` may not say so.
pub fn settle(tree: &mut Value, structural: &[u32]) {
    let Some(fields) = tree.as_object_mut() else { return };
    fields.remove("truncation");
    fields.remove("padding");
    let added = fields.get_mut("added_tokens").and_then(Value::as_array_mut);
    for token in added.into_iter().flatten().filter_map(Value::as_object_mut) {
        let id = token.get("id").and_then(Value::as_u64);
        let content = token.get("content").and_then(Value::as_str).unwrap_or_default();
        if structural.iter().any(|&own| id == Some(u64::from(own))) || is_of_a_template(content) {
            token.insert("special".to_owned(), Value::Bool(true));
        }
    }
}

fn is_of_a_template(token: &str) -> bool {
    token.starts_with('<')
        && token.ends_with('>')
        && include_str!("../templates.json").contains(token)
}

/// Whether the post-processor itself begins a sequence with this id.
pub fn writes_first(encoder: &Encoder, bos: Option<u32>) -> Result<bool> {
    let empty = encoder.encode("", true).map_err(does_not_load)?;
    Ok(bos.is_some() && empty.get_ids().first().copied() == bos)
}

pub fn specials(encoder: &Encoder) -> Vec<(String, u32)> {
    let added = encoder.get_added_tokens_decoder().into_iter();
    let special = added.filter(|(_, token)| token.special && !token.content.is_empty());
    let mut specials: Vec<_> = special.map(|(id, token)| (token.content, id)).collect();
    specials.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then_with(|| a.cmp(b)));
    specials
}

/// All special ids. The unknown token is one that text may yield, unless it stands for pictures.
pub fn control_ids(encoder: &Encoder, tree: &Value, options: &TokenizerOptions) -> HashSet<u32> {
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

/// Before which texts a tokenizer puts a `▁`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Prefix {
    Never,
    Start,
    Always,
}

impl Prefix {
    /// What the steps before the model say.
    pub fn of(tree: &Value) -> Self {
        let normalizer = prefixes(&tree["normalizer"], "normalizers");
        normalizer.max(prefixes(&tree["pre_tokenizer"], "pretokenizers"))
    }
}

fn prefixes(step: &Value, key: &str) -> Prefix {
    let inner = step[key].as_array().into_iter().flatten().map(|step| prefixes(step, key));
    let own = match step["type"].as_str() {
        Some("Prepend") => Prefix::Always,
        Some("Metaspace") => match step["prepend_scheme"].as_str() {
            Some("never") => Prefix::Never,
            Some("first") => Prefix::Start,
            _ if step["add_prefix_space"] == false => Prefix::Never,
            _ => Prefix::Always,
        },
        _ => Prefix::Never,
    };
    inner.max().map_or(own, |inner| inner.max(own))
}

/// As [`build`] does, without the steps that put a `▁` before a text.
pub fn build_bare(mut tree: Value) -> Result<Encoder> {
    remove(&mut tree["normalizer"], "normalizers");
    remove(&mut tree["pre_tokenizer"], "pretokenizers");
    build(&tree)
}

fn remove(step: &mut Value, key: &str) {
    if let Some(inner) = step.get_mut(key).and_then(Value::as_array_mut) {
        for step in &mut *inner {
            remove(step, key);
        }
        inner.retain(|step| !step.is_null());
    }
    if step["type"] == "Prepend" {
        *step = Value::Null;
    } else if step["type"] == "Metaspace" {
        step["prepend_scheme"] = "never".into();
        step["add_prefix_space"] = false.into();
    }
}

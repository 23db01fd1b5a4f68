//! A template for one tokenizer: which of its text is a token.

use std::sync::Arc;

use super::affix::{Affix, Part};
use super::template::{Layout, Template};
use super::tokenizer::Tokenizer;
use crate::error::{Error, Result};

/// What a template writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// text
    Text(String),
    /// a special token
    Token(u32),
}

/// A mark, whether it is a target and whether it ends an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// what is written
    pub mark: Mark,
    /// whether it is a target
    pub learned: bool,
    /// whether it ends an answer
    pub stop: bool,
}

/// A template and what its affixes are to a tokenizer.
#[derive(Debug)]
pub struct Format {
    /// as it was written
    pub template: Arc<Template>,
    /// the system text of a record that brings none
    pub system: Vec<Piece>,
    /// layout of a conversation to train on
    pub training: Layout<Vec<Piece>>,
    /// layout of a conversation to continue
    pub prompting: Layout<Vec<Piece>>,
}

impl Format {
    /// Special tokens that the template spells become their ids; what the tokenizer does not have is
    /// text. Only the template's own text is looked at: a record's never becomes structure.
    ///
    /// # Errors
    /// [`Error::Argument`] if the template writes pictures, which only records have, or would teach or
    /// expect no STOP.
    pub fn new(template: Arc<Template>, tokenizer: &Tokenizer) -> Result<Self> {
        let bound =
            |affix: &Affix| affix.0.iter().flat_map(|part| pieces(part, tokenizer)).collect();
        let (training, prompting) = (template.training.map(bound), template.prompting.map(bound));
        let text = template.system.clone();
        let system = pieces(&Part { text, learned: false, stop: false }, tokenizer);
        let format = Self { template, system, training, prompting };
        let refused = |detail: String| {
            Err(Error::Argument(format!("template `{}`: {detail}", format.template.name)))
        };
        if format.writes(tokenizer.image()) {
            let token = tokenizer.token(tokenizer.image());
            return refused(format!(
                "it spells `{token}`, which stands for the pictures of a record"
            ));
        }
        if !format.stops() {
            return refused("no STOP with this tokenizer: an answer would never end".to_owned());
        }
        Ok(format)
    }

    fn writes(&self, token: u32) -> bool {
        let mut pieces = self.training.all().into_iter().chain(self.prompting.all());
        let own = |piece: &Piece| piece.mark == Mark::Token(token);
        self.system.iter().any(own) || pieces.any(|affix| affix.iter().any(own))
    }

    /// Whether training teaches a STOP, and a prompt is answered up to one.
    fn stops(&self) -> bool {
        let taught = |affix: &&Vec<Piece>| affix.iter().any(|piece| piece.stop);
        self.training.all().iter().any(taught) && !self.prompting.stop.is_empty()
    }

    /// What ends an answer when the model goes on: ids that do so alone, and a text.
    #[must_use]
    pub fn stop(&self) -> (Vec<u32>, String) {
        let (mut ids, mut text) = (Vec::new(), String::new());
        for piece in &self.prompting.stop {
            match &piece.mark {
                Mark::Token(id) => ids.push(*id),
                Mark::Text(words) => text.push_str(words),
            }
        }
        (ids, text)
    }
}

fn pieces(part: &Part, tokenizer: &Tokenizer) -> Vec<Piece> {
    let piece = |mark| Piece { mark, learned: part.learned, stop: part.stop };
    let mut pieces = Vec::new();
    let mut rest = part.text.as_str();
    while let Some((before, id, after)) = next_token(rest, tokenizer) {
        if !before.is_empty() {
            pieces.push(piece(Mark::Text(before.to_owned())));
        }
        pieces.extend(id.map(|id| piece(Mark::Token(id))));
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(piece(Mark::Text(rest.to_owned())));
    }
    pieces
}

/// The text before the first token or placeholder, its id, and the text after it.
fn next_token<'a>(text: &'a str, tokenizer: &Tokenizer) -> Option<(&'a str, Option<u32>, &'a str)> {
    text.char_indices().find_map(|(at, _)| {
        let rest = &text[at..];
        let (length, id) = placeholder(rest, tokenizer)
            .or_else(|| tokenizer.special_at(rest).map(|(length, id)| (length, Some(id))))?;
        Some((&text[..at], id, &rest[length..]))
    })
}

fn placeholder(text: &str, tokenizer: &Tokenizer) -> Option<(usize, Option<u32>)> {
    let known = [("{bos}", tokenizer.bos()), ("{eos}", Some(tokenizer.eos()))];
    known.into_iter().find(|(name, _)| text.starts_with(name)).map(|(name, id)| (name.len(), id))
}

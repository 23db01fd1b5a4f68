//! Collects a rendered conversation as ids and labels.

use std::mem;
use std::ops::Range;

use super::encode::{IGNORE, Sample};
use super::layout::{Mark, Piece};
use super::render::Sink;
use super::segments::{Kind, Segments};
use super::tokenizer::{Chunk, Place, Tokenizer};
use crate::error::{Error, Result};

/// Tokens of a record, however long a record may be: pictures are only numbers until here.
const MOST_POSITIONS: usize = 1 << 24;

/// Collects text until a structural token cuts it.
pub struct Builder<'a> {
    tokenizer: &'a Tokenizer,
    slots: std::slice::Iter<'a, usize>,
    sample: Sample,
    segments: Option<Segments>,
    text: String,
    learned: Vec<Range<usize>>,
    chunk: Chunk,
    place: Place,
    strip_next: bool,
}

impl<'a> Builder<'a> {
    /// `image_tokens`: the first entries are used, one for each picture that comes.
    #[must_use]
    pub fn new(tokenizer: &'a Tokenizer, image_tokens: &'a [usize], shown: bool) -> Self {
        let mut builder = Self {
            tokenizer,
            slots: image_tokens.iter(),
            sample: Sample::default(),
            segments: shown.then(Segments::default),
            text: String::new(),
            learned: Vec::new(),
            chunk: Chunk::default(),
            place: Place::Start,
            strip_next: false,
        };
        if let Some(bos) = tokenizer.bos() {
            builder.push(bos, false, Kind::Token);
        }
        builder
    }

    /// # Errors
    /// Of the tokenizer.
    pub fn finish(mut self) -> Result<Sample> {
        self.flush(self.text.len())?;
        self.sample.segments = self.segments.map(Segments::finish).unwrap_or_default();
        Ok(self.sample)
    }

    fn append(&mut self, text: &str, kind: Kind, learned: bool) {
        let start = self.text.len();
        self.text.push_str(text);
        let end = self.text.len();
        if let Some(segments) = &mut self.segments {
            segments.text(text, kind, learned, start);
        }
        match self.learned.last_mut() {
            Some(last) if learned && last.end == start => last.end = end,
            _ if learned => self.learned.push(start..end),
            _ => {}
        }
    }

    fn token(&mut self, id: u32, learned: bool, kind: Kind) -> Result<()> {
        self.cut(id, Place::AfterToken)?;
        self.push(id, learned, kind);
        Ok(())
    }

    /// Ends the text before a structural token.
    fn cut(&mut self, token: u32, place: Place) -> Result<()> {
        let (before, after) = self.tokenizer.strips(token);
        let end = if before { self.text.trim_end().len() } else { self.text.len() };
        self.flush(end)?;
        self.place = place;
        self.strip_next = after;
        Ok(())
    }

    /// Encodes the first `end` bytes of the text so far and forgets all of it.
    fn flush(&mut self, end: usize) -> Result<()> {
        let text = &self.text[..end];
        let start = if self.strip_next { end - text.trim_start().len() } else { 0 };
        let mut chunk = mem::take(&mut self.chunk);
        if start < end {
            self.tokenizer.encode_chunk(&text[start..], self.place, &mut chunk)?;
        }
        if let Some(segments) = &mut self.segments {
            segments.encoded(&chunk.spans, start, self.sample.input_ids.len());
        }
        self.label(&chunk, start);
        chunk.ids.clear();
        chunk.spans.clear();
        self.chunk = chunk;
        self.text.clear();
        self.learned.clear();
        Ok(())
    }

    /// A token is a target if it stands for a byte that is. Tokens and ranges are in order.
    fn label(&mut self, chunk: &Chunk, start: usize) {
        let mut ranges = self.learned.iter().peekable();
        for (&id, span) in chunk.ids.iter().zip(&chunk.spans) {
            let span = start + span.start..start + span.end;
            while ranges.next_if(|range| range.end <= span.start).is_some() {}
            let target = ranges.peek().is_some_and(|range| overlap(range, &span));
            self.sample.input_ids.push(i64::from(id));
            self.sample.labels.push(if target { i64::from(id) } else { IGNORE });
        }
    }

    fn push(&mut self, id: u32, learned: bool, kind: Kind) {
        let position = self.sample.input_ids.len();
        if let Some(segments) = &mut self.segments {
            segments.push(self.tokenizer.token(id), kind, learned, position..position + 1);
        }
        self.sample.input_ids.push(i64::from(id));
        self.sample.labels.push(if learned { i64::from(id) } else { IGNORE });
    }
}

impl Sink for Builder<'_> {
    fn text(&mut self, text: &str, learned: bool) {
        self.append(text, Kind::Text, learned);
    }

    fn mark(&mut self, piece: &Piece) -> Result<()> {
        match &piece.mark {
            Mark::Text(text) => {
                let kind = if piece.stop { Kind::Stop } else { Kind::Mark };
                self.append(text, kind, piece.learned);
                Ok(())
            }
            Mark::Token(id) => {
                let kind = if piece.stop { Kind::Stop } else { Kind::Token };
                self.token(*id, piece.learned, kind)
            }
        }
    }

    fn image(&mut self) -> Result<()> {
        let id = self.tokenizer.image();
        let slot = self.slots.next();
        let tokens = *slot
            .ok_or_else(|| Error::Argument("image_tokens: fewer numbers than images".to_owned()))?;
        self.cut(id, Place::AfterImage)?;
        let start = self.sample.input_ids.len();
        let end = start.saturating_add(tokens);
        if end > MOST_POSITIONS {
            return Err(Error::Argument(format!(
                "image_tokens: {tokens} positions of a picture make a record longer than \
                 {MOST_POSITIONS} tokens"
            )));
        }
        self.sample.image_starts.push(start as i64);
        self.sample.input_ids.resize(end, i64::from(id));
        self.sample.labels.resize(end, IGNORE);
        if let Some(segments) = &mut self.segments {
            segments.push(self.tokenizer.token(id), Kind::Image, false, start..end);
        }
        Ok(())
    }
}

/// Whether two half-open ranges share a byte; an empty one shares none.
fn overlap(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start.max(b.start) < a.end.min(b.end)
}

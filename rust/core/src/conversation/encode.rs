//! Segments to ids and labels.

use std::ops::Range;

use super::render::{Piece, Segment, render};
use super::template::Template;
use super::tokenizer::{Chunk, Tokenizer};
use crate::error::{Error, RecordFault, Result};
use crate::record::Record;

/// Label of a position that is no target.
pub const IGNORE: i64 = -100;

/// A conversation as model input; T tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// (T,) ids; a picture takes as many positions as it has image tokens, all the image id
    pub input_ids: Vec<i64>,
    /// (T,) the id where it is a target, else -100
    pub labels: Vec<i64>,
    /// (pictures kept,) first position of each; the later pictures of a shortened record are gone
    pub image_starts: Vec<i64>,
    /// what was encoded
    pub segments: Vec<Segment>,
}

/// A record to train on. `image_tokens` has one entry per image of the record. A conversation longer
/// than `max_length` keeps its first whole rounds.
///
/// # Errors
/// [`RecordFault::TooLong`] if the first round does not fit, [`RecordFault::NothingSupervised`], and
/// those of [`render`] and [`Tokenizer::encode_chunk`].
pub fn encode(
    record: &Record,
    tokenizer: &Tokenizer,
    template: &Template,
    image_tokens: &[usize],
    max_length: usize,
) -> Result<Sample> {
    if image_tokens.len() != record.images.len() {
        let (got, expected) = (image_tokens.len(), record.images.len());
        return Err(Error::Argument(format!(
            "image_tokens: got {got} numbers, expected one for each of {expected} images"
        )));
    }
    let first =
        |rounds| encode_segments(&render(record, template, rounds)?, tokenizer, image_tokens);
    let whole = first(record.rounds().count())?;
    let sample = if whole.input_ids.len() > max_length {
        shorten(record, first, max_length)?
    } else {
        whole
    };
    if sample.labels.iter().all(|&label| label == IGNORE) {
        return Err(RecordFault::NothingSupervised.into());
    }
    Ok(sample)
}

/// The longest number of rounds that fits; `first` encodes that many.
fn shorten(
    record: &Record,
    first: impl Fn(usize) -> Result<Sample>,
    max_length: usize,
) -> Result<Sample> {
    let mut best = first(1)?;
    let needed = best.input_ids.len();
    if needed > max_length {
        return Err(RecordFault::TooLong { needed, max_length }.into());
    }
    let (mut fits, mut too_many) = (1, record.rounds().count());
    while fits + 1 < too_many {
        let middle = usize::midpoint(fits, too_many);
        let sample = first(middle)?;
        if sample.input_ids.len() > max_length {
            too_many = middle;
        } else {
            (fits, best) = (middle, sample);
        }
    }
    Ok(best)
}

/// Any segments, of a training conversation or of a prompt. `image_tokens`: the first entries are
/// used, one for each picture in the segments.
///
/// # Errors
/// [`Error::Argument`] if there are fewer; those of [`Tokenizer::encode_chunk`].
pub fn encode_segments(
    segments: &[Segment],
    tokenizer: &Tokenizer,
    image_tokens: &[usize],
) -> Result<Sample> {
    let mut builder = Builder::new(tokenizer);
    let mut slots = image_tokens.iter();
    for segment in segments {
        match &segment.piece {
            Piece::Text(text) => builder.text(text, segment.supervised),
            Piece::Stop => builder.stop(segment.supervised)?,
            Piece::Image => {
                let tokens = slots.next().ok_or_else(|| {
                    Error::Argument("image_tokens: fewer numbers than images".to_owned())
                })?;
                builder.image(*tokens)?;
            }
        }
    }
    builder.flush(builder.text.len())?;
    Ok(Sample { segments: segments.to_vec(), ..builder.sample })
}

/// Collects text until a structural token cuts it.
struct Builder<'a> {
    tokenizer: &'a Tokenizer,
    sample: Sample,
    text: String,
    supervised: Vec<Range<usize>>,
    at_start: bool,
    strip_next: bool,
}

impl<'a> Builder<'a> {
    fn new(tokenizer: &'a Tokenizer) -> Self {
        let mut builder = Self {
            tokenizer,
            sample: Sample::default(),
            text: String::new(),
            supervised: Vec::new(),
            at_start: true,
            strip_next: false,
        };
        if let Some(bos) = tokenizer.bos() {
            builder.push(bos, false);
        }
        builder
    }

    fn text(&mut self, text: &str, supervised: bool) {
        let start = self.text.len();
        self.text.push_str(text);
        if supervised {
            self.supervised.push(start..self.text.len());
        }
    }

    fn stop(&mut self, supervised: bool) -> Result<()> {
        let stop = self.tokenizer.eos();
        self.cut(stop)?;
        self.push(stop, supervised);
        Ok(())
    }

    fn image(&mut self, tokens: usize) -> Result<()> {
        let image = self.tokenizer.image();
        self.cut(image)?;
        self.sample.image_starts.push(self.sample.input_ids.len() as i64);
        for _ in 0..tokens {
            self.push(image, false);
        }
        Ok(())
    }

    /// Ends the text before a structural token.
    fn cut(&mut self, token: u32) -> Result<()> {
        let (before, after) = self.tokenizer.strips(token);
        let end = if before { self.text.trim_end().len() } else { self.text.len() };
        self.flush(end)?;
        self.at_start = false;
        self.strip_next = after;
        Ok(())
    }

    /// Encodes the first `end` bytes of the text so far and forgets all of it.
    fn flush(&mut self, end: usize) -> Result<()> {
        let text = &self.text[..end];
        let start = if self.strip_next { end - text.trim_start().len() } else { 0 };
        if start < end {
            let Chunk { ids, spans } =
                self.tokenizer.encode_chunk(&text[start..], self.at_start)?;
            for (id, span) in ids.into_iter().zip(spans) {
                let span = start + span.start..start + span.end;
                let target = self.supervised.iter().any(|range| overlap(range, &span));
                self.push(id, target);
            }
        }
        self.text.clear();
        self.supervised.clear();
        Ok(())
    }

    fn push(&mut self, id: u32, supervised: bool) {
        self.sample.input_ids.push(i64::from(id));
        self.sample.labels.push(if supervised { i64::from(id) } else { IGNORE });
    }
}

/// Whether two half-open ranges share a byte; an empty one shares none.
fn overlap(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start.max(b.start) < a.end.min(b.end)
}

#[cfg(test)]
mod tests {
    use super::super::template::find;
    use super::super::tokenizer::TokenizerOptions;
    use super::*;

    fn tokenizer() -> Tokenizer {
        let file = "/../../tests/data/tokenizers/sp_legacy/tokenizer.json";
        let json = std::fs::read(format!("{}{file}", env!("CARGO_MANIFEST_DIR"))).expect("a file");
        let options =
            TokenizerOptions { bos: Some(1), add_bos: false, eos: 2, pad: 1163, image: 1162 };
        Tokenizer::from_json(&json, options).expect("a tokenizer")
    }

    fn record(rounds: usize) -> Record {
        let round = r#"{"from": "human", "value": "Is it </s>?"}, {"from": "gpt", "value": "No."}"#;
        let turns = vec![round; rounds].join(",").replacen("Is it", "<image>Is it", 1);
        let json = format!(r#"{{"image": "i.jpg", "conversations": [{turns}]}}"#);
        Record::from_json(&json, 0).expect("a record")
    }

    #[test]
    fn structure_comes_from_structure_only() {
        let template = find("v1").expect("a template");
        let sample = encode(&record(2), &tokenizer(), template, &[3], 500).expect("a sample");
        let count = |wanted| sample.input_ids.iter().filter(|&&id| id == wanted).count();
        assert_eq!((count(1), count(2), count(1162)), (1, 2, 3));
        assert_eq!(sample.labels.iter().filter(|&&label| label == 2).count(), 2);
        let start = sample.image_starts[0] as usize;
        assert_eq!(sample.input_ids[start..start + 3], [1162; 3]);
    }

    #[test]
    fn the_longest_whole_number_of_rounds_is_kept() {
        let (tokenizer, template) = (tokenizer(), find("v0").expect("a template"));
        let length = |rounds, limit| {
            encode(&record(rounds), &tokenizer, template, &[3], limit).map(|s| s.input_ids.len())
        };
        for rounds in 1..9 {
            let fits = length(rounds, 5000).expect("room");
            assert_eq!(length(9, fits).expect("room"), fits);
            assert!(
                length(9, fits - 1).ok()
                    == (rounds > 1).then(|| length(rounds - 1, 5000).expect("room"))
            );
        }
        let needed = length(1, 5000).expect("room");
        let error = length(9, needed - 1).expect_err("no room").to_string();
        assert_eq!(
            error,
            format!("the first turn needs {needed} tokens, max_length is {}", needed - 1)
        );
    }
}

//! A rendered conversation to ids and labels.

use super::builder::Builder;
use super::layout::Format;
use super::render::{prompt, render};
use super::segments::Segment;
use super::tokenizer::Tokenizer;
use crate::error::{Error, RecordFault, Result};
use crate::record::{Record, Turn};

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
    /// rounds that were cut off because they did not fit
    pub cut_rounds: usize,
    /// what was encoded, if asked for
    pub segments: Vec<Segment>,
}

/// A tokenizer, and a template that is bound to it.
#[derive(Clone, Copy)]
pub struct Encoder<'a> {
    /// text to ids
    pub tokenizer: &'a Tokenizer,
    /// layout of a conversation
    pub format: &'a Format,
    /// whether samples say what was encoded
    pub shown: bool,
}

impl Encoder<'_> {
    /// A record to train on. `image_tokens` has one entry per image of the record. A conversation
    /// longer than `max_length` keeps its first whole rounds.
    ///
    /// # Errors
    /// [`RecordFault::TooLong`] if the first round does not fit, [`RecordFault::NothingSupervised`],
    /// and those of [`render`] and [`Tokenizer::encode_chunk`].
    pub fn record(
        &self,
        record: &Record,
        image_tokens: &[usize],
        max_length: usize,
    ) -> Result<Sample> {
        if image_tokens.len() != record.images.len() {
            let (got, expected) = (image_tokens.len(), record.images.len());
            return Err(Error::Argument(format!(
                "image_tokens: got {got} numbers, expected one for each of {expected} images"
            )));
        }
        let first = |rounds| {
            let mut builder = Builder::new(self.tokenizer, image_tokens, self.shown);
            render(record, self.format, rounds, &mut builder)?;
            builder.finish()
        };
        let rounds = record.rounds().count();
        let whole = first(rounds)?;
        let sample = if whole.input_ids.len() > max_length {
            shorten(rounds, first, max_length)?
        } else {
            whole
        };
        if sample.labels.iter().all(|&label| label == IGNORE) {
            return Err(RecordFault::NothingSupervised.into());
        }
        Ok(sample)
    }

    /// A conversation to continue, as [`prompt`] writes it; one entry of `image_tokens` per image.
    ///
    /// # Errors
    /// Those of [`prompt`] and [`Tokenizer::encode_chunk`].
    pub fn prompt(&self, turns: &[Turn], image_tokens: &[usize]) -> Result<Sample> {
        let mut builder = Builder::new(self.tokenizer, image_tokens, self.shown);
        prompt(turns, image_tokens.len(), self.format, &mut builder)?;
        builder.finish()
    }
}

/// The longest number of rounds that fits; `first` encodes that many.
fn shorten(
    rounds: usize,
    first: impl Fn(usize) -> Result<Sample>,
    max_length: usize,
) -> Result<Sample> {
    let mut best = first(1)?;
    let needed = best.input_ids.len();
    if needed > max_length {
        return Err(RecordFault::TooLong { needed, max_length }.into());
    }
    let (mut fits, mut too_many) = (1, rounds);
    while fits + 1 < too_many {
        let middle = usize::midpoint(fits, too_many);
        let sample = first(middle)?;
        if sample.input_ids.len() > max_length {
            too_many = middle;
        } else {
            (fits, best) = (middle, sample);
        }
    }
    Ok(Sample { cut_rounds: rounds - fits, ..best })
}

#[cfg(test)]
mod tests {
    use super::super::template::Template;
    use super::super::tokenizer::TokenizerOptions;
    use super::*;

    fn tokenizer() -> Tokenizer {
        let file = "/../../tests/data/tokenizers/sp_legacy/tokenizer.json";
        let json = std::fs::read(format!("{}{file}", env!("CARGO_MANIFEST_DIR"))).expect("a file");
        let options = TokenizerOptions {
            bos: Some(1),
            add_bos: false,
            eos: 2,
            pad: 1163,
            image: 1162,
            image_prefix: None,
        };
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
        let tokenizer = tokenizer();
        let format =
            Format::new(Template::find("v1").expect("a template"), &tokenizer).expect("bound");
        let encoder = Encoder { tokenizer: &tokenizer, format: &format, shown: true };
        let sample = encoder.record(&record(2), &[3], 500).expect("a sample");
        let count = |wanted| sample.input_ids.iter().filter(|&&id| id == wanted).count();
        assert_eq!((count(1), count(2), count(1162)), (1, 2, 3));
        assert_eq!(sample.labels.iter().filter(|&&label| label == 2).count(), 2);
        let start = sample.image_starts[0] as usize;
        assert_eq!(sample.input_ids[start..start + 3], [1162; 3]);
    }

    #[test]
    fn the_longest_whole_number_of_rounds_is_kept() {
        let tokenizer = tokenizer();
        let format =
            Format::new(Template::find("v0").expect("a template"), &tokenizer).expect("bound");
        let encoder = Encoder { tokenizer: &tokenizer, format: &format, shown: false };
        let length = |rounds, limit| {
            let sample = encoder.record(&record(rounds), &[3], limit);
            sample.map(|s| s.input_ids.len())
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

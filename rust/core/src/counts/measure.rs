//! How much of a record is trained on, without laying out its pictures.

use crate::conversation::{Encoder, IGNORE, Sample};
use crate::error::Result;
use crate::loader::Dataset;
use crate::record::Record;

/// The figures of a usable record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measure {
    /// tokens, pictures included
    pub tokens: usize,
    /// tokens of text, the control tokens among them
    pub text: usize,
    /// targets
    pub supervised: usize,
    /// pictures that are kept
    pub pictures: usize,
    /// rounds that do not fit
    pub cut_rounds: usize,
}

impl Measure {
    /// What [`Encoder::record`] makes of a record whose pictures take `slots` positions.
    ///
    /// # Errors
    /// As there.
    pub fn of(record: &Record, slots: &[usize], dataset: &Dataset) -> Result<Self> {
        let encoder =
            Encoder { tokenizer: &dataset.tokenizer, format: &dataset.format, shown: false };
        let pictures: usize = slots.iter().sum();
        // Nearly every record fits: its pictures are a number to add, not positions to write.
        let bare = encoder.record(record, &vec![0; slots.len()], usize::MAX)?;
        if bare.input_ids.len() + pictures <= dataset.max_length {
            return Ok(Self::from_sample(&bare, pictures, 0));
        }
        let cut = encoder.record(record, slots, dataset.max_length)?;
        let pictures = slots[..cut.image_starts.len()].iter().sum();
        Ok(Self::from_sample(&cut, 0, pictures))
    }

    /// `absent`: positions of pictures that the sample leaves out; `present`: that it has.
    fn from_sample(sample: &Sample, absent: usize, present: usize) -> Self {
        Self {
            tokens: sample.input_ids.len() + absent,
            text: sample.input_ids.len() - present,
            supervised: sample.labels.iter().filter(|&&label| label != IGNORE).count(),
            pictures: sample.image_starts.len(),
            cut_rounds: sample.cut_rounds,
        }
    }
}

//! A data set and its batches: record, conversation and pictures of a list of record numbers, in
//! one call.

use std::sync::Arc;

use crate::conversation::{Sample, Template, Tokenizer, encode};
use crate::counter::fold;
use crate::error::{Error, Result};
use crate::fingerprint::fingerprint;
use crate::image::{
    DecodeOptions, ImageConfig, Output, Pixels, Plan, Rows, buffer, open, patches_into, values_into,
};
use crate::pack::Document;
use crate::parallel;
use crate::pool::{Number, Pooled};
use crate::records::Records;
use crate::source::Images;

/// Records, and everything that turns one into model input.
pub struct Dataset {
    /// the conversations
    pub records: Records,
    /// text to ids
    pub tokenizer: Arc<Tokenizer>,
    /// layout of a conversation
    pub template: &'static Template,
    /// picture to model input
    pub image: ImageConfig,
    /// where the pictures are
    pub images: Images,
    /// longest document in tokens
    pub max_length: usize,
}

/// What is known of all records without opening a picture.
#[derive(Debug, Default)]
pub struct Survey {
    /// tokens by record, 0 = not usable
    pub lengths: Vec<u32>,
    /// pictures of all usable records together
    pub images: usize,
    /// the others, in order
    pub bad: Vec<Bad>,
}

/// A record that cannot be used, and why; the error names it.
pub type Bad = (usize, Error);

/// Documents and pictures of a batch, to be laid out by [`crate::pack`].
pub struct Batch {
    /// in the order asked for
    pub documents: Vec<Document>,
    /// in the order of the documents
    pub pixels: Pixels,
    /// records whose document is a hole
    pub bad: Vec<Bad>,
}

/// A picture to load: which document wants it, and its path.
struct Wanted {
    document: usize,
    path: String,
}

impl Dataset {
    /// Tells data, tokenizer, template, image settings and `max_length` from others. Paths are no
    /// part of it: the same data elsewhere is the same data.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let ImageConfig { size, mode, patch_size, mean, std, decode } = &self.image;
        let DecodeOptions { truncated, png16, exif_rotation, .. } = decode;
        let mode = mode.name();
        let (mean, std) = (mean.map(f32::to_bits), std.map(f32::to_bits));
        let settings = format!(
            "{} {size} {mode} {patch_size} {mean:?} {std:?} {truncated:?} {png16:?} {exif_rotation} {}",
            self.template.name, self.max_length
        );
        fold(&[
            self.records.fingerprint(),
            self.tokenizer.fingerprint(),
            fingerprint(settings.as_bytes()),
        ])
    }

    /// Encodes every record to learn its length.
    #[must_use]
    pub fn survey(&self, threads: usize) -> Survey {
        let measured = parallel::map((0..self.records.len()).collect(), threads, |index| {
            let (sample, _) = self.encode(index)?;
            Ok((sample.input_ids.len() as u32, sample.image_starts.len()))
        });
        let mut survey = Survey::default();
        for (index, result) in measured.into_iter().enumerate() {
            let (length, images) = result.unwrap_or_else(|error| {
                survey.bad.push((index, error));
                (0, 0)
            });
            survey.lengths.push(length);
            survey.images += images;
        }
        survey
    }

    /// The ids and labels of a record and the paths of its pictures.
    ///
    /// # Errors
    /// Whatever is wrong with the record, with its number, id and file.
    pub fn encode(&self, index: usize) -> Result<(Sample, Vec<String>)> {
        let mut record = self.records.get(index)?;
        let slots = vec![self.image.image_tokens(); record.images.len()];
        let sample = encode(&record, &self.tokenizer, self.template, &slots, self.max_length)
            .map_err(|error| self.records.place(index, error))?;
        record.images.truncate(sample.image_starts.len());
        Ok((sample, record.images))
    }

    /// The documents `indices` and their pictures. No index at all gives one pad document of one
    /// token: the batch of a rank for which nothing is left.
    ///
    /// A record that cannot be used becomes a hole of pad tokens, as long as planned; the caller
    /// decides what to make of [`Batch::bad`].
    ///
    /// # Errors
    /// An index that is not below the number of records, or no memory for the pictures.
    pub fn batch(&self, indices: &[u32], output: Output, threads: usize) -> Result<Batch> {
        self.check_indices(indices)?;
        let numbers = indices.iter().map(|&index| index as usize).collect();
        let encoded = parallel::map(numbers, threads, |index| self.encode(index));
        let (mut documents, mut bad, mut wanted) = (Vec::new(), Vec::new(), Vec::new());
        for (&index, result) in indices.iter().zip(encoded) {
            let document = documents.len();
            documents.push(match result {
                Ok((sample, paths)) => {
                    wanted.extend(paths.into_iter().map(|path| Wanted { document, path }));
                    Document::new(index as usize, sample)
                }
                Err(error) => {
                    bad.push((index as usize, error));
                    self.hole(i64::from(index), 1)
                }
            });
        }
        if documents.is_empty() {
            documents.push(self.hole(-1, 1));
        }
        let mut batch = Batch { documents, pixels: Pixels::Values(buffer(0, 0)?), bad };
        batch.pixels = match output {
            Output::Values => {
                let size = self.image.values_len();
                Pixels::Values(self.pictures(&mut batch, &wanted, size, values_into, threads)?)
            }
            Output::Patches => {
                let size = self.image.patches_len();
                Pixels::Patches(self.pictures(&mut batch, &wanted, size, patches_into, threads)?)
            }
        };
        batch.bad.sort_by_key(|(record, _)| *record);
        Ok(batch)
    }

    fn check_indices(&self, indices: &[u32]) -> Result<()> {
        let records = self.records.len();
        match indices.iter().find(|&&index| index as usize >= records) {
            None => Ok(()),
            Some(index) => {
                Err(Error::Argument(format!("record {index}: there are {records} records")))
            }
        }
    }

    fn hole(&self, record: i64, length: usize) -> Document {
        Document::hole(record, length, self.tokenizer.pad())
    }

    /// Loads pictures into one buffer, `size` numbers each; a document that misses one becomes a
    /// hole and takes its other pictures out of the buffer.
    fn pictures<T: Number>(
        &self,
        batch: &mut Batch,
        wanted: &[Wanted],
        size: usize,
        write: fn(&mut dyn Rows, &Plan, &ImageConfig, &mut [T]) -> Result<()>,
        threads: usize,
    ) -> Result<Pooled<T>> {
        let mut buffer = buffer::<T>(wanted.len(), size)?;
        let slots = wanted.iter().zip(buffer.chunks_mut(size)).collect();
        let loaded = parallel::map(slots, threads, |(picture, slot): (&Wanted, &mut [T])| {
            self.images
                .read(&picture.path, &self.image.decode.limits)
                .and_then(|bytes| open(&bytes, &self.image.decode))
                .and_then(|mut image| {
                    let plan = Plan::new(image.width(), image.height(), &self.image);
                    write(&mut image, &plan, &self.image, slot)
                })
                .map_err(|error| error.in_image(&picture.path))
        });
        let mut broken = vec![false; batch.documents.len()];
        for (picture, result) in wanted.iter().zip(loaded) {
            if let Err(error) = result
                && !std::mem::replace(&mut broken[picture.document], true)
            {
                self.dig(batch, picture.document, error);
            }
        }
        if broken.contains(&true) {
            let keep = wanted.iter().map(|picture| !broken[picture.document]);
            compact(&mut buffer, size, keep);
        }
        Ok(buffer)
    }

    fn dig(&self, batch: &mut Batch, document: usize, error: Error) {
        let place = &mut batch.documents[document];
        *place = self.hole(place.record, place.input_ids.len());
        let record = place.record as usize;
        batch.bad.push((record, self.records.place(record, error)));
    }
}

/// Keeps the slots of `size` numbers that `keep` says, in order.
fn compact<T: Number>(buffer: &mut Pooled<T>, size: usize, keep: impl Iterator<Item = bool>) {
    let mut kept = 0;
    for (slot, _) in keep.enumerate().filter(|(_, keep)| *keep) {
        buffer.copy_within(slot * size..(slot + 1) * size, kept * size);
        kept += 1;
    }
    buffer.truncate(kept * size);
}

#[cfg(test)]
mod tests {
    use super::{buffer, compact};

    #[test]
    fn compacting_keeps_the_order() {
        let mut pixels = buffer(4, 2).expect("small");
        pixels.copy_from_slice(&[1_u8, 1, 2, 2, 3, 3, 4, 4]);
        compact(&mut pixels, 2, [false, true, false, true].into_iter());
        assert_eq!(*pixels, [2, 2, 4, 4]);
    }

    #[test]
    fn a_batch_beyond_the_memory_is_an_error() {
        assert_eq!(buffer::<u8>(2, 3).expect("small").len(), 6);
        for (count, size) in [(usize::MAX, 2), (1 << 40, 1 << 20)] {
            assert!(buffer::<f32>(count, size).is_err());
        }
    }
}

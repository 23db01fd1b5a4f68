//! A data set and its batches: record, conversation and pictures of a list of record numbers, in
//! one call.

mod counters;
mod pictures;
mod view;

use std::sync::Arc;
use std::time::Duration;

use crate::cache::PixelCache;
use crate::conversation::{Encoder, Format, Sample, Tokenizer};
use crate::counter::fold;
use crate::error::{Error, RecordFault, Result};
use crate::fingerprint::fingerprint;
use crate::image::{DecodeOptions, ImageConfig, Mode, Output, Pixels};
use crate::pack::Document;
use crate::parallel::{self, Crew};
use crate::pool::Buffer;
use crate::record::{Reading, Repair};
use crate::records::Records;
use crate::source::Images;
use counters::Tally;
use pictures::Picture;

pub use counters::Counters;
pub use view::{Described, View};

/// Records, and everything that turns one into model input.
pub struct Dataset {
    /// the conversations
    pub records: Arc<Records>,
    /// text to ids
    pub tokenizer: Arc<Tokenizer>,
    /// layout of a conversation
    pub format: Format,
    /// picture to model input
    pub image: ImageConfig,
    /// where the pictures are, by file of the records
    pub images: Vec<Arc<Images>>,
    /// what tells those places from others, see [`crate::counts::place`]
    pub places: Vec<u64>,
    /// where prepared pictures are kept
    pub cache: Option<PixelCache>,
    /// longest document in tokens
    pub max_length: usize,
    /// how records are read that are not as they should be
    pub reading: Reading,
    /// how long reading a picture file may take
    pub read_timeout: Duration,
}

/// A record as it enters a batch.
pub struct Encoded {
    /// ids and labels
    pub sample: Sample,
    /// the pictures that are kept
    pub pictures: Vec<Picture>,
    /// what was put right
    pub repairs: Vec<Repair>,
}

/// A record that cannot be used, and why; the error names it.
pub type Bad = (usize, Error);

/// Documents and pictures of a batch, to be laid out by [`crate::pack`].
pub struct Batch {
    /// in the order asked for
    pub documents: Vec<Document>,
    /// in the order of the documents
    pub pixels: Pixels,
    /// squares of each picture, where pictures become different numbers of them
    pub squares: Vec<i32>,
    /// height and width of each picture in its file, in the same case
    pub sizes: Vec<[i64; 2]>,
    /// records whose document is a hole
    pub bad: Vec<Bad>,
    /// what it took
    pub counters: Counters,
}

/// What is to be in a batch.
#[derive(Clone, Debug, Default)]
pub struct Order {
    /// record numbers
    pub records: Vec<u32>,
    /// tokens of each, as planned; empty = whatever they turn out to be
    pub lengths: Vec<u32>,
}

impl Dataset {
    /// Tells data, tokenizer, template, image settings and `max_length` from others. Paths are no
    /// part of it: the same data elsewhere is the same data.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let settings = format!("{} {} {:?}", self.pictures_as(), self.max_length, self.reading);
        fold(&[
            self.records.fingerprint(),
            self.tokenizer.fingerprint(),
            self.format.template.fingerprint(),
            fingerprint(settings.as_bytes()),
        ])
    }

    /// What [`Self::fingerprint`] depends on, by name, so that a difference can be named.
    #[must_use]
    pub fn fingerprints(&self) -> [(&'static str, u64); 5] {
        [
            ("data", self.records.fingerprint()),
            ("tokenizer", self.tokenizer.fingerprint()),
            ("template", self.format.template.fingerprint()),
            ("image", fingerprint(self.pictures_as().as_bytes())),
            ("reading", fingerprint(format!("{:?}", self.reading).as_bytes())),
        ]
    }

    /// How pictures are prepared, in words.
    fn pictures_as(&self) -> String {
        let ImageConfig { size, mode, patch_size, mean, std, grids, decode } = &self.image;
        let DecodeOptions { truncated, png16, exif_rotation, .. } = decode;
        let grids = if *mode == Mode::AnyRes { format!("{grids:?}") } else { String::new() };
        let mode = mode.name();
        let (mean, std) = (mean.map(f32::to_bits), std.map(f32::to_bits));
        format!(
            "{size} {mode} {patch_size} {mean:?} {std:?} {grids} {truncated:?} {png16:?} \
             {exif_rotation}"
        )
    }

    /// Where the pictures of record `index` are.
    ///
    /// # Panics
    /// If `index` is not below the number of records.
    #[must_use]
    pub fn images_of(&self, index: usize) -> &Images {
        self.images_in(self.records.part(index))
    }

    /// Where the pictures of the records of the file `part` are.
    ///
    /// # Panics
    /// If `part` is not below the number of files.
    #[must_use]
    pub fn images_in(&self, part: usize) -> &Images {
        self.records.file(part).pictures().unwrap_or(&self.images[part])
    }

    /// The ids and labels of a record and its pictures.
    ///
    /// # Errors
    /// Whatever is wrong with the record, with its number, id and file.
    pub fn encode(&self, index: usize) -> Result<Encoded> {
        self.encode_record(index, false)
    }

    /// `shown`: whether the sample says what was encoded.
    fn encode_record(&self, index: usize, shown: bool) -> Result<Encoded> {
        let record = self.records.get(index, self.reading)?;
        let encoded = || {
            let paths = record.images.iter().cloned();
            let mut pictures =
                paths.map(|path| self.look(index, path)).collect::<Result<Vec<_>>>()?;
            let slots: Vec<_> = pictures.iter().map(|picture| picture.tokens).collect();
            let encoder = Encoder { tokenizer: &self.tokenizer, format: &self.format, shown };
            let sample = encoder.record(&record, &slots, self.max_length)?;
            pictures.truncate(sample.image_starts.len());
            Ok(Encoded { sample, pictures, repairs: record.repairs.clone() })
        };
        encoded().map_err(|error| self.records.place(index, error))
    }

    /// The documents of an order and their pictures. No record at all gives one pad document of one
    /// token: the batch of a rank for which nothing is left.
    ///
    /// A record that cannot be used, or is not as long as planned, becomes a hole of pad tokens, as
    /// long as planned; the caller decides what to make of [`Batch::bad`].
    ///
    /// # Errors
    /// A record that is not there, or no memory for the pictures.
    pub fn batch(&self, order: &Order, output: Output, crew: impl Into<Crew>) -> Result<Batch> {
        let crew = crew.into();
        order.records.iter().try_for_each(|&index| self.check_index(index as usize))?;
        let tally = Tally::default();
        let planned = order.lengths.iter().copied().map(Some).chain(std::iter::repeat(None));
        let items: Vec<_> =
            order.records.iter().map(|&index| index as usize).zip(planned).collect();
        let encoded = parallel::map(items.clone(), crew, |(index, planned)| {
            tally.work(|| {
                self.encode(index).and_then(|found| self.as_planned(index, found, planned))
            })
        });
        let (mut documents, mut bad, mut wanted) = (Vec::new(), Vec::new(), Vec::new());
        for ((index, planned), result) in items.into_iter().zip(encoded) {
            let document = documents.len();
            documents.push(match result {
                Ok(Encoded { sample, pictures, .. }) => {
                    wanted.extend(pictures.into_iter().map(|picture| (document, picture)));
                    Document::new(index, sample)
                }
                Err(error) => {
                    bad.push((index, error));
                    self.hole(index as i64, planned.map_or(1, |length| length.max(1) as usize))
                }
            });
        }
        if documents.is_empty() {
            documents.push(self.hole(-1, 1));
        }
        let (pixels, counters) = (Pixels::Values(Buffer::take(0)?), Counters::default());
        let (squares, sizes) = (Vec::new(), Vec::new());
        let mut batch = Batch { documents, pixels, squares, sizes, bad, counters };
        batch.pixels = match output {
            Output::Values => self.pictures::<f32>(&mut batch, &wanted, output, crew, &tally)?,
            Output::Patches => self.pictures::<u8>(&mut batch, &wanted, output, crew, &tally)?,
        };
        batch.bad.sort_by_key(|(record, _)| *record);
        batch.counters = tally.total();
        Ok(batch)
    }

    /// A record that was changed since it was counted would not fit into its pack.
    fn as_planned(&self, index: usize, found: Encoded, planned: Option<u32>) -> Result<Encoded> {
        let now = found.sample.input_ids.len();
        match planned.map(|length| length as usize) {
            Some(counted) if counted != now => {
                let fault = RecordFault::ChangedLength { counted, now };
                Err(self.records.place(index, fault.into()))
            }
            _ => Ok(found),
        }
    }

    fn check_index(&self, index: usize) -> Result<()> {
        let records = self.records.len();
        if index < records {
            return Ok(());
        }
        Err(Error::Argument(format!("record {index}: there are {records} records")))
    }

    fn hole(&self, record: i64, length: usize) -> Document {
        Document::hole(record, length, self.tokenizer.pad())
    }

    fn dig(&self, batch: &mut Batch, document: usize, error: Error) {
        let place = &mut batch.documents[document];
        *place = self.hole(place.record, place.input_ids.len());
        let record = place.record as usize;
        batch.bad.push((record, self.records.place(record, error)));
    }
}

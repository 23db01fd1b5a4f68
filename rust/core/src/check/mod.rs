//! The whole of a data set, looked at once, slice by slice: what can be used, what cannot and why.
//!
//! Records go the loader's way. What is kept of one is a hash of its id and one for each of its
//! pictures, so memory grows with their number and not with the text.

mod ids;
mod label;
mod pictures;
mod tally;

use std::ops::Range;

use ids::Origin;
use label::Label;
use pictures::{Found, Pictures};
use tally::Tally;

use crate::counts::Measure;
use crate::error::{Error, Result};
use crate::image::Mode;
use crate::loader::Dataset;
use crate::parallel;
use crate::record::{Record, Repair};

pub use pictures::Look;
pub use tally::Fault;

/// A check that is under way.
#[derive(Debug)]
pub struct Check {
    tally: Tally,
}

/// One record, looked at by itself.
struct Seen {
    label: Label,
    outcome: Result<Measure>,
    /// pictures that it names
    referenced: usize,
    /// those of them that were looked at
    pictures: Vec<Found>,
    /// what was put right
    repairs: Vec<Repair>,
}

impl Check {
    /// A check that has not begun.
    #[must_use]
    pub fn new(look: Look) -> Self {
        Self { tally: Tally::new(Pictures::new(look)) }
    }

    /// Looks at the records `range` of `dataset`, which have to be there, and returns the bad ones.
    /// The same data set is to be passed every time.
    pub fn advance(
        &mut self,
        dataset: &Dataset,
        range: Range<usize>,
        threads: usize,
    ) -> Vec<Fault> {
        let seen = parallel::map(range.clone().collect(), threads, |index| {
            Ok(self.look_at(dataset, index))
        });
        let mut faults = Vec::new();
        for (index, seen) in range.zip(seen) {
            let seen = seen.unwrap_or_else(|error| broken(dataset.records.place(index, error)));
            faults.extend(self.count(dataset, index, seen));
        }
        faults
    }

    /// The counts so far, a JSON object: the fields of the tally.
    ///
    /// # Errors
    /// [`Error::Data`], which would be a bug: counts always have a JSON form.
    pub fn report(&self) -> Result<String> {
        serde_json::to_string(&self.tally).map_err(|error| Error::Data(error.to_string()))
    }

    fn look_at(&self, dataset: &Dataset, index: usize) -> Seen {
        let json = dataset.records.json(index);
        let label = json.map_or_else(|_| Label::unknown(), |json| Label::read(&json));
        let record = match dataset.records.get(index, dataset.reading) {
            Ok(record) => record,
            Err(error) => return Seen { label, ..broken(error) },
        };
        let pictures = self.tally.pictures.find(index, &record.images, dataset);
        let outcome = measured(&record, &pictures, dataset)
            .map_err(|error| dataset.records.place(index, error));
        let label = label.settled(&record);
        Seen { label, outcome, referenced: record.images.len(), pictures, repairs: record.repairs }
    }

    fn count(&mut self, dataset: &Dataset, index: usize, seen: Seen) -> Option<Fault> {
        let Label { id, source } = seen.label;
        if let Some(id) = &id {
            self.tally.ids.add(index, id, &dataset.records);
        }
        self.tally.pictures.add(seen.referenced, &seen.pictures);
        let (file, record) = dataset.records.origin(index);
        let outcome = seen.outcome.map_err(|error| Fault {
            origin: Origin { file: file.to_owned(), record },
            id: id.unwrap_or_else(|| record.to_string()),
            code: error.code(),
            message: error.to_string(),
        });
        self.tally.add(file, source, &outcome, &seen.repairs);
        outcome.err()
    }
}

fn broken(error: Error) -> Seen {
    let (pictures, repairs) = (Vec::new(), Vec::new());
    Seen { label: Label::unknown(), outcome: Err(error), referenced: 0, pictures, repairs }
}

/// As a batch would have it: what is wrong with the text comes before what is wrong with a picture,
/// unless the picture's size decides on the text, and a picture of a round that is cut is not read.
fn measured(record: &Record, pictures: &[Found], dataset: &Dataset) -> Result<Measure> {
    let fault = |kept| pictures.iter().take(kept).find_map(|picture| picture.size.clone().err());
    if dataset.image.mode == Mode::AnyRes
        && let Some(error) = fault(pictures.len())
    {
        return Err(error);
    }
    let mut slots = vec![dataset.image.patches(); record.images.len()];
    for (slot, picture) in slots.iter_mut().zip(pictures) {
        if let Ok((width, height)) = picture.size {
            *slot = dataset.image.image_tokens(width, height);
        }
    }
    let measure = Measure::of(record, &slots, dataset)?;
    fault(measure.pictures).map_or(Ok(measure), Err)
}

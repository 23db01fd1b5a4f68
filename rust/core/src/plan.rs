//! The stream of an epoch: a pure function of (fingerprint, seed, epoch, shape).
//!
//! Order: record `i` has the key `splitmix64(k, i)`, the `i`-th output of `SplitMix64` started at
//! `k = fold(fingerprint, seed, epoch)`; records are read by ascending key. Nothing is carried
//! from one epoch to the next, so any position of any epoch can be had without the ones before.
//!
//! The number of packs must not depend on the epoch (frameworks read it once). It is 1.01 x the
//! packs of epoch 0, plus one; an epoch that packs better splits its longest packs, one that packs
//! worse is packed as a whole. Ranks take packs round-robin. Only the last, incomplete round
//! depends on the number of ranks: its documents are dealt over exactly that many packs.

use std::sync::Arc;

use crate::counter::{fold, splitmix64};
use crate::error::{Error, Result};
use crate::packing::{Groups, best_fit, look_ahead, split_longest};

/// What a batch is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Documents of at most so many tokens together.
    Pack {
        /// tokens
        tokens: u32,
    },
    /// So many documents.
    Batch {
        /// documents
        size: usize,
    },
}

/// Everything the order of the samples depends on.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// packs or plain batches
    pub shape: Shape,
    /// another order per epoch, or the order of the file
    pub shuffle: bool,
    /// leave out what does not fill a batch on every rank
    pub drop_last: bool,
    /// number that chooses the orders
    pub seed: u64,
    /// of data, tokenizer, template and image settings
    pub fingerprint: u64,
}

/// All epochs of one data set.
pub struct Stream {
    /// tokens by record number, as given
    pub lengths: Vec<u32>,
    usable: Vec<u32>,
    /// as given
    pub settings: Settings,
    groups: usize,
}

impl Stream {
    /// `lengths`: tokens by record number, 0 = not usable.
    ///
    /// # Errors
    /// No usable record, a batch of nothing, or a record longer than a pack.
    pub fn new(lengths: Vec<u32>, settings: Settings) -> Result<Self> {
        let number = u32::try_from(lengths.len())
            .map_err(|_| Error::Argument(format!("{} records are too many", lengths.len())))?;
        let usable: Vec<u32> = (0..number).filter(|&i| lengths[i as usize] > 0).collect();
        if usable.is_empty() {
            return Err(Error::Data(format!("none of the {number} records is usable")));
        }
        check_shape(settings.shape, &lengths)?;
        let mut stream = Self { lengths, usable, settings, groups: 0 };
        stream.groups = stream.count_groups();
        Ok(stream)
    }

    fn count_groups(&self) -> usize {
        let records = self.usable.len();
        match self.settings.shape {
            Shape::Batch { size } if self.settings.drop_last => records / size,
            Shape::Batch { size } => records.div_ceil(size),
            Shape::Pack { tokens } => {
                let packs = look_ahead(&self.order(0), &self.lengths, tokens).len();
                (packs + packs / 100 + 1).min(records)
            }
        }
    }

    /// Batches per rank and epoch; the same for every epoch and rank.
    #[must_use]
    pub fn len(&self, world: usize) -> usize {
        if self.settings.drop_last { self.groups / world } else { self.groups.div_ceil(world) }
    }

    /// Records that are read in every epoch.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.usable.len()
    }

    fn key(&self, epoch: u64) -> u64 {
        fold(&[self.settings.fingerprint, self.settings.seed, epoch])
    }

    fn order(&self, epoch: u64) -> Vec<u32> {
        if !self.settings.shuffle {
            return self.usable.clone();
        }
        let key = self.key(epoch);
        let mut keyed: Vec<(u64, u32)> =
            self.usable.iter().map(|&i| (splitmix64(key, u64::from(i)), i)).collect();
        keyed.sort_unstable();
        keyed.into_iter().map(|(_, i)| i).collect()
    }

    fn packs(&self, epoch: u64, tokens: u32) -> Groups {
        let order = self.order(epoch);
        let mut packs = look_ahead(&order, &self.lengths, tokens);
        if packs.len() > self.groups {
            packs = self.shuffled(epoch, &best_fit(&order, &self.lengths, tokens));
        }
        if packs.len() > self.groups {
            // Luck made epoch 0 tighter than best-fit-decreasing: its packs, in another order.
            packs = self.shuffled(epoch, &look_ahead(&self.order(0), &self.lengths, tokens));
        }
        split_longest(&mut packs, &self.lengths, self.groups);
        packs
    }

    /// Whole-epoch packing sorts by length; the packs are put in random order again.
    fn shuffled(&self, epoch: u64, packs: &Groups) -> Groups {
        let (key, first) = (self.key(epoch), self.lengths.len() as u64);
        let mut ranking: Vec<usize> = (0..packs.len()).collect();
        ranking.sort_by_key(|&pack| splitmix64(key, first + pack as u64));
        packs.reordered(&ranking)
    }

    /// What remains of epoch `epoch` after its first `done` samples.
    ///
    /// # Errors
    /// `done` is not a place where a batch of this stream begins.
    pub fn epoch(self: &Arc<Self>, epoch: u64, done: usize) -> Result<Epoch> {
        if done > self.usable.len() {
            return Err(misplaced(done, self.usable.len()));
        }
        let groups = match self.settings.shape {
            Shape::Pack { tokens } => self.packs(epoch, tokens).after(done)?,
            Shape::Batch { size } => Groups::of_size(self.order(epoch).split_off(done), size),
        };
        Ok(Epoch { stream: Arc::clone(self), groups, done })
    }
}

impl Groups {
    fn after(mut self, done: usize) -> Result<Self> {
        let Ok(first) = self.borders.binary_search(&done) else {
            return Err(misplaced(done, self.samples.len()));
        };
        let borders = self.borders[first..].iter().map(|border| border - done).collect();
        Ok(Self { samples: self.samples.split_off(done), borders })
    }
}

fn misplaced(done: usize, samples: usize) -> Error {
    Error::Argument(format!("no batch begins after {done} of {samples} samples"))
}

fn check_shape(shape: Shape, lengths: &[u32]) -> Result<()> {
    match shape {
        Shape::Batch { size: 0 } => Err(Error::Argument("batch_size: got 0".into())),
        Shape::Batch { .. } => Ok(()),
        Shape::Pack { tokens } => match lengths.iter().position(|&length| length > tokens) {
            None => Ok(()),
            Some(record) => Err(Error::Argument(format!(
                "record {record} has {} tokens, pack_tokens is {tokens}; raise it or lower max_length",
                lengths[record]
            ))),
        },
    }
}

/// The rest of one epoch.
pub struct Epoch {
    stream: Arc<Stream>,
    groups: Groups,
    done: usize,
}

impl Epoch {
    /// Batches left for each of `world` ranks.
    #[must_use]
    pub fn steps(&self, world: usize) -> usize {
        if self.stream.settings.drop_last {
            self.whole_groups() / world
        } else {
            self.groups.len().div_ceil(world)
        }
    }

    fn whole_groups(&self) -> usize {
        match self.stream.settings.shape {
            Shape::Batch { size } => self.groups.samples.len() / size,
            Shape::Pack { .. } => self.groups.len(),
        }
    }

    /// The records of `rank`'s batch number `step`, counted from the place where this rest begins;
    /// empty for a rank for which the last round has no document, and after the last round.
    #[must_use]
    pub fn batch(&self, step: usize, rank: usize, world: usize) -> Vec<u32> {
        let first = step * world;
        if first + world <= self.groups.len() {
            return self.groups.get(first + rank).to_vec();
        }
        if first >= self.groups.len() {
            return Vec::new();
        }
        let dealt = self.last_round(first, world);
        if rank < dealt.len() { dealt.get(rank).to_vec() } else { Vec::new() }
    }

    fn last_round(&self, first: usize, world: usize) -> Groups {
        let start = self.groups.borders[first];
        let borders = self.groups.borders[first..].iter().map(|border| border - start).collect();
        let mut round = Groups { samples: self.groups.samples[start..].to_vec(), borders };
        split_longest(&mut round, &self.stream.lengths, world);
        round
    }

    /// Tokens of records.
    #[must_use]
    pub fn lengths(&self, records: &[u32]) -> Vec<u32> {
        records.iter().map(|&record| self.stream.lengths[record as usize]).collect()
    }

    /// Samples of the epoch that all ranks together have read after `steps` batches each.
    #[must_use]
    pub fn samples_after(&self, steps: usize, world: usize) -> usize {
        let group = (steps * world).min(self.groups.len());
        self.done + self.groups.borders[group]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn settings(shape: Shape) -> Settings {
        Settings { shape, shuffle: true, drop_last: false, seed: 5, fingerprint: 77 }
    }

    fn packs_of(tokens: u32) -> Settings {
        settings(Shape::Pack { tokens })
    }

    #[test]
    fn unusable_records_are_never_planned() {
        let stream = Arc::new(Stream::new(vec![3, 0, 4, 0, 5], packs_of(9)).expect("valid"));
        for epoch in 0..5 {
            let mut samples = stream.epoch(epoch, 0).expect("begins").groups.samples;
            samples.sort_unstable();
            assert_eq!(samples, [0, 2, 4]);
        }
    }

    #[test]
    fn wrong_arguments_are_named() {
        let error = |lengths, settings| {
            Stream::new(lengths, settings).err().map(|e| e.to_string()).unwrap_or_default()
        };
        assert_eq!(
            error(vec![3, 12], packs_of(9)),
            "record 1 has 12 tokens, pack_tokens is 9; raise it or lower max_length"
        );
        let stream = Arc::new(Stream::new(vec![4, 4, 4, 4], packs_of(8)).expect("valid"));
        assert!(stream.epoch(0, 5).is_err());
    }

    proptest! {
        #[test]
        fn every_sample_once_on_any_number_of_ranks(
            lengths in prop::collection::vec(0u32..=50, 1..400),
            world in 1usize..=16,
            epoch in 0u64..4,
            packed in any::<bool>(),
        ) {
            prop_assume!(lengths.iter().any(|&length| length > 0));
            let shape = if packed { Shape::Pack { tokens: 50 } } else { Shape::Batch { size: 3 } };
            let usable: Vec<u32> =
                (0..lengths.len() as u32).filter(|&i| lengths[i as usize] > 0).collect();
            let stream = Arc::new(Stream::new(lengths, settings(shape)).expect("valid"));
            let rest = stream.epoch(epoch, 0).expect("begins");
            prop_assert_eq!(rest.steps(world), stream.len(world));
            let mut seen = Vec::new();
            for step in 0..rest.steps(world) {
                for rank in 0..world {
                    seen.extend(rest.batch(step, rank, world));
                }
                prop_assert_eq!(seen.len(), rest.samples_after(step + 1, world));
            }
            prop_assert_eq!(&seen, &rest.groups.samples);
            seen.sort_unstable();
            prop_assert_eq!(seen, usable);
        }
    }
}

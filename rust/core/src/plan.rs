//! The stream of an epoch: a pure function of (fingerprint, seed, epoch, shape).
//!
//! Order: record `i` has the key `splitmix64(k, i)`, the `i`-th output of `SplitMix64` started at
//! `k = fold(fingerprint, seed, epoch)`; records are read by ascending key. Nothing is carried
//! from one epoch to the next, so any position of any epoch can be had without the ones before.
//! Documents become packs, batches in this order, or batches of about one length.
//!
//! The number of packs must not depend on the epoch (frameworks read it once). It is 1.01 x the
//! packs of epoch 0, plus one; an epoch that packs better splits its longest packs, one that packs
//! worse is packed as a whole. Ranks take packs round-robin. Only the last, incomplete round
//! depends on the number of ranks: its documents are dealt over exactly that many packs.

use std::sync::Arc;

use crate::counter::{fold, splitmix64};
use crate::error::{Error, Result};
use crate::packing::{Documents, Groups, WINDOW, best_fit, by_length, look_ahead, split_longest};

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

/// A token costs 13 GFLOP in the matrices of a model of 6.7 billion weights and 0.26 MFLOP for each
/// token that it attends to (4 x 4,096 x 32 layers, half of them by the causal mask).
const TOKEN: u64 = 51_200;
/// A picture costs 0.37 TFLOP in CLIP ViT-L/14 at 336 pixels, beside the tokens that it becomes.
const IMAGE: u64 = 28;

/// Everything the order of the samples depends on.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// packs or plain batches
    pub shape: Shape,
    /// another order per epoch, or the order of the file
    pub shuffle: bool,
    /// leave out what does not fill a batch on every rank
    pub drop_last: bool,
    /// batches of documents of about one length; packs have no use for it
    pub group_by_length: bool,
    /// batches of one optimizer step, all ranks together: they come ordered by what they cost, so that
    /// ranks, which take them in turns, have to do about the same. 1 = as they come
    pub batches_per_step: usize,
    /// number that chooses the orders
    pub seed: u64,
    /// of data, tokenizer, template and image settings
    pub fingerprint: u64,
}

/// All epochs of one data set.
pub struct Stream {
    /// tokens by record number, as given
    pub lengths: Vec<u32>,
    /// pictures by record number, as given
    pub images: Vec<u16>,
    usable: Vec<u32>,
    /// as given
    pub settings: Settings,
    groups: usize,
}

impl Stream {
    /// `lengths`: tokens by record number, 0 = not usable; `images`: pictures.
    ///
    /// # Errors
    /// No usable record, a batch or a step of nothing, or a record longer than a pack.
    pub fn new(lengths: Vec<u32>, images: Vec<u16>, settings: Settings) -> Result<Self> {
        if images.len() != lengths.len() {
            let (lengths, images) = (lengths.len(), images.len());
            return Err(Error::Argument(format!("{lengths} lengths and {images} image counts")));
        }
        if settings.batches_per_step == 0 {
            return Err(Error::Argument("batches_per_step: got 0".into()));
        }
        let number = u32::try_from(lengths.len())
            .map_err(|_| Error::Argument(format!("{} records are too many", lengths.len())))?;
        let usable: Vec<u32> = (0..number).filter(|&i| lengths[i as usize] > 0).collect();
        if usable.is_empty() {
            return Err(Error::Data(format!("none of the {number} records is usable")));
        }
        check_shape(settings.shape, &lengths)?;
        let mut stream = Self { lengths, images, usable, settings, groups: 0 };
        stream.groups = stream.count_groups();
        Ok(stream)
    }

    fn count_groups(&self) -> usize {
        let records = self.usable.len();
        match self.settings.shape {
            Shape::Batch { size } if self.settings.drop_last => records / size,
            Shape::Batch { size } => records.div_ceil(size),
            Shape::Pack { tokens } => {
                let packs = look_ahead(&self.order(0), self.documents(), tokens).len();
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

    fn documents(&self) -> Documents<'_> {
        Documents { lengths: &self.lengths, images: &self.images }
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
        let mut packs = look_ahead(&order, self.documents(), tokens);
        if packs.len() > self.groups {
            packs = self.shuffled(epoch, &best_fit(&order, &self.lengths, tokens));
        }
        if packs.len() > self.groups {
            // Luck made epoch 0 tighter than best-fit-decreasing: its packs, in another order.
            packs = self.shuffled(epoch, &look_ahead(&self.order(0), self.documents(), tokens));
        }
        split_longest(&mut packs, self.documents(), self.groups);
        self.balanced(packs)
    }

    /// Whole-epoch packing sorts by length; the packs are put in random order again.
    fn shuffled(&self, epoch: u64, packs: &Groups) -> Groups {
        packs.reordered(&self.ranking(epoch, 0, packs.len()))
    }

    /// A random order of `count` things; `first`: how many numbers of the epoch others have used.
    fn ranking(&self, epoch: u64, first: usize, count: usize) -> Vec<usize> {
        let (key, first) = (self.key(epoch), (self.lengths.len() + first) as u64);
        let mut ranking: Vec<usize> = (0..count).collect();
        ranking.sort_by_key(|&place| splitmix64(key, first + place as u64));
        ranking
    }

    /// The packs of each step, those that cost most first.
    fn balanced(&self, packs: Groups) -> Groups {
        let each = self.settings.batches_per_step;
        if each == 1 {
            return packs;
        }
        let costs: Vec<u64> = (0..packs.len()).map(|pack| self.cost(packs.get(pack))).collect();
        let mut ranking: Vec<usize> = (0..packs.len()).collect();
        for step in ranking.chunks_mut(each) {
            step.sort_by_key(|&pack| std::cmp::Reverse(costs[pack]));
        }
        packs.reordered(&ranking)
    }

    /// What training on a pack costs, for comparisons: tokens, each worth [`TOKEN`] pairs of tokens
    /// that attend to each other, and pictures, each worth [`IMAGE`] tokens.
    fn cost(&self, pack: &[u32]) -> u64 {
        let document = |&record: &u32| {
            let length = u64::from(self.lengths[record as usize]);
            let images = u64::from(self.images[record as usize]);
            length * length + TOKEN * (length + IMAGE * images)
        };
        pack.iter().map(document).sum()
    }

    fn batches(&self, epoch: u64, size: usize) -> Groups {
        let (each, order) = (self.settings.batches_per_step, self.order(epoch));
        by_length(order, &self.lengths, size, each, |steps, window| {
            self.ranking(epoch, window * WINDOW, steps)
        })
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
            Shape::Batch { size } if self.settings.group_by_length => {
                self.batches(epoch, size).after(done)?
            }
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
        split_longest(&mut round, self.stream.documents(), world);
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
mod tests;

//! The weights of the horizontal pass, arranged for the vectors of a path.
//!
//! A block is a run of output columns, one per 32-bit lane of a vector. For four taps at a time, the
//! lane of a column takes four bytes from its place in a plane of the source: the places of a block
//! lie close together, so that a few loads and shuffles serve all of its lanes.

use super::groups::{GROUP, Group, encoded};
use super::simd::Path;
use super::taps::{HALF, Taps};

/// The index for a lane whose bytes come from another part.
const ELSEWHERE: u8 = 0x80;

/// A load and where its bytes go.
pub(super) struct Part {
    /// first byte in the plane; the second half of an AVX2 vector is loaded by itself
    pub(super) places: [usize; 2],
    /// per byte of the vector: which of the loaded ones, within its half on AVX2
    pub(super) picks: [u8; 64],
}

/// All blocks of a resize.
pub(super) struct Blocks {
    /// columns of a block
    lanes: usize,
    /// groups of four weights per column at most
    groups: usize,
    /// per block: where its parts end
    ends: Vec<usize>,
    parts: Vec<Part>,
    /// per block: where its weights end; a block that reads nothing but padding has none
    weight_ends: Vec<usize>,
    /// block, group, word of the group, lane
    weights: Vec<i32>,
    /// block, channel, lane: what the sums start with
    start: Vec<i32>,
}

/// One of the blocks.
pub(super) struct Block<'a> {
    pub(super) parts: &'a [Part],
    /// four vectors per group
    pub(super) weights: &'a [i32],
    /// three vectors
    pub(super) start: &'a [i32],
}

impl Blocks {
    /// Of these taps and this colour of the padding.
    pub(super) fn new(taps: &Taps, colour: [u8; 3], path: Path) -> Self {
        // How many lanes are filled from one load, and how many bytes it has.
        let (lanes, filled, loaded) = match path {
            Path::Scalar => (1, 1, 4),
            Path::Avx2 => (8, 4, 16),
            Path::Avx512 => (16, 16, 64),
        };
        let count = taps.len().div_ceil(lanes);
        let mut blocks = Self {
            lanes,
            groups: 1,
            ends: Vec::with_capacity(count),
            parts: Vec::with_capacity(count),
            weight_ends: Vec::with_capacity(count),
            weights: Vec::new(),
            start: vec![0; count * 3 * lanes],
        };
        blocks.add_parts(taps, filled, loaded);
        blocks.add_weights(taps, path);
        blocks.add_start(taps, colour);
        blocks
    }

    fn add_parts(&mut self, taps: &Taps, filled: usize, loaded: usize) {
        let mut firsts = Vec::with_capacity(taps.len());
        // A column that reads nothing but padding may stand anywhere near the others.
        taps.iter().fold(0, |last, tap| {
            firsts.push(if tap.weights.is_empty() { last } else { tap.first });
            firsts[firsts.len() - 1]
        });
        for block in firsts.chunks(self.lanes) {
            let from = self.parts.len();
            for (half, firsts) in block.chunks(filled).enumerate() {
                self.add_half(from, half, filled, loaded, firsts);
            }
            self.ends.push(self.parts.len());
        }
    }

    /// Adds the columns of one half to the parts from `from` on; further ones as they are needed.
    fn add_half(
        &mut self,
        from: usize,
        half: usize,
        filled: usize,
        loaded: usize,
        firsts: &[usize],
    ) {
        let mut at = from;
        let mut place = firsts[0];
        for (lane, first) in firsts.iter().enumerate() {
            if first + GROUP > place + loaded {
                (at, place) = (at + 1, *first);
            }
            if at == self.parts.len() {
                self.parts.push(Part { places: [place; 2], picks: [ELSEWHERE; 64] });
            }
            let part = &mut self.parts[at];
            part.places[half] = place;
            let picks = &mut part.picks[GROUP * (half * filled + lane)..][..GROUP];
            (0..).zip(picks).for_each(|(i, pick)| *pick = (first - place) as u8 + i);
        }
    }

    fn add_weights(&mut self, taps: &Taps, path: Path) {
        let vectors = GROUP * self.lanes;
        let columns: Vec<_> = taps.iter().map(|tap| tap.weights).collect();
        for block in columns.chunks(self.lanes) {
            let groups = block.iter().map(|weights| weights.len().div_ceil(GROUP)).max();
            let groups = groups.unwrap_or(0);
            let from = self.weights.len();
            self.groups = self.groups.max(groups);
            self.weights.resize(from + groups * vectors, 0);
            for (lane, weights) in block.iter().enumerate() {
                let words = self.weights[from..].chunks_exact_mut(vectors);
                for (weights, words) in weights.chunks(GROUP).zip(words) {
                    let mut group: Group = [0; GROUP];
                    group[..weights.len()].copy_from_slice(weights);
                    for (word, value) in encoded(path, group).into_iter().enumerate() {
                        words[word * self.lanes + lane] = value;
                    }
                }
            }
            self.weight_ends.push(self.weights.len());
        }
    }

    fn add_start(&mut self, taps: &Taps, colour: [u8; 3]) {
        for (x, tap) in taps.iter().enumerate() {
            let (block, lane) = (x / self.lanes, x % self.lanes);
            for (channel, value) in colour.into_iter().enumerate() {
                self.start[(3 * block + channel) * self.lanes + lane] =
                    HALF.wrapping_add(i32::from(value).wrapping_mul(tap.padding));
            }
        }
    }

    /// All, from left to right.
    pub(super) fn iter(&self) -> impl Iterator<Item = Block<'_>> {
        let parts = cut(&self.parts, &self.ends);
        let weights = cut(&self.weights, &self.weight_ends);
        let start = self.start.chunks_exact(3 * self.lanes);
        parts.zip(weights).zip(start).map(|((parts, weights), start)| Block {
            parts,
            weights,
            start,
        })
    }

    /// Columns of all blocks together.
    pub(super) fn columns(&self) -> usize {
        self.ends.len() * self.lanes
    }

    /// Bytes behind a place that loads touch: the last group of four starts there, and a vector is
    /// at most 64 long.
    pub(super) fn slack(&self) -> usize {
        GROUP * (self.groups - 1) + 64
    }

    /// Whether planes of so many bytes have room for all loads.
    pub(super) fn fit(&self, plane_len: usize) -> bool {
        let places = self.parts.iter().flat_map(|part| part.places);
        places.max().unwrap_or(0) + self.slack() <= plane_len
    }
}

/// The pieces of `all` that end where `ends` says.
fn cut<'a, T>(all: &'a [T], ends: &'a [usize]) -> impl Iterator<Item = &'a [T]> {
    let mut from = 0;
    ends.iter().map(move |&end| &all[std::mem::replace(&mut from, end)..end])
}

#[cfg(test)]
mod tests {
    use super::{Blocks, Taps};
    use crate::image::geometry::Plan;
    use crate::image::simd::Path;

    /// The square round a picture of 4 x 4000 pixels: the four pixels are in the middle of a row.
    #[test]
    fn columns_of_padding_have_no_weights() {
        let plan = Plan::pad(4, 4000, 64, [0; 3]);
        for path in Path::ALL.into_iter().filter(|path| path.available()) {
            let blocks = Blocks::new(&Taps::new(&plan.x, path), [0; 3], path);
            let empty: Vec<_> = blocks.iter().map(|block| block.weights.is_empty()).collect();
            let quarter = empty.len() / 4;
            assert!(empty[..quarter].iter().chain(&empty[3 * quarter..]).all(|empty| *empty));
            assert!(empty[quarter..3 * quarter].contains(&false), "{path:?}");
        }
    }
}

//! Weights in groups of four, in the form that the code of a path multiplies.

use super::simd::Path;
use super::taps::Taps;

/// Four weights.
pub(super) type Group = [i32; 4];

/// The weights of an axis. Every output position has the same number of groups; those that it does
/// not need are zero.
pub(super) struct Groups {
    /// groups per output position
    pub(super) count: usize,
    /// the source position of each output position's first weight
    pub(super) first: Vec<usize>,
    /// `count` groups per output position
    pub(super) weights: Vec<Group>,
}

impl Groups {
    /// Each position starts with its first weight, or at a multiple of `step` from `start` on.
    pub(super) fn new(taps: &Taps, path: Path, start: usize, step: usize) -> Self {
        let skipped = |first: usize| first.saturating_sub(start) % step;
        let groups = taps.iter().map(|tap| (skipped(tap.first) + tap.weights.len()).div_ceil(4));
        let count = groups.max().unwrap_or(0).max(1);
        let (mut first, mut weights) = (Vec::new(), Vec::new());
        let mut line = vec![0; 4 * count];
        for tap in taps.iter() {
            let skipped = skipped(tap.first);
            line.fill(0);
            line[skipped..skipped + tap.weights.len()].copy_from_slice(tap.weights);
            first.push(tap.first - skipped);
            weights.extend(line.as_chunks().0.iter().map(|group| encoded(path, *group)));
        }
        Self { count, first, weights }
    }

    /// The groups of one output position.
    pub(super) fn of(&self, position: usize) -> &[Group] {
        &self.weights[position * self.count..][..self.count]
    }
}

/// Weights have 22 fractional bits and a sign, and vector instructions multiply at most 16 bits. So
/// a weight is split into signed digits, whose products are exact in 32 bits: the sums of each digit
/// are put together by shifts, and only that sum is rounded, as in plain code.
fn encoded(path: Path, weights: Group) -> Group {
    match path {
        Path::Scalar => weights,
        Path::Avx2 => {
            // Two digits of 12 bits: pairs of low ones, then pairs of high ones, for `pmaddwd`.
            let low = weights.map(|weight| (weight << 20) >> 20);
            let high = [0, 1, 2, 3].map(|i| (weights[i] - low[i]) >> 12);
            let pair = |a: i32, b: i32| b << 16 | (a & 0xFFFF);
            [
                pair(low[0], low[1]),
                pair(low[2], low[3]),
                pair(high[0], high[1]),
                pair(high[2], high[3]),
            ]
        }
        Path::Avx512 => {
            // Three digits of 8 bits, each for four weights in one word, for `vpdpbusd`.
            let mut rest = weights;
            let mut digit = || {
                let digits = rest.map(|value| value as i8);
                rest = [0, 1, 2, 3].map(|i| (rest[i] - i32::from(digits[i])) >> 8);
                i32::from_le_bytes(digits.map(|digit| digit as u8))
            };
            [digit(), digit(), digit(), 0]
        }
    }
}

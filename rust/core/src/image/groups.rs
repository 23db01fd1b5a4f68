//! Weights in groups of four, in the form that the code of a path multiplies.

use super::simd::Path;
use super::taps::Taps;

/// Weights of a group.
pub(super) const GROUP: usize = 4;

/// Four weights, or the words of their digits.
pub(super) type Group = [i32; GROUP];

/// The weights of the vertical pass.
pub(super) struct Groups {
    /// groups that one output row needs at most
    pub(super) most: usize,
    /// per output row: its first quad of source rows, where its groups end, and the weight of the
    /// padding as a group of its own
    rows: Vec<(usize, usize, Option<Group>)>,
    weights: Vec<Group>,
}

impl Groups {
    /// Quads are counted from source row `start` on.
    pub(super) fn new(taps: &Taps, start: usize, path: Path) -> Self {
        let mut groups =
            Self { most: 0, rows: Vec::with_capacity(taps.len()), weights: Vec::new() };
        let mut line = Vec::new();
        for tap in taps.iter() {
            let first = tap.first.saturating_sub(start);
            line.clear();
            if !tap.weights.is_empty() {
                line.resize(first % GROUP, 0);
                line.extend_from_slice(tap.weights);
                line.resize(line.len().next_multiple_of(GROUP), 0);
            }
            let quads = line.as_chunks().0;
            groups.most = groups.most.max(quads.len());
            groups.weights.extend(quads.iter().map(|group| encoded(path, *group)));
            let padding = (tap.padding != 0).then(|| encoded(path, [tap.padding, 0, 0, 0]));
            groups.rows.push((first / GROUP, groups.weights.len(), padding));
        }
        groups
    }

    /// Per output row: the first quad, the groups from there on, and that of the padding.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &[Group], Option<Group>)> {
        let mut from = 0;
        self.rows.iter().map(move |&(first, end, padding)| {
            (first, &self.weights[std::mem::replace(&mut from, end)..end], padding)
        })
    }
}

/// Weights have 22 fractional bits and a sign, and vector instructions multiply at most 16 bits. So
/// a weight is split into signed digits, whose products are exact in 32 bits: the sums of each digit
/// are put together by shifts, and only that sum is rounded, as in plain code. Sums of digits may
/// wrap; the sum of the products does not, and wrapping keeps it.
#[inline(always)]
pub(super) fn encoded(path: Path, weights: Group) -> Group {
    match path {
        Path::Scalar => weights,
        Path::Avx2 => {
            // Two digits of 12 bits as pairs for `pmaddwd`: low ones, then high ones.
            let [a, b, c, d] = weights;
            let low = |weight: i32| (weight << 20) >> 20;
            let high = |weight: i32| weight.wrapping_sub(low(weight)) >> 12;
            let pair = |a: i32, b: i32| b << 16 | (a & 0xFFFF);
            [
                pair(low(a), low(c)),
                pair(low(b), low(d)),
                pair(high(a), high(c)),
                pair(high(b), high(d)),
            ]
        }
        Path::Avx512 => {
            // Three digits of 8 bits, each for four weights in one word, for `vpdpbusd`.
            let [a, b, c, d] = weights;
            let low = |weight: i32| weight as i8;
            let rest = |weight: i32| weight.wrapping_sub(i32::from(low(weight))) >> 8;
            let word = |a: i8, b: i8, c: i8, d: i8| {
                i32::from_le_bytes([a as u8, b as u8, c as u8, d as u8])
            };
            let lowest = word(low(a), low(b), low(c), low(d));
            let (a, b, c, d) = (rest(a), rest(b), rest(c), rest(d));
            let middle = word(low(a), low(b), low(c), low(d));
            let (a, b, c, d) = (rest(a), rest(b), rest(c), rest(d));
            [lowest, middle, word(low(a), low(b), low(c), low(d)), 0]
        }
    }
}

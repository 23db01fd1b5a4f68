//! Pillow's bicubic weights: which source pixels make an output pixel, and how much of each.

use std::ops::Range;

use super::geometry::Axis;
use super::simd::{self, Instructions, Path, Work};

/// Fractional bits of a weight, and of the sums built from them.
pub(super) const BITS: u32 = 22;

/// The value that makes a sum round to nearest.
pub(super) const HALF: i32 = 1 << (BITS - 1);

/// From a sum to a pixel.
#[inline(always)]
pub(super) fn to_pixel(sum: i32) -> u8 {
    (sum >> BITS).clamp(0, 255) as u8
}

/// One output position along an axis.
#[derive(Clone, Copy)]
pub(super) struct Tap<'a> {
    /// first source pixel
    pub(super) first: usize,
    /// one weight per source pixel from there on
    pub(super) weights: &'a [i32],
    /// what falls on the padding round the source
    pub(super) padding: i32,
}

impl Tap<'_> {
    /// Source pixels that are read.
    pub(super) fn range(&self) -> Range<usize> {
        self.first..self.first + self.weights.len()
    }
}

/// The taps of all output positions of an axis.
pub(super) struct Taps {
    weights: Vec<i32>,
    /// per position: first source pixel, where its weights start and end, weight of the padding
    positions: Vec<(usize, usize, usize, i32)>,
}

impl Taps {
    /// Equal to `Resample.c` of Pillow 13, operation by operation, in doubles: Keys' cubic with
    /// a = -0.5, widened when shrinking, divided by its sum, rounded half away from zero.
    pub(super) fn new(axis: &Axis, path: Path) -> Self {
        simd::run(path, Weigh(axis))
    }

    /// Positions.
    pub(super) fn len(&self) -> usize {
        self.positions.len()
    }

    /// Separates the weights that fall on the source from those that fall on the padding round it.
    #[inline(always)]
    fn add(&mut self, first: usize, weights: &[i32], axis: &Axis) {
        let source = axis.before..axis.before + axis.source;
        let place = |x: usize| x.clamp(first, first + weights.len()) - first;
        let inside = place(source.start)..place(source.end);
        let sum = |part: &[i32]| part.iter().sum::<i32>();
        let padding = sum(&weights[..inside.start]) + sum(&weights[inside.end..]);
        let from = (first + inside.start).clamp(source.start, source.end) - source.start;
        let start = self.weights.len();
        self.weights.extend_from_slice(&weights[inside]);
        self.positions.push((from, start, self.weights.len(), padding));
    }

    /// All positions of the window.
    pub(super) fn iter(&self) -> impl Iterator<Item = Tap<'_>> {
        self.positions.iter().map(|&(first, start, end, padding)| Tap {
            first,
            weights: &self.weights[start..end],
            padding,
        })
    }

    /// Source pixels that any of the positions reads.
    pub(super) fn span(&self) -> Range<usize> {
        let read = || self.iter().filter(|tap| !tap.weights.is_empty()).map(|tap| tap.range());
        let start = read().map(|range| range.start).min().unwrap_or(0);
        start..read().map(|range| range.end).max().unwrap_or(start)
    }
}

/// All positions of an axis.
struct Weigh<'a>(&'a Axis);

impl Work for Weigh<'_> {
    type Output = Taps;

    #[inline(always)]
    fn run<I: Instructions>(self) -> Taps {
        let axis = self.0;
        let scale = axis.full as f64 / axis.scaled as f64;
        let widen = scale.max(1.0);
        let support = 2.0 * widen;
        let inverse = 1.0 / widen;
        let most = 2 * support.ceil() as usize + 1;
        let mut taps = Taps {
            weights: Vec::with_capacity(most * axis.window.len()),
            positions: Vec::with_capacity(axis.window.len()),
        };
        let (mut doubles, mut fixed) = (vec![0.0; most], vec![0; most]);
        for position in axis.window.clone() {
            let centre = (position as f64 + 0.5) * scale;
            let first = ((centre - support + 0.5) as i64).max(0) as usize;
            let end = ((centre + support + 0.5) as usize).min(axis.full);
            let doubles = &mut doubles[..end - first];
            for (x, weight) in (first as i32..).zip(doubles.iter_mut()) {
                *weight = bicubic((f64::from(x) - centre + 0.5) * inverse);
            }
            let sum: f64 = doubles.iter().sum();
            let fixed = &mut fixed[..end - first];
            for (fixed, weight) in fixed.iter_mut().zip(doubles) {
                *fixed = to_fixed(*weight / sum);
            }
            taps.add(first, fixed, axis);
        }
        taps
    }
}

/// Without branches, so that it can be computed for several at once.
#[inline(always)]
fn bicubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    let near = ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    let far = (((x - 5.0) * x + 8.0) * x - 4.0) * A;
    let far = if x < 2.0 { far } else { 0.0 };
    if x < 1.0 { near } else { far }
}

#[inline(always)]
fn to_fixed(weight: f64) -> i32 {
    let scaled = weight * f64::from(1 << BITS);
    (if scaled < 0.0 { scaled - 0.5 } else { scaled + 0.5 }) as i32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Taps;
    use crate::image::geometry::Axis;
    use crate::image::simd::Path;

    proptest! {
        #[test]
        fn weights_sum_to_one_and_padding_only_moves_them(
            source in 1_usize..3000,
            extra in 0_usize..500,
            scaled in 1_usize..700,
        ) {
            let full = source + extra;
            let before = extra / 2;
            let axis = |source, before| Axis { source, before, full, scaled, window: 0..scaled };
            let plain = Taps::new(&axis(full, 0), Path::Scalar);
            for (padded, plain) in Taps::new(&axis(source, before), Path::Scalar).iter().zip(plain.iter()) {
                let total: i32 = padded.weights.iter().sum::<i32>() + padded.padding;
                prop_assert_eq!(total, plain.weights.iter().sum::<i32>());
                prop_assert!((total - (1 << 22)).abs() <= plain.weights.len() as i32);
                prop_assert!(padded.range().end <= source);
                // What `groups.rs` splits into digits.
                prop_assert!(padded.weights.iter().all(|weight| weight.abs() < 127 << 16));
                prop_assert!(padded.padding.abs() < 127 << 16);
            }
        }
    }
}

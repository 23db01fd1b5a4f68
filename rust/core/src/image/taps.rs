//! Pillow's bicubic weights: which source pixels make an output pixel, and how much of each.

use std::ops::Range;

use super::geometry::Axis;

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
    pub(super) fn new(axis: &Axis) -> Self {
        let scale = axis.full as f64 / axis.scaled as f64;
        let widen = scale.max(1.0);
        let support = 2.0 * widen;
        let inverse = 1.0 / widen;
        let positions = Vec::with_capacity(axis.window.len());
        let mut taps = Self { weights: Vec::new(), positions };
        let mut doubles = Vec::new();
        for position in axis.window.clone() {
            let centre = (position as f64 + 0.5) * scale;
            let first = ((centre - support + 0.5) as i64).max(0) as usize;
            let end = ((centre + support + 0.5) as usize).min(axis.full);
            let weight = |x: usize| bicubic((x as f64 - centre + 0.5) * inverse);
            doubles.clear();
            doubles.extend((first..end).map(weight));
            let sum: f64 = doubles.iter().sum();
            taps.add(first, doubles.iter().map(|weight| to_fixed(weight / sum)), axis);
        }
        taps
    }

    /// Separates the weights that fall on the source from those that fall on the padding round it.
    fn add(&mut self, first: usize, weights: impl Iterator<Item = i32>, axis: &Axis) {
        let source = axis.before..axis.before + axis.source;
        let (start, mut padding, mut from) = (self.weights.len(), 0, None);
        for (x, weight) in (first..).zip(weights) {
            if source.contains(&x) {
                from.get_or_insert(x - source.start);
                self.weights.push(weight);
            } else {
                padding += weight;
            }
        }
        self.positions.push((from.unwrap_or(0), start, self.weights.len(), padding));
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

fn bicubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

fn to_fixed(weight: f64) -> i32 {
    let scaled = weight * f64::from(1 << BITS);
    (if scaled < 0.0 { scaled - 0.5 } else { scaled + 0.5 }) as i32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Taps;
    use crate::image::geometry::Axis;

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
            let plain = Taps::new(&axis(full, 0));
            for (padded, plain) in Taps::new(&axis(source, before)).iter().zip(plain.iter()) {
                let total: i32 = padded.weights.iter().sum::<i32>() + padded.padding;
                prop_assert_eq!(total, plain.weights.iter().sum::<i32>());
                prop_assert!((total - (1 << 22)).abs() <= plain.weights.len() as i32);
                prop_assert!(padded.range().end <= source);
                // What `groups.rs` splits into digits.
                prop_assert!(padded.weights.iter().all(|weight| weight.abs() < 127 << 16));
            }
        }
    }
}

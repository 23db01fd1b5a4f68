//! Pillow's bicubic weights: which source pixels make an output pixel, and how much of each.

use std::ops::Range;

use super::geometry::Axis;

/// Fractional bits of a weight, and of the sums built from them.
const BITS: u32 = 22;

/// The value that makes a sum round to nearest.
pub(super) const HALF: i32 = 1 << (BITS - 1);

/// One output position along an axis.
pub(super) struct Tap {
    /// first source pixel
    pub(super) first: usize,
    /// one weight per source pixel from there on
    pub(super) weights: Vec<i32>,
    /// what falls on the padding round the source
    pub(super) padding: i32,
}

impl Tap {
    /// Source pixels that are read.
    pub(super) fn range(&self) -> Range<usize> {
        self.first..self.first + self.weights.len()
    }
}

/// From a sum to a pixel.
#[inline]
pub(super) fn to_pixel(sum: i32) -> u8 {
    (sum >> BITS).clamp(0, 255) as u8
}

/// The taps of all output positions of an axis.
///
/// Equal to `Resample.c` of Pillow 13, operation by operation, in doubles: Keys' cubic with a = -0.5,
/// widened when shrinking, divided by its sum, rounded half away from zero.
pub(super) fn taps(axis: &Axis) -> Vec<Tap> {
    let scale = axis.full as f64 / axis.scaled as f64;
    let widen = scale.max(1.0);
    let support = 2.0 * widen;
    let inverse = 1.0 / widen;
    let tap = |position: usize| {
        let centre = (position as f64 + 0.5) * scale;
        let first = ((centre - support + 0.5) as i64).max(0) as usize;
        let end = ((centre + support + 0.5) as usize).min(axis.full);
        let weight = |x: usize| bicubic((x as f64 - centre + 0.5) * inverse);
        let doubles: Vec<f64> = (first..end).map(weight).collect();
        let sum: f64 = doubles.iter().sum();
        cut(first, &doubles.iter().map(|w| to_fixed(w / sum)).collect::<Vec<_>>(), axis)
    };
    axis.window.clone().map(tap).collect()
}

/// Separates the weights that fall on the source from those that fall on the padding round it.
fn cut(first: usize, weights: &[i32], axis: &Axis) -> Tap {
    let source = axis.before..axis.before + axis.source;
    let end = first + weights.len();
    let (from, to) = (first.clamp(source.start, source.end), end.clamp(source.start, source.end));
    let inside = if from < to { &weights[from - first..to - first] } else { &[][..] };
    let sum = |part: &[i32]| part.iter().sum::<i32>();
    Tap {
        first: from - source.start,
        weights: inside.to_vec(),
        padding: sum(weights) - sum(inside),
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

    use super::taps;
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
            for (padded, plain) in taps(&axis(source, before)).iter().zip(taps(&axis(full, 0))) {
                let total: i32 = padded.weights.iter().sum::<i32>() + padded.padding;
                prop_assert_eq!(total, plain.weights.iter().sum::<i32>());
                prop_assert!((total - (1 << 22)).abs() <= plain.weights.len() as i32);
                prop_assert!(padded.range().end <= source);
            }
        }
    }
}

//! The passes of the resize with `pmaddwd`: two products of a pixel and a digit of a weight in one
//! lane, added up exactly.
#![allow(
    unsafe_code,
    reason = "reads and writes of windows that were checked once for all of them"
)]
#![allow(clippy::wildcard_imports, reason = "the names of instructions are their own prefix")]

use std::arch::x86_64::*;

use super::resize::{Across, Down};
use crate::image::groups::Group;
use crate::image::taps::BITS;

/// Sums of the low and the high digit.
type Sums = [__m256i; 2];

/// Adds the products of two pairs of 16-bit values per lane and a group of weights.
#[inline]
#[target_feature(enable = "avx2")]
fn add(sums: Sums, pairs: [__m256i; 2], weights: &Group) -> Sums {
    let [low, high] = sums;
    [
        dot(low, pairs, _mm256_set1_epi32(weights[0]), _mm256_set1_epi32(weights[1])),
        dot(high, pairs, _mm256_set1_epi32(weights[2]), _mm256_set1_epi32(weights[3])),
    ]
}

// No closures here: what the standard library calls is not compiled for these instructions.

#[inline]
#[target_feature(enable = "avx2")]
fn dot(sum: __m256i, pairs: [__m256i; 2], first: __m256i, second: __m256i) -> __m256i {
    let sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs[0], first));
    _mm256_add_epi32(sum, _mm256_madd_epi16(pairs[1], second))
}

/// Eight pixels from the sums of their digits, not yet cut to 0..255.
#[inline]
#[target_feature(enable = "avx2")]
fn rounded(sums: Sums) -> __m256i {
    let sum = _mm256_add_epi32(sums[0], _mm256_slli_epi32::<12>(sums[1]));
    _mm256_srai_epi32::<{ BITS as i32 }>(sum)
}

/// See [`super::resize::across`].
#[target_feature(enable = "avx2")]
pub(super) fn across(work: &Across<'_>, out: &mut [u8]) {
    assert!(work.fits(out));
    // Of two pixels: their reds, greens and blues as 16-bit pairs; the same for the next two.
    let one = _mm_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1);
    let two = _mm_setr_epi8(6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1);
    let (one, two) = (_mm256_broadcastsi128_si256(one), _mm256_broadcastsi128_si256(two));
    let plane_len = 4 * work.columns;
    let weights = work.weights.chunks_exact(work.count);
    let columns = work.first.iter().zip(weights).zip(work.start);
    for (x, ((first, weights), start)) in columns.enumerate() {
        let start =
            [_mm256_broadcastsi128_si256(load(start.as_ptr().cast())), _mm256_setzero_si256()];
        let mut sums = [start; 2];
        for (group, weights) in weights.iter().enumerate() {
            for (half, sums) in sums.iter_mut().enumerate() {
                let place = 3 * first + 12 * group + 2 * half * work.row_len;
                // SAFETY: `fits` has checked that each row goes on for all groups of its last column.
                let values = unsafe { two_rows(work.rows.as_ptr().add(place), work.row_len) };
                let pairs = [_mm256_shuffle_epi8(values, one), _mm256_shuffle_epi8(values, two)];
                *sums = add(*sums, pairs, weights);
            }
        }
        let quads = by_plane(rounded(sums[0]), rounded(sums[1]));
        let [r, g, b] = [
            _mm_extract_epi32::<0>(quads),
            _mm_extract_epi32::<1>(quads),
            _mm_extract_epi32::<2>(quads),
        ];
        for (plane, value) in [r, g, b].into_iter().enumerate() {
            // SAFETY: `fits` has checked that the planes have more columns than there are.
            let place = unsafe { out.as_mut_ptr().add(plane * plane_len + 4 * x) };
            unsafe { place.cast::<i32>().write_unaligned(value) };
        }
    }
}

/// 16 bytes at the same place of each of two rows.
///
/// # Safety
/// They are readable.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn two_rows(place: *const u8, row_len: usize) -> __m256i {
    _mm256_set_m128i(load(place.wrapping_add(row_len)), load(place))
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(place: *const u8) -> __m128i {
    // SAFETY: see the callers.
    unsafe { _mm_loadu_si128(place.cast()) }
}

/// Four reds, greens and blues as bytes, from red, green, blue and nothing of rows 0 and 1 and of
/// rows 2 and 3.
#[inline]
#[target_feature(enable = "avx2")]
fn by_plane(upper: __m256i, lower: __m256i) -> __m128i {
    let words = _mm256_packs_epi32(upper, lower);
    let bytes = _mm256_packus_epi16(words, words);
    let (even, odd) = (_mm256_castsi256_si128(bytes), _mm256_extracti128_si256::<1>(bytes));
    let rows = _mm_unpacklo_epi8(even, odd);
    _mm_shuffle_epi8(rows, _mm_setr_epi8(0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, -1, -1, -1, -1))
}

/// See [`super::resize::down`].
#[target_feature(enable = "avx2")]
pub(super) fn down(work: &Down<'_>, out: &mut [u8]) {
    assert!(work.fits(out));
    let spreads = [load_place(&SPREAD[0]), load_place(&SPREAD[1])];
    let steps = work.start.as_chunks::<16>().0.iter().zip(out.as_chunks_mut::<16>().0);
    for (step, (start, out)) in steps.enumerate() {
        let left = rounded(columns(work, start, step, 0, spreads));
        let right = rounded(columns(work, start, step, 1, spreads));
        let words = _mm256_permute4x64_epi64::<0xD8>(_mm256_packs_epi32(left, right));
        let bytes = _mm256_packus_epi16(words, words);
        let bytes = _mm256_permute4x64_epi64::<0xD8>(bytes);
        super::lanes::store_16(out, _mm256_castsi256_si128(bytes));
    }
}

/// Of four rows of a column: the first two as 16-bit values, and the other two.
const SPREAD: [[i8; 16]; 2] = [
    [0, -1, 1, -1, 4, -1, 5, -1, 8, -1, 9, -1, 12, -1, 13, -1],
    [2, -1, 3, -1, 6, -1, 7, -1, 10, -1, 11, -1, 14, -1, 15, -1],
];

#[inline]
#[target_feature(enable = "avx2")]
fn load_place(places: &[i8; 16]) -> __m256i {
    _mm256_broadcastsi128_si256(load(places.as_ptr().cast()))
}

/// The sums of one half of the columns of a step.
#[inline]
#[target_feature(enable = "avx2")]
fn columns(
    work: &Down<'_>,
    start: &[i32; 16],
    step: usize,
    half: usize,
    spreads: [__m256i; 2],
) -> Sums {
    // SAFETY: 16 numbers are there.
    let start = unsafe { _mm256_loadu_si256(start.as_ptr().add(8 * half).cast()) };
    let mut sums = [start, _mm256_setzero_si256()];
    for (place, weights) in work.places.iter().zip(work.weights) {
        let at = place + 64 * step + 32 * half;
        // SAFETY: `fits` has checked that all planes of the quad are there.
        let values = unsafe { _mm256_loadu_si256(work.quads.as_ptr().add(at).cast()) };
        let pairs =
            [_mm256_shuffle_epi8(values, spreads[0]), _mm256_shuffle_epi8(values, spreads[1])];
        sums = add(sums, pairs, weights);
    }
    sums
}

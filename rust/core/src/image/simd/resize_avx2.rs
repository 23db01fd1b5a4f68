//! The passes of the resize with `pmaddwd`: two products of a pixel and a digit of a weight in one
//! lane, added up exactly.
#![allow(
    unsafe_code,
    reason = "reads and writes of windows that were checked once for all of them"
)]
#![allow(clippy::wildcard_imports, reason = "the names of instructions are their own prefix")]

use std::arch::x86_64::*;

use super::lanes::{store_16, store_32};
use super::resize::{Across, Down, STEP};
use crate::image::blocks::{Block, Part};
use crate::image::taps::{BITS, HALF};

/// Sums of the low and the high digit.
type Sums = [__m256i; 2];

/// Adds the products of four bytes per lane and their weights: low digits of the first and the third
/// and of the second and the fourth, then high ones.
#[inline]
#[target_feature(enable = "avx2")]
fn add(sums: Sums, values: __m256i, weights: [__m256i; 4]) -> Sums {
    let even = _mm256_and_si256(values, _mm256_set1_epi16(0xFF));
    let odd = _mm256_srli_epi16::<8>(values);
    let low =
        _mm256_add_epi32(_mm256_madd_epi16(even, weights[0]), _mm256_madd_epi16(odd, weights[1]));
    let high =
        _mm256_add_epi32(_mm256_madd_epi16(even, weights[2]), _mm256_madd_epi16(odd, weights[3]));
    [_mm256_add_epi32(sums[0], low), _mm256_add_epi32(sums[1], high)]
}

/// Eight pixels, not yet cut to 0..255.
#[inline]
#[target_feature(enable = "avx2")]
fn rounded(sums: Sums) -> __m256i {
    let sum = _mm256_add_epi32(sums[0], _mm256_slli_epi32::<12>(sums[1]));
    _mm256_srai_epi32::<{ BITS as i32 }>(sum)
}

/// One column per lane, one row per byte.
#[inline]
#[target_feature(enable = "avx2")]
fn quads(rows: [Sums; 4]) -> __m256i {
    let upper = _mm256_packs_epi32(rounded(rows[0]), rounded(rows[1]));
    let lower = _mm256_packs_epi32(rounded(rows[2]), rounded(rows[3]));
    // Within each 128 bits: four columns of the first row, of the second and so on.
    let by_row = _mm256_packus_epi16(upper, lower);
    let by_column = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    _mm256_shuffle_epi8(by_row, _mm256_broadcastsi128_si256(by_column))
}

/// 32 bytes.
///
/// # Safety
/// They are readable.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn load<T>(place: *const T) -> __m256i {
    // SAFETY: the caller's.
    unsafe { _mm256_loadu_si256(place.cast()) }
}

/// 16 bytes from each of two places.
///
/// # Safety
/// They are readable.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn halves(plane: *const u8, places: [usize; 2]) -> __m256i {
    // SAFETY: the caller's.
    unsafe {
        let [low, high] = [plane.add(places[0]).cast(), plane.add(places[1]).cast()];
        _mm256_set_m128i(_mm_loadu_si128(high), _mm_loadu_si128(low))
    }
}

/// Four bytes per lane, from where the parts say.
///
/// # Safety
/// All parts are readable from `plane` on.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn picked(plane: *const u8, parts: &[Part], picks: __m256i, first: [usize; 2]) -> __m256i {
    // SAFETY: the caller's.
    let mut values = _mm256_shuffle_epi8(unsafe { halves(plane, first) }, picks);
    for part in parts {
        let picks = unsafe { load(part.picks.as_ptr()) };
        let bytes = _mm256_shuffle_epi8(unsafe { halves(plane, part.places) }, picks);
        values = _mm256_or_si256(values, bytes);
    }
    values
}

/// See [`super::resize::across`].
///
/// # Safety
/// `work` fits `out`.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn across(work: &Across<'_>, out: &mut [u8]) {
    for (channel, plane) in out.chunks_exact_mut(4 * work.columns).enumerate() {
        let rows = work.planes(channel);
        for (block, out) in work.blocks.iter().zip(plane.as_chunks_mut().0) {
            // SAFETY: blocks have whole vectors, and whether planes have room for them was checked.
            let start = unsafe { load(block.start.as_ptr().cast::<[i32; 8]>().add(channel)) };
            let mut sums = [[start, _mm256_setzero_si256()]; 4];
            // Two rows at a time: there are not enough registers for the sums of four.
            for (rows, sums) in rows.chunks_exact(2).zip(sums.chunks_exact_mut(2)) {
                unsafe { two_rows(&block, [rows[0], rows[1]], sums) };
            }
            store_32(out, quads(sums));
        }
    }
}

/// Adds a block of two rows.
///
/// # Safety
/// All parts are readable from the rows on.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn two_rows(block: &Block<'_>, rows: [*const [u8; 4]; 2], sums: &mut [Sums]) {
    let [Part { places: first, picks }, parts @ ..] = block.parts else { return };
    let [mut upper, mut lower] = [sums[0], sums[1]];
    // SAFETY: the caller's, and blocks have whole vectors.
    unsafe {
        let picks = load(picks.as_ptr());
        for (group, weights) in block.weights.as_chunks::<32>().0.iter().enumerate() {
            let weights = weights.as_ptr();
            let weights =
                [load(weights), load(weights.add(8)), load(weights.add(16)), load(weights.add(24))];
            let [above, below] = [rows[0].add(group).cast(), rows[1].add(group).cast()];
            upper = add(upper, picked(above, parts, picks, *first), weights);
            lower = add(lower, picked(below, parts, picks, *first), weights);
        }
    }
    (sums[0], sums[1]) = (upper, lower);
}

/// See [`super::resize::down`].
///
/// # Safety
/// `work` fits `out`.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn down(work: &Down<'_>, out: &mut [u8]) {
    for (step, out) in out.as_chunks_mut::<STEP>().0.iter_mut().enumerate() {
        let mut sums = [[_mm256_set1_epi32(HALF), _mm256_setzero_si256()]; 2];
        for (place, weights) in work.layers {
            let weights = [
                _mm256_set1_epi32(weights[0]),
                _mm256_set1_epi32(weights[1]),
                _mm256_set1_epi32(weights[2]),
                _mm256_set1_epi32(weights[3]),
            ];
            let quads = work.quads.as_ptr().wrapping_add(*place).cast::<[u8; 64]>();
            let quads = quads.wrapping_add(step).cast::<[u8; 32]>();
            // SAFETY: that all planes of the quads are there was checked.
            let [left, right] = unsafe { [load(quads), load(quads.add(1))] };
            sums = [add(sums[0], left, weights), add(sums[1], right, weights)];
        }
        store_16(out, bytes(sums));
    }
}

/// 16 pixels.
#[inline]
#[target_feature(enable = "avx2")]
fn bytes(sums: [Sums; 2]) -> __m128i {
    let words = _mm256_packs_epi32(rounded(sums[0]), rounded(sums[1]));
    let bytes = _mm256_permute4x64_epi64::<0xD8>(words);
    let bytes = _mm256_packus_epi16(bytes, bytes);
    _mm256_castsi256_si128(_mm256_permute4x64_epi64::<0xD8>(bytes))
}

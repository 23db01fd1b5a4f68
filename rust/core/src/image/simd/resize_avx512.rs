//! The passes of the resize with `vpdpbusd`: four products of a byte and a digit of a weight in one
//! lane, added up exactly.
#![allow(
    unsafe_code,
    reason = "reads and writes of windows that were checked once for all of them"
)]
#![allow(clippy::wildcard_imports, reason = "the names of instructions are their own prefix")]

use std::arch::x86_64::*;

use super::lanes::{load_64, store_16, store_64};
use super::resize::{Across, Down};
use crate::image::blocks::Part;
use crate::image::taps::{BITS, HALF};

/// Sums of the three digits.
type Sums = [__m512i; 3];

/// Adds the products of four bytes per lane and their weights, given digit by digit.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
fn add(sums: Sums, values: __m512i, weights: Sums) -> Sums {
    [
        _mm512_dpbusd_epi32(sums[0], values, weights[0]),
        _mm512_dpbusd_epi32(sums[1], values, weights[1]),
        _mm512_dpbusd_epi32(sums[2], values, weights[2]),
    ]
}

/// 16 pixels, not yet cut to 0..255.
#[inline]
#[target_feature(enable = "avx512f")]
fn rounded(sums: Sums) -> __m512i {
    let upper = _mm512_add_epi32(_mm512_slli_epi32::<8>(sums[1]), _mm512_slli_epi32::<16>(sums[2]));
    _mm512_srai_epi32::<BITS>(_mm512_add_epi32(sums[0], upper))
}

/// One column per lane, one row per byte.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn quads(rows: &[Sums; 4]) -> __m512i {
    let upper = _mm512_packs_epi32(rounded(rows[0]), rounded(rows[1]));
    let lower = _mm512_packs_epi32(rounded(rows[2]), rounded(rows[3]));
    // Within each 128 bits: four columns of the first row, of the second and so on.
    let by_row = _mm512_packus_epi16(upper, lower);
    let by_column = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    _mm512_shuffle_epi8(by_row, _mm512_broadcast_i32x4(by_column))
}

/// 64 bytes.
///
/// # Safety
/// They are readable.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn load<T>(place: *const T) -> __m512i {
    // SAFETY: the caller's.
    unsafe { _mm512_loadu_si512(place.cast()) }
}

/// Four bytes per lane, from where the parts say.
///
/// # Safety
/// All parts are readable from `plane` on.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
unsafe fn picked(plane: *const u8, parts: &[Part], picks: __m512i, first: usize) -> __m512i {
    // SAFETY: the caller's.
    let mut values = _mm512_permutexvar_epi8(picks, unsafe { load(plane.add(first)) });
    for part in parts {
        let picks = unsafe { load(part.picks.as_ptr()) };
        let there = !_mm512_movepi8_mask(picks);
        let bytes = unsafe { load(plane.add(part.places[0])) };
        values = _mm512_mask_permutexvar_epi8(values, there, picks, bytes);
    }
    values
}

/// See [`super::resize::across`].
///
/// # Safety
/// `work` fits `out`.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
pub(super) unsafe fn across(work: &Across<'_>, out: &mut [u8]) {
    let zero = _mm512_setzero_si512();
    for (channel, plane) in out.chunks_exact_mut(4 * work.columns).enumerate() {
        let rows = work.planes(channel);
        for (block, out) in work.blocks.iter().zip(plane.as_chunks_mut().0) {
            let [Part { places: [first, _], picks }, parts @ ..] = block.parts else { continue };
            // SAFETY: blocks have whole vectors, and whether planes have room for them was checked.
            let start = unsafe { load(block.start.as_ptr().cast::<[i32; 16]>().add(channel)) };
            let picks = load_64(picks);
            let mut sums = [[start, zero, zero]; 4];
            for (group, weights) in block.weights.as_chunks::<64>().0.iter().enumerate() {
                let weights = weights.as_ptr();
                let weights =
                    unsafe { [load(weights), load(weights.add(16)), load(weights.add(32))] };
                for (row, sums) in rows.iter().zip(&mut sums) {
                    let values = unsafe { picked(row.add(group).cast(), parts, picks, *first) };
                    *sums = add(*sums, values, weights);
                }
            }
            store_64(out, quads(&sums));
        }
    }
}

/// See [`super::resize::down`].
///
/// # Safety
/// `work` fits `out`.
#[target_feature(enable = "avx2,avx512f,avx512vnni")]
pub(super) unsafe fn down(work: &Down<'_>, out: &mut [u8]) {
    let zero = _mm512_setzero_si512();
    let half = _mm512_set1_epi32(HALF);
    let (red, green, blue) = work.planes(out);
    for (step, ((red, green), blue)) in red.iter_mut().zip(green).zip(blue).enumerate() {
        // The channels together: a weight is then spread over a vector once for all of them.
        let mut sums = [[half, zero, zero]; 3];
        for (place, weights) in work.layers {
            let weights = [
                _mm512_set1_epi32(weights[0]),
                _mm512_set1_epi32(weights[1]),
                _mm512_set1_epi32(weights[2]),
            ];
            let mut quads = work.quads.as_ptr().wrapping_add(*place).cast::<[u8; 64]>();
            quads = quads.wrapping_add(step);
            for sums in &mut sums {
                // SAFETY: that all planes of the quads are there was checked.
                *sums = add(*sums, unsafe { load(quads) }, weights);
                quads = quads.wrapping_byte_add(work.plane_len());
            }
        }
        for (out, sums) in [red, green, blue].into_iter().zip(sums) {
            let pixels = _mm512_max_epi32(rounded(sums), zero);
            store_16(out, _mm512_cvtusepi32_epi8(pixels));
        }
    }
}

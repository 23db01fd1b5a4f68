//! The passes of the resize with `vpdpbusd`: four products of a byte and a digit of a weight in one
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

/// Sums of the three digits.
type Sums = [__m512i; 3];

/// Adds the products of four bytes per lane and a group of weights.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
fn add(sums: Sums, values: __m512i, weights: &Group) -> Sums {
    [
        _mm512_dpbusd_epi32(sums[0], values, _mm512_set1_epi32(weights[0])),
        _mm512_dpbusd_epi32(sums[1], values, _mm512_set1_epi32(weights[1])),
        _mm512_dpbusd_epi32(sums[2], values, _mm512_set1_epi32(weights[2])),
    ]
}

/// 16 pixels, one a byte, from the sums of their digits.
#[inline]
#[target_feature(enable = "avx512f")]
fn pixels(sums: Sums) -> __m128i {
    let upper = _mm512_add_epi32(_mm512_slli_epi32::<8>(sums[1]), _mm512_slli_epi32::<16>(sums[2]));
    let rounded = _mm512_srai_epi32::<BITS>(_mm512_add_epi32(sums[0], upper));
    _mm512_cvtusepi32_epi8(_mm512_max_epi32(rounded, _mm512_setzero_si512()))
}

/// See [`super::resize::across`].
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vnni")]
pub(super) fn across(work: &Across<'_>, out: &mut [u8]) {
    assert!(work.fits(out));
    let zero = _mm512_setzero_si512();
    // Of four pixels: their reds, greens, blues and nothing; the same in each lane, that is, row.
    let by_colour = _mm_setr_epi8(0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11, -1, -1, -1, -1);
    let by_colour = _mm512_broadcast_i32x4(by_colour);
    // From row by row to colour by colour.
    let by_plane = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, -1, -1, -1, -1);
    let (rows, plane_len) = (work.rows.as_ptr(), 4 * work.columns);
    let weights = work.weights.chunks_exact(work.count);
    let columns = work.first.iter().zip(weights).zip(work.start);
    for (x, ((first, weights), start)) in columns.enumerate() {
        let mut sums = [_mm512_broadcast_i32x4(load(start.as_ptr().cast())), zero, zero];
        for (group, weights) in weights.iter().enumerate() {
            // SAFETY: `fits` has checked that each row goes on for all groups of its last column.
            let values = unsafe { four_rows(rows.add(3 * first + 12 * group), work.row_len) };
            sums = add(sums, _mm512_shuffle_epi8(values, by_colour), weights);
        }
        let quads = _mm_shuffle_epi8(pixels(sums), by_plane);
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

/// 16 bytes at the same place of each of four rows.
///
/// # Safety
/// They are readable.
#[inline]
#[target_feature(enable = "avx2,avx512f")]
unsafe fn four_rows(place: *const u8, row_len: usize) -> __m512i {
    let (a, b) = (load(place), load(place.wrapping_add(row_len)));
    let (c, d) = (load(place.wrapping_add(2 * row_len)), load(place.wrapping_add(3 * row_len)));
    let (low, high) = (_mm256_set_m128i(b, a), _mm256_set_m128i(d, c));
    _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high)
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(place: *const u8) -> __m128i {
    // SAFETY: see the callers.
    unsafe { _mm_loadu_si128(place.cast()) }
}

/// See [`super::resize::down`].
#[target_feature(enable = "avx2,avx512f,avx512vnni")]
pub(super) fn down(work: &Down<'_>, out: &mut [u8]) {
    assert!(work.fits(out));
    let zero = _mm512_setzero_si512();
    let steps = work.start.as_chunks::<16>().0.iter().zip(out.as_chunks_mut::<16>().0);
    for (step, (start, out)) in steps.enumerate() {
        // SAFETY: 16 numbers are there.
        let mut sums = [unsafe { _mm512_loadu_si512(start.as_ptr().cast()) }, zero, zero];
        for (place, weights) in work.places.iter().zip(work.weights) {
            // SAFETY: `fits` has checked that all planes of the quad are there.
            let values = unsafe { work.quads.as_ptr().add(place + 64 * step) };
            sums = add(sums, unsafe { _mm512_loadu_si512(values.cast()) }, weights);
        }
        super::lanes::store_16(out, pixels(sums));
    }
}

//! Vectors to and from arrays: the lengths are checked by the types.

use std::arch::x86_64::{
    __m128i, __m256i, __m512i, _mm_loadu_si128, _mm_storeu_si128, _mm256_cmpeq_epi8,
    _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_set1_epi8, _mm256_storeu_si256,
    _mm512_loadu_si512, _mm512_storeu_si512,
};

/// 16 bytes.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn load_8(from: &[i16; 8]) -> __m128i {
    // SAFETY: 16 bytes are there, and the load needs no alignment.
    unsafe { _mm_loadu_si128(from.as_ptr().cast()) }
}

/// 16 bytes.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn load_bytes(from: &[u8; 16]) -> __m128i {
    // SAFETY: 16 bytes are there, and the load needs no alignment.
    unsafe { _mm_loadu_si128(from.as_ptr().cast()) }
}

/// 32 bytes.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn load_32(from: &[u8; 32]) -> __m256i {
    // SAFETY: 32 bytes are there, and the load needs no alignment.
    unsafe { _mm256_loadu_si256(from.as_ptr().cast()) }
}

/// 32 bytes.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn load_16(from: &[i16; 16]) -> __m256i {
    // SAFETY: 32 bytes are there, and the load needs no alignment.
    unsafe { _mm256_loadu_si256(from.as_ptr().cast()) }
}

/// 64 bytes.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn load_64(from: &[u8; 64]) -> __m512i {
    // SAFETY: 64 bytes are there, and the load needs no alignment.
    unsafe { _mm512_loadu_si512(from.as_ptr().cast()) }
}

/// 64 bytes.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn load_half_block(from: &[i16; 32]) -> __m512i {
    // SAFETY: 64 bytes are there, and the load needs no alignment.
    unsafe { _mm512_loadu_si512(from.as_ptr().cast()) }
}

/// 32 bytes.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn store_32(to: &mut [u8; 32], value: __m256i) {
    // SAFETY: 32 bytes are there, and the store needs no alignment.
    unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), value) }
}

/// 64 bytes.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn store_64(to: &mut [u8; 64], value: __m512i) {
    // SAFETY: 64 bytes are there, and the store needs no alignment.
    unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), value) }
}

/// 16 bytes.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn store_16(to: &mut [u8; 16], value: __m128i) {
    // SAFETY: 16 bytes are there, and the store needs no alignment.
    unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), value) }
}

/// A bit for each byte that is 0xFF, the lowest for the first.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn full_bytes(bytes: &[u8; 64]) -> u64 {
    let mask = |half: &[u8; 32]| {
        let full = _mm256_cmpeq_epi8(load_32(half), _mm256_set1_epi8(-1));
        u64::from(_mm256_movemask_epi8(full) as u32)
    };
    let [low, high] = bytes.as_chunks().0 else { return 0 };
    mask(low) | mask(high) << 32
}

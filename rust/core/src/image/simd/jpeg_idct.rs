//! The inverse DCT of JPEG on several blocks at once: every 128-bit lane of a vector holds one block.
//!
//! The scalar twin is `jpeg::idct::samples`; its 16-bit products and saturations are those of
//! `pmaddwd` and `packssdw`, so the two agree on any coefficients at all.
#![allow(unsafe_code, reason = "calls of functions for instructions that the path has")]
#![allow(clippy::wildcard_imports, reason = "the names of instructions are their own prefix")]

#[cfg(target_arch = "x86_64")]
#[macro_use]
mod transform;

use super::Path;

/// Blocks that are transformed at once on a path.
pub(crate) fn blocks_at_once(path: Path) -> usize {
    match path {
        Path::Scalar => 1,
        Path::Avx2 => 2,
        Path::Avx512 => 4,
    }
}

/// Samples of [`blocks_at_once`] neighbouring blocks of 64 coefficients each: eight rows of eight
/// samples a block, written to `out` at distances of `stride`.
///
/// A block with nothing below its first row is transformed like any other, so that the first row,
/// dequantised, must lie within +-8191: see [`fits`].
pub(crate) fn samples(
    path: Path,
    blocks: &[i16],
    quant: &[i16; 64],
    out: &mut [u8],
    stride: usize,
) {
    match path {
        // SAFETY: an available path has all instructions named at the function.
        #[cfg(target_arch = "x86_64")]
        Path::Avx512 => unsafe { avx512::samples(blocks, quant, out, stride) },
        #[cfg(target_arch = "x86_64")]
        Path::Avx2 => unsafe { avx2::samples(blocks, quant, out, stride) },
        _ => unreachable!("the scalar path has no vectors"),
    }
}

/// Whether the blocks' first rows are small enough for [`samples`]: beyond that, libjpeg's short cut
/// for columns with nothing but their mean wraps where the transform saturates. Only damaged or
/// absurd files get there.
pub(crate) fn fits(path: Path, blocks: &[i16], quant: &[i16; 64]) -> bool {
    match path {
        // SAFETY: an available path has all instructions named at the function.
        #[cfg(target_arch = "x86_64")]
        Path::Avx512 | Path::Avx2 => unsafe { first_rows_fit(blocks, quant) },
        _ => false,
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn first_rows_fit(blocks: &[i16], quant: &[i16; 64]) -> bool {
    use std::arch::x86_64::*;

    use super::lanes::load_8;

    let steps = load_8(&first_row(quant));
    let mut largest = _mm_setzero_si128();
    for block in blocks.as_chunks::<64>().0 {
        let row = _mm_mullo_epi16(load_8(&first_row(block)), steps);
        // The absolute value of -32768 is 32768, as an unsigned number.
        largest = _mm_max_epu16(largest, _mm_abs_epi16(row));
    }
    let over = _mm_subs_epu16(largest, _mm_set1_epi16(8191));
    _mm_testz_si128(over, over) == 1
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn first_row(block: &[i16; 64]) -> [i16; 8] {
    block.as_chunks::<8>().0[0]
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::*;

    use super::super::lanes::{load_8, load_half_block};

    transform!(
        __m512i,
        u32,
        "avx512f,avx512bw",
        _mm512_madd_epi16,
        _mm512_add_epi16,
        _mm512_sub_epi16,
        _mm512_add_epi32,
        _mm512_sub_epi32,
        _mm512_srai_epi32,
        _mm512_unpacklo_epi16,
        _mm512_unpackhi_epi16,
        _mm512_unpacklo_epi32,
        _mm512_unpackhi_epi32,
        _mm512_unpacklo_epi64,
        _mm512_unpackhi_epi64,
        _mm512_packs_epi32,
        _mm512_set1_epi32,
        _mm512_setzero_si512
    );

    /// Four blocks.
    #[target_feature(enable = "avx2,avx512f,avx512bw")]
    pub(super) fn samples(blocks: &[i16], quant: &[i16; 64], out: &mut [u8], stride: usize) {
        let (halves, _) = blocks.as_chunks::<32>();
        let (top, bottom) = (rows_of(halves, 0), rows_of(halves, 1));
        let steps = quant.as_chunks::<8>().0;
        let mut rows = [_mm512_setzero_si512(); 8];
        for (i, row) in rows.iter_mut().enumerate() {
            let raw = if i < 4 { top[i] } else { bottom[i - 4] };
            *row = _mm512_mullo_epi16(raw, _mm512_broadcast_i32x4(load_8(&steps[i])));
        }
        let rows = both_passes(rows);
        let apart = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
        for i in 0..4 {
            let bytes = _mm512_packs_epi16(rows[2 * i], rows[2 * i + 1]);
            let bytes = _mm512_xor_si512(bytes, _mm512_set1_epi8(-128));
            let bytes = _mm512_permutexvar_epi64(apart, bytes);
            store(&mut out[2 * i * stride..], _mm512_castsi512_si256(bytes));
            store(&mut out[(2 * i + 1) * stride..], _mm512_extracti64x4_epi64::<1>(bytes));
        }
    }

    /// The upper or lower four rows of four blocks: from one block a vector to one row a vector.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn rows_of(halves: &[[i16; 32]], half: usize) -> [__m512i; 4] {
        let (a, b) = (load_half_block(&halves[half]), load_half_block(&halves[2 + half]));
        let (c, d) = (load_half_block(&halves[4 + half]), load_half_block(&halves[6 + half]));
        let (ab, cd) = (_mm512_shuffle_i32x4::<0x44>(a, b), _mm512_shuffle_i32x4::<0x44>(c, d));
        let (ef, gh) = (_mm512_shuffle_i32x4::<0xEE>(a, b), _mm512_shuffle_i32x4::<0xEE>(c, d));
        [
            _mm512_shuffle_i32x4::<0x88>(ab, cd),
            _mm512_shuffle_i32x4::<0xDD>(ab, cd),
            _mm512_shuffle_i32x4::<0x88>(ef, gh),
            _mm512_shuffle_i32x4::<0xDD>(ef, gh),
        ]
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn store(out: &mut [u8], row: __m256i) {
        super::super::lanes::store_32(out.first_chunk_mut().expect("a row of four blocks"), row);
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    use super::super::lanes::{load_8, load_16, store_16};

    transform!(
        __m256i,
        i32,
        "avx2",
        _mm256_madd_epi16,
        _mm256_add_epi16,
        _mm256_sub_epi16,
        _mm256_add_epi32,
        _mm256_sub_epi32,
        _mm256_srai_epi32,
        _mm256_unpacklo_epi16,
        _mm256_unpackhi_epi16,
        _mm256_unpacklo_epi32,
        _mm256_unpackhi_epi32,
        _mm256_unpacklo_epi64,
        _mm256_unpackhi_epi64,
        _mm256_packs_epi32,
        _mm256_set1_epi32,
        _mm256_setzero_si256
    );

    /// Two blocks.
    #[target_feature(enable = "avx2")]
    pub(super) fn samples(blocks: &[i16], quant: &[i16; 64], out: &mut [u8], stride: usize) {
        let (quarters, _) = blocks.as_chunks::<16>();
        let steps = quant.as_chunks::<8>().0;
        let mut rows = [_mm256_setzero_si256(); 8];
        for i in 0..4 {
            let (a, b) = (load_16(&quarters[i]), load_16(&quarters[i + 4]));
            for (row, raw) in [
                (2 * i, _mm256_permute2x128_si256::<0x20>(a, b)),
                (2 * i + 1, _mm256_permute2x128_si256::<0x31>(a, b)),
            ] {
                let step = _mm256_broadcastsi128_si256(load_8(&steps[row]));
                rows[row] = _mm256_mullo_epi16(raw, step);
            }
        }
        let rows = both_passes(rows);
        for i in 0..4 {
            let bytes = _mm256_packs_epi16(rows[2 * i], rows[2 * i + 1]);
            let bytes = _mm256_xor_si256(bytes, _mm256_set1_epi8(-128));
            let bytes = _mm256_permute4x64_epi64::<0xD8>(bytes);
            store(&mut out[2 * i * stride..], _mm256_castsi256_si128(bytes));
            store(&mut out[(2 * i + 1) * stride..], _mm256_extracti128_si256::<1>(bytes));
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn store(out: &mut [u8], row: __m128i) {
        store_16(out.first_chunk_mut().expect("a row of two blocks"), row);
    }
}

//! `YCbCr` to RGB, 32 or 64 pixels at once. The scalar twin is `jpeg::colour::rgb`.
#![allow(unsafe_code, reason = "calls of functions for instructions that the path has")]
#![allow(clippy::wildcard_imports, reason = "the names of instructions are their own prefix")]

use super::Path;

/// Pixels that [`convert`] takes at once; its rows are readable up to a multiple of this.
pub(crate) const STEP: usize = 64;

/// Converts as many whole steps as `out` holds and returns the pixels that are left to do.
pub(crate) fn convert(path: Path, y: &[u8], cb: &[u8], cr: &[u8], out: &mut [u8]) -> usize {
    match path {
        // SAFETY: an available path has all instructions named at the function.
        #[cfg(target_arch = "x86_64")]
        Path::Avx512 => unsafe { avx512::convert(y, cb, cr, out) },
        #[cfg(target_arch = "x86_64")]
        Path::Avx2 => unsafe { avx2::convert(y, cb, cr, out) },
        _ => {}
    }
    if path == Path::Scalar { out.len() / 3 } else { out.len() / 3 % STEP }
}

/// The conversion for one vector width, of 8-bit vectors widened to 16 bits half by half. The
/// halves are those of the `unpack` instructions, which `packus` puts together again.
#[cfg(target_arch = "x86_64")]
macro_rules! conversion {
    (
        $vector:ty, $features:literal, $low:ident, $high:ident, $low16:ident, $high16:ident,
        $add:ident, $sub:ident, $mulhi:ident, $shift16:ident, $madd:ident, $add32:ident,
        $shift32:ident, $pack32:ident, $pack:ident, $splat16:ident, $splat32:ident, $zero:ident
    ) => {
        /// Red, green and blue of 8-bit samples.
        #[inline]
        #[target_feature(enable = $features)]
        fn rgb(y: $vector, cb: $vector, cr: $vector) -> [$vector; 3] {
            let zero = $zero();
            let low = half($low(y, zero), $low(cb, zero), $low(cr, zero));
            let high = half($high(y, zero), $high(cb, zero), $high(cr, zero));
            [$pack(low[0], high[0]), $pack(low[1], high[1]), $pack(low[2], high[2])]
        }

        /// The same of 16-bit samples; see the scalar twin for the constants.
        #[inline]
        #[target_feature(enable = $features)]
        fn half(y: $vector, cb: $vector, cr: $vector) -> [$vector; 3] {
            let middle = $splat16(128);
            let (cb, cr) = ($sub(cb, middle), $sub(cr, middle));
            let (cb2, cr2) = ($add(cb, cb), $add(cr, cr));
            let red = $add($add(y, cr), rounded_half($mulhi(cr2, $splat16(26345))));
            let blue = $add($add(y, cb2), rounded_half($mulhi(cb2, $splat16(-14942))));
            let factors = $splat32(18734 << 16 | i32::from(-22554_i16 as u16));
            let round = $splat32(1 << 15);
            let low = $shift32::<16>($add32($madd($low16(cb, cr), factors), round));
            let high = $shift32::<16>($add32($madd($high16(cb, cr), factors), round));
            let green = $add($sub(y, cr), $pack32(low, high));
            [red, green, blue]
        }

        #[inline]
        #[target_feature(enable = $features)]
        fn rounded_half(x: $vector) -> $vector {
            $shift16::<1>($add(x, $splat16(1)))
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::*;

    use super::super::lanes::{load_64, store_64};

    conversion!(
        __m512i,
        "avx512f,avx512bw",
        _mm512_unpacklo_epi8,
        _mm512_unpackhi_epi8,
        _mm512_unpacklo_epi16,
        _mm512_unpackhi_epi16,
        _mm512_add_epi16,
        _mm512_sub_epi16,
        _mm512_mulhi_epi16,
        _mm512_srai_epi16,
        _mm512_madd_epi16,
        _mm512_add_epi32,
        _mm512_srai_epi32,
        _mm512_packs_epi32,
        _mm512_packus_epi16,
        _mm512_set1_epi16,
        _mm512_set1_epi32,
        _mm512_setzero_si512
    );

    /// Where the bytes of the three 64-byte parts of 64 pixels come from: red and green as the two
    /// sources of one permutation, blue over it.
    const PLACES: [([u8; 64], [u8; 64], u64); 3] = [places(0), places(1), places(2)];

    const fn places(part: usize) -> ([u8; 64], [u8; 64], u64) {
        let (mut red_green, mut blue, mut mask) = ([0; 64], [0; 64], 0);
        let mut i = 0;
        while i < 64 {
            let (pixel, channel) = ((64 * part + i) / 3, (64 * part + i) % 3);
            red_green[i] = (pixel + if channel == 1 { 64 } else { 0 }) as u8;
            blue[i] = pixel as u8;
            mask |= if channel == 2 { 1 << i } else { 0 };
            i += 1;
        }
        (red_green, blue, mask)
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    pub(super) fn convert(y: &[u8], cb: &[u8], cr: &[u8], out: &mut [u8]) {
        let chroma = cb.as_chunks::<64>().0.iter().zip(cr.as_chunks::<64>().0);
        let pixels = y.as_chunks::<64>().0.iter().zip(chroma);
        for ((y, (cb, cr)), out) in pixels.zip(out.as_chunks_mut::<192>().0) {
            let [r, g, b] = rgb(load_64(y), load_64(cb), load_64(cr));
            for (part, (red_green, blue, mask)) in
                out.as_chunks_mut::<64>().0.iter_mut().zip(&PLACES)
            {
                let two = _mm512_permutex2var_epi8(r, load_64(red_green), g);
                store_64(part, _mm512_mask_permutexvar_epi8(two, *mask, load_64(blue), b));
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    use super::super::lanes::{load_32, store_16};

    conversion!(
        __m256i,
        "avx2",
        _mm256_unpacklo_epi8,
        _mm256_unpackhi_epi8,
        _mm256_unpacklo_epi16,
        _mm256_unpackhi_epi16,
        _mm256_add_epi16,
        _mm256_sub_epi16,
        _mm256_mulhi_epi16,
        _mm256_srai_epi16,
        _mm256_madd_epi16,
        _mm256_add_epi32,
        _mm256_srai_epi32,
        _mm256_packs_epi32,
        _mm256_packus_epi16,
        _mm256_set1_epi16,
        _mm256_set1_epi32,
        _mm256_setzero_si256
    );

    /// For each of the three 16-byte parts of 16 pixels and each channel: the pixel whose byte goes
    /// to a place, or nothing (128).
    const PLACES: [[[u8; 32]; 3]; 3] = [places(0), places(1), places(2)];

    const fn places(part: usize) -> [[u8; 32]; 3] {
        let mut all = [[128; 32]; 3];
        let mut i = 0;
        while i < 32 {
            let place = 16 * part + i % 16;
            all[place % 3][i] = (place / 3) as u8;
            i += 1;
        }
        all
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn convert(y: &[u8], cb: &[u8], cr: &[u8], out: &mut [u8]) {
        // Up to whole steps of 64 pixels, as on the wider path.
        let steps = out.len() / 192 * 192;
        let chroma = cb.as_chunks::<32>().0.iter().zip(cr.as_chunks::<32>().0);
        let pixels = y.as_chunks::<32>().0.iter().zip(chroma);
        for ((y, (cb, cr)), out) in pixels.zip(out[..steps].as_chunks_mut::<96>().0) {
            let rgb = rgb(load_32(y), load_32(cb), load_32(cr));
            let (low, high) = out.split_at_mut(48);
            let parts = low.as_chunks_mut::<16>().0.iter_mut().zip(high.as_chunks_mut::<16>().0);
            for ((low, high), places) in parts.zip(&PLACES) {
                let mut bytes = _mm256_setzero_si256();
                for (channel, place) in rgb.iter().zip(places) {
                    bytes = _mm256_or_si256(bytes, _mm256_shuffle_epi8(*channel, load_32(place)));
                }
                store_16(low, _mm256_castsi256_si128(bytes));
                store_16(high, _mm256_extracti128_si256::<1>(bytes));
            }
        }
    }
}

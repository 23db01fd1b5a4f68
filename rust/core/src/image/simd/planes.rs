//! Interleaved colours to planes, 16 or 64 pixels at once.
#![allow(unsafe_code, reason = "calls of functions for instructions that the path has")]
#![allow(clippy::wildcard_imports, reason = "the names of instructions are their own prefix")]

use super::Path;

/// Writes red, green and blue of `row` to the starts of three planes of equal length.
pub(crate) fn separate(path: Path, row: &[u8], planes: &mut [u8]) {
    let (red, rest) = planes.split_at_mut(planes.len() / 3);
    let (green, blue) = rest.split_at_mut(rest.len() / 2);
    let planes = [red, green, blue].map(|plane| &mut plane[..row.len() / 3]);
    let pixels = row.as_chunks::<3>().0;
    match path {
        // SAFETY: an available path has all instructions named at the function.
        #[cfg(target_arch = "x86_64")]
        Path::Avx512 => unsafe { avx512::separate(pixels, planes) },
        #[cfg(target_arch = "x86_64")]
        Path::Avx2 => unsafe { avx2::separate(pixels, planes) },
        _ => separate_rest(pixels, planes),
    }
}

/// One pixel at a time.
fn separate_rest(pixels: &[[u8; 3]], [red, green, blue]: [&mut [u8]; 3]) {
    let planes = red.iter_mut().zip(green).zip(blue);
    for (((red, green), blue), pixel) in planes.zip(pixels) {
        [*red, *green, *blue] = *pixel;
    }
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::*;

    use super::super::lanes::{load_64, store_64};

    /// For each channel: where its bytes are in the first 128 bytes of 64 pixels, where in the last
    /// 64, and for which places of the plane that is.
    const PLACES: [([u8; 64], [u8; 64], u64); 3] = [places(0), places(1), places(2)];

    const fn places(channel: usize) -> ([u8; 64], [u8; 64], u64) {
        let (mut before, mut behind, mut mask) = ([0; 64], [0; 64], 0);
        let mut i = 0;
        while i < 64 {
            let place = 3 * i + channel;
            if place < 128 {
                before[i] = place as u8;
            } else {
                behind[i] = (place - 128) as u8;
                mask |= 1 << i;
            }
            i += 1;
        }
        (before, behind, mask)
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    pub(super) fn separate(pixels: &[[u8; 3]], planes: [&mut [u8]; 3]) {
        let (steps, tail) = pixels.as_chunks::<64>();
        let [(red, r), (green, g), (blue, b)] = planes.map(|plane| plane.as_chunks_mut::<64>());
        let outs = red.iter_mut().zip(green).zip(blue);
        for (pixels, ((red, green), blue)) in steps.iter().zip(outs) {
            let parts = pixels.as_flattened().as_chunks::<64>().0;
            let parts = [load_64(&parts[0]), load_64(&parts[1]), load_64(&parts[2])];
            for (out, (before, behind, mask)) in [red, green, blue].into_iter().zip(&PLACES) {
                let two = _mm512_permutex2var_epi8(parts[0], load_64(before), parts[1]);
                let all = _mm512_mask_permutexvar_epi8(two, *mask, load_64(behind), parts[2]);
                store_64(out, all);
            }
        }
        super::separate_rest(tail, [r, g, b]);
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    use super::super::lanes::{load_bytes, store_16};

    /// For each channel and each of the three 16-byte parts of 16 pixels: the byte that goes to a
    /// place of the plane, or nothing (128).
    const PLACES: [[[u8; 16]; 3]; 3] = [places(0), places(1), places(2)];

    const fn places(channel: usize) -> [[u8; 16]; 3] {
        let mut all = [[128; 16]; 3];
        let mut i = 0;
        while i < 16 {
            let place = 3 * i + channel;
            all[place / 16][i] = (place % 16) as u8;
            i += 1;
        }
        all
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn separate(pixels: &[[u8; 3]], planes: [&mut [u8]; 3]) {
        let (steps, tail) = pixels.as_chunks::<16>();
        let [(red, r), (green, g), (blue, b)] = planes.map(|plane| plane.as_chunks_mut::<16>());
        let outs = red.iter_mut().zip(green).zip(blue);
        for (pixels, ((red, green), blue)) in steps.iter().zip(outs) {
            let parts = pixels.as_flattened().as_chunks::<16>().0;
            let parts = [load_bytes(&parts[0]), load_bytes(&parts[1]), load_bytes(&parts[2])];
            for (out, places) in [red, green, blue].into_iter().zip(&PLACES) {
                let mut all = _mm_setzero_si128();
                for (part, places) in parts.iter().zip(places) {
                    all = _mm_or_si128(all, _mm_shuffle_epi8(*part, load_bytes(places)));
                }
                store_16(out, all);
            }
        }
        super::separate_rest(tail, [r, g, b]);
    }
}

//! The inverse DCT of libjpeg ("islow"), in the arithmetic of its vector code.
//!
//! Every product is 16 x 16 bits, sums wrap, and each pass saturates to 16 bits. For the coefficients
//! of a picture that is the plain transform; for absurd ones it is what Pillow shows on x86-64.

use super::quant::Quant;
use crate::image::simd::Path;
use crate::image::simd::jpeg_idct;

/// Fractional bits of the constants, and of what the first pass hands to the second.
const CONST_BITS: u32 = 13;
const PASS1_BITS: u32 = 2;

type Lanes = [i16; 8];

/// Transforms blocks side by side: 64 coefficients and the index of the last one for each, whole
/// groups of four. Their samples go to `out`, whose rows start `stride` apart.
pub(super) fn block_row(
    blocks: &[i16],
    last: &[u8],
    quant: &Quant,
    path: Path,
    out: &mut [u8],
    stride: usize,
) {
    let step = jpeg_idct::blocks_at_once(path);
    for (index, last) in last.chunks(step).enumerate() {
        let blocks = &blocks[index * step * 64..][..last.len() * 64];
        let out = &mut out[index * step * 8..];
        let busy = last.iter().any(|last| *last > 0);
        if step > 1 && busy && jpeg_idct::fits(path, blocks, quant) {
            jpeg_idct::samples(path, blocks, quant, out, stride);
        } else {
            for (x, (block, last)) in blocks.as_chunks().0.iter().zip(last).enumerate() {
                put(&samples(block, quant, usize::from(*last)), &mut out[8 * x..], stride);
            }
        }
    }
}

fn put(block: &[[u8; 8]; 8], out: &mut [u8], stride: usize) {
    for (row, line) in out.chunks_mut(stride).zip(block) {
        row[..8].copy_from_slice(line);
    }
}

/// Samples of a block: `last` is the file index of its last coefficient.
#[inline]
pub(super) fn samples(block: &[i16; 64], quant: &Quant, last: usize) -> [[u8; 8]; 8] {
    if last == 0 {
        return flat(block[0].wrapping_mul(quant[0]));
    }
    let mut rows = [[0; 8]; 8];
    for (row, lanes) in rows.iter_mut().enumerate() {
        for (column, value) in lanes.iter_mut().enumerate() {
            *value = block[8 * row + column].wrapping_mul(quant[8 * row + column]);
        }
    }
    let columns = if block[8..].iter().all(|c| *c == 0) {
        // libjpeg's short cut for columns with nothing but their mean; it wraps where a pass saturates.
        [rows[0].map(|value| value << PASS1_BITS); 8]
    } else {
        pass::<{ CONST_BITS - PASS1_BITS }>(&rows)
    };
    let across = pass::<{ CONST_BITS + PASS1_BITS + 3 }>(&transpose(&columns));
    // Loops, which become vectors; `map` within `map` does not.
    let mut samples = [[0; 8]; 8];
    for (line, lanes) in samples.iter_mut().zip(&transpose(&across)) {
        for (out, value) in line.iter_mut().zip(lanes) {
            *out = sample(*value);
        }
    }
    samples
}

/// A block of one colour.
fn flat(mean: i16) -> [[u8; 8]; 8] {
    const SHIFT: u32 = CONST_BITS + PASS1_BITS + 3;
    let scaled = i32::from(mean << PASS1_BITS) << CONST_BITS;
    [[sample(saturate(scaled.wrapping_add(1 << (SHIFT - 1)) >> SHIFT)); 8]; 8]
}

/// Saturates to 8 bits and moves the zero point to 128.
#[inline]
fn sample(value: i16) -> u8 {
    (value.clamp(-128, 127) + 128) as u8
}

#[inline]
fn saturate(value: i32) -> i16 {
    value.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
}

/// Rows become columns: in two steps within squares of four values, then by squares. By masks on four
/// values at a time, because the compiler moves them one by one otherwise.
fn transpose(rows: &[Lanes; 8]) -> [Lanes; 8] {
    let mut quads = [[0_u64; 2]; 8];
    for (row, quads) in rows.iter().zip(&mut quads) {
        for (x, value) in row.iter().enumerate() {
            quads[x / 4] |= u64::from(*value as u16) << (x % 4 * 16);
        }
    }
    for half in 0..2 {
        for y in [0, 2, 4, 6] {
            exchange::<16>(&mut quads, half, y, 0x0000_FFFF_0000_FFFF);
        }
        for y in [0, 1, 4, 5] {
            exchange::<32>(&mut quads, half, y, 0x0000_0000_FFFF_FFFF);
        }
    }
    for y in 0..4 {
        (quads[y][1], quads[y + 4][0]) = (quads[y + 4][0], quads[y][1]);
    }
    let mut columns = [[0; 8]; 8];
    for (column, quads) in columns.iter_mut().zip(&quads) {
        for (x, value) in column.iter_mut().enumerate() {
            *value = (quads[x / 4] >> (x % 4 * 16)) as i16;
        }
    }
    columns
}

/// Swaps what is above `mask` in row `y` with what `mask` leaves `BITS / 16` rows below.
#[inline(always)]
fn exchange<const BITS: usize>(quads: &mut [[u64; 2]; 8], half: usize, y: usize, mask: u64) {
    let (a, b) = (quads[y][half], quads[y + BITS / 16][half]);
    quads[y][half] = a & mask | (b & mask) << BITS;
    quads[y + BITS / 16][half] = a >> BITS & mask | b & !mask;
}

/// One transform down the eight rows, in all lanes at once. A function of its own, so that the
/// compiler sees a loop over lanes in memory and makes vectors of it; inlined, it does not.
#[inline(never)]
fn pass<const SHIFT: u32>(rows: &[Lanes; 8]) -> [Lanes; 8] {
    let mut out = [[0; 8]; 8];
    for lane in 0..8 {
        let column = transform::<SHIFT>(std::array::from_fn(|row| rows[row][lane]));
        for (row, value) in out.iter_mut().zip(column) {
            row[lane] = value;
        }
    }
    out
}

/// `a * x + b * y` in wrapping 32 bits.
#[inline]
fn dot(a: i16, x: i16, b: i16, y: i16) -> i32 {
    (i32::from(a) * i32::from(x)).wrapping_add(i32::from(b) * i32::from(y))
}

/// Loeffler's eight-point inverse DCT; the constants are sums of cosines times `2^13`.
#[inline]
fn transform<const SHIFT: u32>(d: [i16; 8]) -> [i16; 8] {
    let even2 = dot(d[2], 4433, d[6], -10704);
    let even3 = dot(d[2], 10703, d[6], 4433);
    let even0 = i32::from(d[0].wrapping_add(d[4])) << CONST_BITS;
    let even1 = i32::from(d[0].wrapping_sub(d[4])) << CONST_BITS;
    let even = [
        even0.wrapping_add(even3),
        even1.wrapping_add(even2),
        even1.wrapping_sub(even2),
        even0.wrapping_sub(even3),
    ];

    let (z3, z4) = (d[7].wrapping_add(d[3]), d[5].wrapping_add(d[1]));
    let (odd3, odd4) = (dot(z3, -6436, z4, 9633), dot(z3, 9633, z4, 6437));
    let odd = [
        dot(d[7], -7373, d[1], 4926).wrapping_add(odd4),
        dot(d[5], -20995, d[3], 4177).wrapping_add(odd3),
        dot(d[5], -4176, d[3], -20995).wrapping_add(odd4),
        dot(d[7], -4927, d[1], -7373).wrapping_add(odd3),
    ];

    let round = 1 << (SHIFT - 1);
    std::array::from_fn(|k| {
        let sum =
            if k < 4 { even[k].wrapping_add(odd[k]) } else { even[7 - k].wrapping_sub(odd[7 - k]) };
        saturate(sum.wrapping_add(round) >> SHIFT)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{block_row, samples};
    use crate::image::simd::Path;

    /// The definition, in doubles.
    fn reference(block: &[i16; 64]) -> [[f64; 8]; 8] {
        let basis = |k: usize, x: usize| {
            let scale = if k == 0 { 0.125_f64.sqrt() } else { 0.5 };
            scale * ((2 * x + 1) as f64 * k as f64 * std::f64::consts::PI / 16.0).cos()
        };
        std::array::from_fn(|y| {
            std::array::from_fn(|x| {
                let term = |i: usize| f64::from(block[i]) * basis(i / 8, y) * basis(i % 8, x);
                (0..64).map(term).sum::<f64>() + 128.0
            })
        })
    }

    proptest! {
        #[test]
        fn near_the_definition(
            block in prop::collection::vec((0_usize..64, -300_i16..300), 0..20),
            dc in -1024_i16..1024,
        ) {
            let mut coefficients = [0; 64];
            coefficients[0] = dc;
            for (place, value) in block {
                coefficients[place] = value;
            }
            let ours = samples(&coefficients, &[1; 64], 63);
            for (ours, exact) in ours.as_flattened().iter().zip(reference(&coefficients).as_flattened()) {
                prop_assert!((f64::from(*ours) - exact.clamp(0.0, 255.0)).abs() < 1.0);
            }
        }

        #[test]
        fn short_cuts_change_nothing(dc in -8000_i16..8000, step in 1_i16..5, row in -200_i16..200) {
            let mut block = [0; 64];
            block[0] = dc / step;
            let general = |block: &[i16; 64]| samples(block, &[step; 64], 63);
            prop_assert_eq!(samples(&block, &[step; 64], 0), general(&block));
            block[3] = row;
            prop_assert_eq!(samples(&block, &[step; 64], 6), general(&block));
        }

        #[test]
        fn every_path_gives_the_same_samples(
            values in prop::collection::vec(
                prop_oneof![9 => Just(0), 4 => -40_i16..40, 1 => any::<i16>()], 8 * 64,
            ),
            last in prop::collection::vec(prop_oneof![Just(0_u8), Just(63)], 8),
            steps in prop::collection::vec(prop_oneof![3 => 1_i16..90, 1 => any::<i16>()], 64),
        ) {
            let mut values = values;
            for (block, last) in values.as_chunks_mut::<64>().0.iter_mut().zip(&last) {
                if *last == 0 {
                    block[1..].fill(0);
                }
            }
            let steps = steps.try_into().expect("64 values");
            let all = Path::ALL.into_iter().filter(|path| path.available()).map(|path| {
                let mut out = vec![0; 8 * 80];
                block_row(&values, &last, &steps, path, &mut out, 80);
                out
            });
            let all: Vec<_> = all.collect();
            prop_assert!(all.iter().all(|out| *out == all[0]));
        }

        #[test]
        fn no_coefficients_overflow(block in prop::collection::vec(any::<i16>(), 64), q in any::<i16>()) {
            let block: [i16; 64] = block.try_into().expect("64 values");
            samples(&block, &[q; 64], 63);
        }
    }
}

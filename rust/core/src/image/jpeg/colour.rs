//! `YCbCr` to RGB.

use crate::image::simd::Path;
use crate::image::simd::jpeg_colour::{self, STEP};

/// Converts one row of as many pixels as `out` has; the others are readable up to a multiple of
/// [`STEP`] samples.
pub(super) fn convert_row(path: Path, y: &[u8], cb: &[u8], cr: &[u8], out: &mut [u8]) {
    let left = jpeg_colour::convert(path, y, cb, cr, out);
    let done = out.len() / 3 - left;
    let (y, cb, cr, out) = (&y[done..], &cb[done..], &cr[done..], &mut out[3 * done..]);
    if left == 0 || path == Path::Scalar {
        return scalar_row(&y[..left], cb, cr, out);
    }
    // One more step, into a buffer that takes the pixels beyond the row as well.
    let mut step = [0; 3 * STEP];
    jpeg_colour::convert(path, y, cb, cr, &mut step);
    out.copy_from_slice(&step[..3 * left]);
}

fn scalar_row(y: &[u8], cb: &[u8], cr: &[u8], out: &mut [u8]) {
    const GROUP: usize = 16;
    let whole = y.len() / GROUP * GROUP;
    let chroma = cb.chunks_exact(GROUP).zip(cr.chunks_exact(GROUP));
    for ((y, (cb, cr)), out) in
        y.chunks_exact(GROUP).zip(chroma).zip(out.chunks_exact_mut(3 * GROUP))
    {
        let (mut r, mut g, mut b) = ([0; GROUP], [0; GROUP], [0; GROUP]);
        for i in 0..GROUP {
            [r[i], g[i], b[i]] = rgb(y[i], cb[i], cr[i]);
        }
        for (i, pixel) in out.chunks_exact_mut(3).enumerate() {
            pixel.copy_from_slice(&[r[i], g[i], b[i]]);
        }
    }
    for (i, pixel) in out.chunks_exact_mut(3).enumerate().skip(whole).take(y.len() - whole) {
        pixel.copy_from_slice(&rgb(y[i], cb[i], cr[i]));
    }
}

/// Interleaves one row of components that are red, green and blue already.
pub(super) fn rgb_row([red, green, blue]: [&[u8]; 3], out: &mut [u8]) {
    let samples = red.iter().zip(green).zip(blue);
    for (pixel, ((red, green), blue)) in out.as_chunks_mut().0.iter_mut().zip(samples) {
        *pixel = [*red, *green, *blue];
    }
}

/// Darkens one row of RGB by black ink. Every CMYK file is read as Adobe writes them: 255 is no ink.
/// So three components without their ink are a colour, which Pillow multiplies by what the black
/// ink leaves of it.
pub(super) fn darken_row(black: &[u8], out: &mut [u8]) {
    for (pixel, black) in out.as_chunks_mut::<3>().0.iter_mut().zip(black) {
        *pixel = pixel.map(|value| black - multiplied(255 - value, *black));
    }
}

/// `a * b / 255`, rounded as Pillow's MULDIV255 does.
fn multiplied(a: u8, b: u8) -> u8 {
    let product = u32::from(a) * u32::from(b) + 128;
    (((product >> 8) + product) >> 8) as u8
}

/// Makes light of ink, and the other way round.
pub(super) fn invert_row(out: &mut [u8]) {
    for value in out {
        *value = 255 - *value;
    }
}

/// Fills one row from gray samples.
pub(super) fn gray_row(gray: &[u8], out: &mut [u8]) {
    for (pixel, value) in out.chunks_exact_mut(3).zip(gray) {
        pixel.fill(*value);
    }
}

/// libjpeg's fixed-point conversion, arranged so that every factor fits 16 bits.
#[inline]
fn rgb(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    let (y, cb, cr) = (i16::from(y), i16::from(cb) - 128, i16::from(cr) - 128);
    // 1.402 = 1 + 2 * 26345 / 2^17 and 1.772 = 2 - 2 * 14942 / 2^17, rounded at the end
    let scaled = |value: i16, by: i16| ((i32::from(value * 2) * i32::from(by)) >> 16) as i16;
    let half = |value: i16| (value + 1) >> 1;
    let red = y + cr + half(scaled(cr, 26345));
    let blue = y + cb * 2 + half(scaled(cb, -14942));
    // 0.34414 and 0.71414 = 1 - 0.28586
    let sum = i32::from(cb) * -22554 + i32::from(cr) * 18734 + (1 << 15);
    let green = y - cr + (sum >> 16) as i16;
    [red, green, blue].map(|value| value.clamp(0, 255) as u8)
}

#[cfg(test)]
mod tests {
    use super::{Path, STEP, convert_row, rgb};

    /// libjpeg's four look-up tables.
    fn by_tables(y: u8, cb: u8, cr: u8) -> [u8; 3] {
        let fix = |x: f64| (x * 65536.0 + 0.5) as i32;
        let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
        let half = 1 << 15;
        let red = y + ((fix(1.402) * cr + half) >> 16);
        let green = y + ((-fix(0.34414) * cb + half - fix(0.71414) * cr) >> 16);
        let blue = y + ((fix(1.772) * cb + half) >> 16);
        [red, green, blue].map(|value| value.clamp(0, 255) as u8)
    }

    #[test]
    fn equal_to_the_tables_for_every_chroma() {
        for cb in 0..=255 {
            for cr in 0..=255 {
                for y in [0, 1, 100, 128, 254, 255] {
                    assert_eq!(rgb(y, cb, cr), by_tables(y, cb, cr), "{y} {cb} {cr}");
                }
            }
        }
    }

    #[test]
    fn a_row_of_any_width_on_every_path() {
        for path in Path::ALL.into_iter().filter(|path| path.available()) {
            for width in 1..300_usize {
                let row = |step: usize| -> Vec<u8> {
                    (0..width.next_multiple_of(STEP)).map(|x| (x * step + x * x) as u8).collect()
                };
                let (y, cb, cr) = (row(7), row(101), row(53));
                let mut out = vec![0; 3 * width];
                convert_row(path, &y, &cb, &cr, &mut out);
                for (i, pixel) in out.chunks_exact(3).enumerate() {
                    assert_eq!(pixel, rgb(y[i], cb[i], cr[i]), "{path:?}, {i} of {width}");
                }
            }
        }
    }
}

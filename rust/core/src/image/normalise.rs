//! Bytes to the numbers that the vision tower was trained on.

use super::ImageConfig;
use super::simd::{self, Instructions, Path, Work};

/// `(x / 255 - mean) / std` for the pixels of a channel.
pub(super) fn normalise(
    path: Path,
    config: &ImageConfig,
    channel: usize,
    pixels: &[u8],
    out: &mut [f32],
) {
    let (mean, std) = (config.mean[channel], config.std[channel]);
    simd::run(path, Normalise { pixels, mean, std, out });
}

struct Normalise<'a> {
    pixels: &'a [u8],
    mean: f32,
    std: f32,
    out: &'a mut [f32],
}

impl Work for Normalise<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Instructions>(self) {
        for (value, pixel) in self.out.iter_mut().zip(self.pixels) {
            *value = (fraction(*pixel) - self.mean) / self.std;
        }
    }
}

/// `x / 255` as a division rounds it, at half the price: `1 / 255 = 1 / 256 + 1 / 65280`, where the
/// first product is exact and the error of the second too small to be seen in any of the 256 sums.
#[inline(always)]
fn fraction(x: u8) -> f32 {
    let x = f32::from(x);
    x * (1.0 / 256.0) + x * (1.0 / 65280.0)
}

#[cfg(test)]
mod tests {
    use super::{Normalise, fraction};
    use crate::image::simd::{self, Path};

    #[test]
    fn every_fraction_is_that_of_the_division() {
        for x in 0..=255_u8 {
            assert_eq!(fraction(x).to_bits(), (f32::from(x) / 255.0).to_bits(), "{x}");
        }
    }

    #[test]
    fn every_path_gives_the_same_numbers() {
        let (mean, std) = (0.481_454_66, 0.268_629_54);
        let pixels: Vec<u8> = (0..=255).chain(0..77).collect();
        let expected = pixels.iter().map(|x| ((f32::from(*x) / 255.0 - mean) / std).to_bits());
        let expected: Vec<_> = expected.collect();
        for path in Path::ALL.into_iter().filter(|path| path.available()) {
            for start in 0..70 {
                let mut out = vec![0.0; pixels.len() - start];
                let pixels = &pixels[start..];
                simd::run(path, Normalise { pixels, mean, std, out: &mut out });
                assert!(out.iter().zip(&expected[start..]).all(|(a, b)| a.to_bits() == *b));
            }
        }
    }
}

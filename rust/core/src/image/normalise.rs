//! Bytes to normalised float32: `(x / 255 - mean) / std`, rounded after each step.

use super::ImageConfig;
use super::simd::{Instructions, Path, Work, run};
use crate::Result;

/// The three channels of a picture.
pub(super) struct Normaliser {
    path: Path,
    channels: [Channel; 3],
}

/// One channel.
struct Channel {
    /// all 256 results
    table: [f32; 256],
    /// how to compute them; `None` where looking them up is the way
    factors: Option<Factors>,
}

/// Division by a constant as a product with its inverse, which is kept in two parts: with a fused
/// multiply-add the result is that of the division for nearly every constant.
#[derive(Clone, Copy)]
struct Factors {
    unit: [f32; 2],
    mean: f32,
    std: [f32; 2],
}

impl Normaliser {
    /// # Errors
    /// As [`Path::chosen`].
    pub(super) fn new(config: &ImageConfig) -> Result<Self> {
        let path = Path::chosen()?;
        let channel = |index: usize| Channel::new(config.mean[index], config.std[index], path);
        Ok(Self { path, channels: std::array::from_fn(channel) })
    }

    /// Pixels of one channel; both slices are of one length.
    pub(super) fn convert(&self, channel: usize, pixels: &[u8], out: &mut [f32]) {
        let channel = &self.channels[channel];
        match channel.factors {
            Some(factors) => run(self.path, Row { factors, pixels, out }),
            None => channel.look_up(pixels, out),
        }
    }
}

impl Channel {
    fn new(mean: f32, std: f32, path: Path) -> Self {
        let table = std::array::from_fn(|value| (value as f32 / 255.0 - mean) / std);
        let factors = Factors { unit: inverse(255.0), mean, std: inverse(std) };
        // Without the instruction, a fused multiply-add is a long computation.
        let exact = path != Path::Scalar && factors.give(&table, path);
        Self { table, factors: exact.then_some(factors) }
    }

    fn look_up(&self, pixels: &[u8], out: &mut [f32]) {
        for (value, pixel) in out.iter_mut().zip(pixels) {
            *value = self.table[usize::from(*pixel)];
        }
    }
}

impl Factors {
    fn give(self, table: &[f32; 256], path: Path) -> bool {
        let pixels: [u8; 256] = std::array::from_fn(|value| value as u8);
        let mut out = [0.0; 256];
        run(path, Row { factors: self, pixels: &pixels, out: &mut out });
        out.map(f32::to_bits) == table.map(f32::to_bits)
    }
}

fn inverse(divisor: f32) -> [f32; 2] {
    let exact = 1.0 / f64::from(divisor);
    let rounded = exact as f32;
    [rounded, (exact - f64::from(rounded)) as f32]
}

/// Pixels that follow each other, all of one channel.
struct Row<'a> {
    factors: Factors,
    pixels: &'a [u8],
    out: &'a mut [f32],
}

impl Work for Row<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Instructions>(self) {
        let Factors { unit, mean, std } = self.factors;
        for (value, pixel) in self.out.iter_mut().zip(self.pixels) {
            let x = f32::from(*pixel);
            let centred = x.mul_add(unit[0], x * unit[1]) - mean;
            *value = centred.mul_add(std[0], centred * std[1]);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Channel, Path, Row, run};

    fn available() -> impl Iterator<Item = Path> {
        Path::ALL.into_iter().filter(|path| path.available())
    }

    #[test]
    fn the_usual_constants_are_computed() {
        let usual = [(0.481_454_66, 0.268_629_54), (0.457_827_5, 0.261_302_6), (0.5, 0.5)];
        for path in available().filter(|path| *path != Path::Scalar) {
            for (mean, std) in usual.into_iter().chain([(0.408_210_73, 0.275_777_1)]) {
                assert!(Channel::new(mean, std, path).factors.is_some(), "{path:?} {mean} {std}");
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_computed_is_what_is_looked_up(
            mean in 0.0_f32..=1.0, std in prop_oneof![1e-3_f32..2.0, 1e-45_f32..1e-37],
            pixels: Vec<u8>,
        ) {
            for path in available() {
                let channel = Channel::new(mean, std, path);
                let (mut computed, mut found) = (vec![0.0; pixels.len()], vec![0.0; pixels.len()]);
                channel.look_up(&pixels, &mut found);
                if let Some(factors) = channel.factors {
                    run(path, Row { factors, pixels: &pixels, out: &mut computed });
                    prop_assert_eq!(&computed, &found);
                }
            }
        }
    }
}

//! libjpeg's "fancy" upsampling: each new sample is 3/4 the nearer and 1/4 the further old one.

use super::component::Component;
use crate::image::simd::jpeg_colour::STEP;
use crate::image::simd::{self, Instructions, Path, Work};

/// Full-width rows of one component, with the buffers they need.
#[derive(Default)]
pub(super) struct Upsampler {
    out: Vec<u8>,
    /// sums down a pair of rows, with the ends repeated
    sums: Vec<u16>,
}

impl Upsampler {
    /// Picture row `y`, readable up to a multiple of [`STEP`] samples.
    pub(super) fn row<'a>(
        &'a mut self,
        component: &'a Component,
        y: usize,
        path: Path,
    ) -> &'a [u8] {
        // libjpeg leaves very narrow components to plain repetition.
        let fancy = component.width > 2;
        let (across, down) = component.ratio;
        let near = component.row(y / down);
        // The row on the other side of the new one, for two new rows from each.
        let far = || {
            component.row(if y.is_multiple_of(2) { (y / 2).saturating_sub(1) } else { y / 2 + 1 })
        };
        match (across, down) {
            (1, 1) => return component.padded_row(y),
            (2, 1) if fancy => self.spread(Near { near }, path),
            (2, 2) if fancy => self.spread(NearAndFar { near, far: far() }, path),
            (1, 2) => self.mix(near, far(), 1 + (y % 2) as u16),
            _ => self.repeat(near, across),
        }
        &self.out
    }

    /// New rows between old ones, with the same number of samples.
    fn mix(&mut self, near: &[u8], far: &[u8], round: u16) {
        let mix = |(near, far): (&u8, &u8)| (u16::from(*near) * 3 + u16::from(*far) + round) >> 2;
        self.out.clear();
        self.out.extend(near.iter().zip(far).map(|pair| mix(pair) as u8));
        self.out.resize(near.len().next_multiple_of(STEP), 0);
    }

    fn spread<S: Sums>(&mut self, sums: S, path: Path) {
        let count = sums.count();
        self.sums.resize(count + 2, 0);
        self.out.resize((2 * count).next_multiple_of(STEP), 0);
        simd::run(
            path,
            Spread { from: sums, sums: &mut self.sums, out: &mut self.out[..2 * count] },
        );
    }

    /// Each sample `times` times.
    fn repeat(&mut self, row: &[u8], times: usize) {
        self.out.clear();
        self.out.extend(row.iter().flat_map(|sample| std::iter::repeat_n(*sample, times)));
        self.out.resize((times * row.len()).next_multiple_of(STEP), 0);
    }
}

/// What is spread along a row, and how it is rounded.
trait Sums {
    const SHIFT: u32;
    /// for the left and the right one of two new samples
    const ROUND: [u16; 2];

    fn count(&self) -> usize;

    fn write(&self, sums: &mut [u16]);
}

/// A row on its own.
struct Near<'a> {
    near: &'a [u8],
}

impl Sums for Near<'_> {
    const SHIFT: u32 = 2;
    const ROUND: [u16; 2] = [1, 2];

    fn count(&self) -> usize {
        self.near.len()
    }

    #[inline(always)]
    fn write(&self, sums: &mut [u16]) {
        for (sum, near) in sums.iter_mut().zip(self.near) {
            *sum = u16::from(*near);
        }
    }
}

/// Three times the nearer row plus the further one.
struct NearAndFar<'a> {
    near: &'a [u8],
    far: &'a [u8],
}

impl Sums for NearAndFar<'_> {
    const SHIFT: u32 = 4;
    const ROUND: [u16; 2] = [8, 7];

    fn count(&self) -> usize {
        self.near.len()
    }

    #[inline(always)]
    fn write(&self, sums: &mut [u16]) {
        for (sum, (near, far)) in sums.iter_mut().zip(self.near.iter().zip(self.far)) {
            *sum = u16::from(*near).wrapping_mul(3).wrapping_add(u16::from(*far));
        }
    }
}

/// Two samples per sum, leaning left and right.
struct Spread<'a, S> {
    from: S,
    sums: &'a mut [u16],
    out: &'a mut [u8],
}

impl<S: Sums> Work for Spread<'_, S> {
    type Output = ();

    #[inline(always)]
    fn run<I: Instructions>(self) {
        let count = self.from.count();
        let sums = self.sums;
        self.from.write(&mut sums[1..=count]);
        // Repeated ends make the general formula give libjpeg's special first and last samples.
        sums[0] = sums[1];
        sums[count + 1] = sums[count];
        let neighbours = sums[..count].iter().zip(&sums[1..=count]).zip(&sums[2..]);
        for (pair, ((left, middle), right)) in
            self.out.as_chunks_mut::<2>().0.iter_mut().zip(neighbours)
        {
            let three = middle.wrapping_mul(3);
            let sample = |other: u16, round| {
                (three.wrapping_add(other).wrapping_add(round) >> S::SHIFT) as u8
            };
            *pair = [sample(*left, S::ROUND[0]), sample(*right, S::ROUND[1])];
        }
    }
}

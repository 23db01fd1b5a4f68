//! libjpeg's "fancy" upsampling: each new sample is 3/4 the nearer and 1/4 the further old one.

use super::component::Component;

/// Full-width rows of one component, with the buffers they need.
pub(super) struct Rows {
    /// the row asked for, at least as wide as the picture
    pub(super) out: Vec<u8>,
    /// sums down a pair of rows, with the ends repeated
    sums: Vec<u16>,
}

impl Rows {
    pub(super) fn new() -> Self {
        Self { out: Vec::new(), sums: Vec::new() }
    }

    /// Fills `out` with picture row `y`.
    pub(super) fn fill(&mut self, component: &Component, y: usize) {
        // libjpeg leaves very narrow components to plain repetition.
        let fancy = component.width > 2;
        match component.ratio {
            (1, _) => {
                self.out.clear();
                self.out.extend_from_slice(component.row(y));
            }
            (_, 1) if fancy => {
                self.sum_rows(component.row(y), None);
                self.spread::<2>(1, 2);
            }
            (_, 2) if fancy => {
                let near = y / 2;
                let far = if y.is_multiple_of(2) { near.saturating_sub(1) } else { near + 1 };
                self.sum_rows(component.row(near), Some(component.row(far)));
                self.spread::<4>(8, 7);
            }
            (_, down) => self.repeat(component.row(y / down)),
        }
    }

    /// `sums[1..=n]` = the row, or three times the near row plus the far row.
    fn sum_rows(&mut self, near: &[u8], far: Option<&[u8]>) {
        self.sums.clear();
        self.sums.push(0);
        match far {
            None => self.sums.extend(near.iter().map(|n| u16::from(*n))),
            Some(far) => {
                let pairs = near.iter().zip(far);
                self.sums.extend(pairs.map(|(n, f)| u16::from(*n) * 3 + u16::from(*f)));
            }
        }
        // Repeated ends make the general formula give libjpeg's special first and last samples.
        self.sums[0] = self.sums[1];
        self.sums.push(self.sums[near.len()]);
    }

    /// Two samples per sum, leaning left and right.
    fn spread<const SHIFT: u32>(&mut self, left_round: u16, right_round: u16) {
        let count = self.sums.len() - 2;
        self.out.resize(2 * count, 0);
        let (left, middle, right) = (&self.sums[..count], &self.sums[1..], &self.sums[2..]);
        let neighbours = left.iter().zip(middle).zip(right);
        for (pair, ((l, m), r)) in self.out.chunks_exact_mut(2).zip(neighbours) {
            let three = m.wrapping_mul(3);
            pair[0] = (three.wrapping_add(*l).wrapping_add(left_round) >> SHIFT) as u8;
            pair[1] = (three.wrapping_add(*r).wrapping_add(right_round) >> SHIFT) as u8;
        }
    }

    fn repeat(&mut self, row: &[u8]) {
        self.out.clear();
        self.out.extend(row.iter().flat_map(|sample| [*sample; 2]));
    }
}

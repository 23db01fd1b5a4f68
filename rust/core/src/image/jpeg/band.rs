//! The part of all coefficients that one scan of a progressive file brings.

use super::malformed;
use crate::Result;

/// Which coefficients a scan brings, and which of their bits.
#[derive(Clone, Copy)]
pub(super) struct Band {
    /// first and last index in file order
    pub(super) first: usize,
    pub(super) last: usize,
    /// the bit below which earlier scans stopped, 0 = there were none
    pub(super) high: u8,
    /// the lowest bit of this scan
    pub(super) low: u8,
}

impl Band {
    /// Reads the last three bytes of a scan header for `components` components.
    ///
    /// # Errors
    /// `Malformed` for values outside the standard.
    pub(super) fn read([first, last, bits]: [u8; 3], components: usize) -> Result<Self> {
        let (first, last) = (usize::from(first), usize::from(last));
        let (high, low) = (bits >> 4, bits & 15);
        let fits =
            if first == 0 { last == 0 } else { (first..64).contains(&last) && components == 1 };
        if !fits || low > 13 || (high > 0 && high != low + 1) {
            return Err(malformed(format!(
                "a progressive scan of coefficients {first}..{last}, bits {high} to {low}"
            )));
        }
        Ok(Self { first, last, high, low })
    }

    /// Whether it brings one more bit of the DC values, which no code stands for.
    pub(super) fn refines_dc(self) -> bool {
        self.first == 0 && self.high > 0
    }
}

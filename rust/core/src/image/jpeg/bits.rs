//! A bit buffer over one entropy-coded segment.

/// The next bits of a segment, most significant first.
///
/// Behind the end come zero bits, without limit: the hot loop asks nothing, and the caller compares
/// [`Bits::consumed`] with the length of the segment after each block.
#[derive(Clone, Copy)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// bytes moved into the buffer
    at: usize,
    buffer: u64,
    /// valid bits in `buffer`
    valid: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, buffer: 0, valid: 0 }
    }

    /// Fills the buffer to at least 56 valid bits.
    #[inline(always)]
    pub(super) fn refill(&mut self) {
        let next = match self.bytes.get(self.at..).and_then(|rest| rest.first_chunk()) {
            Some(eight) => u64::from_be_bytes(*eight),
            None => self.last_bytes(),
        };
        // Bits beyond `valid` are the same bytes again next time, so or-ing them twice is harmless.
        self.buffer |= next >> (self.valid & 63);
        self.at = self.at.wrapping_add(((63_u32.wrapping_sub(self.valid)) >> 3) as usize);
        self.valid |= 0x38; // 56, and what was there below eight
    }

    #[cold]
    fn last_bytes(&self) -> u64 {
        let mut eight = [0; 8];
        if let Some(rest) = self.bytes.get(self.at..) {
            eight[..rest.len()].copy_from_slice(rest);
        }
        u64::from_be_bytes(eight)
    }

    /// The next `count` (1..=32) bits without taking them.
    #[inline(always)]
    pub(super) fn peek(&self, count: u32) -> u32 {
        (self.buffer >> (64 - count)) as u32
    }

    /// Takes `count` bits, at most as many as are valid.
    #[inline(always)]
    pub(super) fn drop(&mut self, count: u32) {
        debug_assert!(count <= self.valid, "took {count} bits of {}", self.valid);
        self.buffer <<= count & 63;
        self.valid = self.valid.wrapping_sub(count);
    }

    /// Takes `count` (0..=32) bits.
    #[inline(always)]
    pub(super) fn take(&mut self, count: u32) -> u32 {
        // In two steps, because a shift by 64 is none.
        let value = (self.buffer >> 1 >> (63 - count)) as u32;
        self.drop(count);
        value
    }

    /// The magnitude of `size` (0..=15) bits behind a code of `length` bits, as a signed number;
    /// nothing is taken. Without a branch: whether a value is negative is as good as random.
    #[inline(always)]
    pub(super) fn value_behind(&self, length: u32, size: u32) -> i16 {
        let rest = self.buffer << (length & 63);
        // In two steps, because a shift by 64 is none.
        let magnitude = (rest >> 1) >> (63 - (size & 15));
        let negative = (!rest as i64 >> 63) as i32;
        (magnitude as i32).wrapping_add(negative & 1_i32.wrapping_sub(1 << (size & 15))) as i16
    }

    /// Gives back `count` bits, which may have left the buffer.
    #[inline(always)]
    pub(super) fn give_back(&mut self, count: u32) {
        let taken = self.consumed() - count as usize;
        (self.at, self.buffer, self.valid) = (taken / 8, 0, 0);
        self.refill();
        self.drop(taken as u32 % 8);
    }

    /// Whether more bits were taken than the segment has.
    #[inline(always)]
    pub(super) fn overrun(&self) -> bool {
        self.consumed() > self.bytes.len() * 8
    }

    /// Bits taken so far.
    #[inline(always)]
    fn consumed(&self) -> usize {
        self.at * 8 - self.valid as usize
    }
}

/// A `size`-bit magnitude as a signed number: the lower half of the range is negative.
#[inline(always)]
pub(super) fn extend(value: i32, size: u32) -> i32 {
    let half = 1_i32 << (size - 1);
    if value < half { value + 1 - half * 2 } else { value }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Bits, extend};

    #[test]
    fn magnitudes_follow_the_table_of_the_standard() {
        assert_eq!(
            [extend(0, 1), extend(1, 1), extend(0, 3), extend(3, 3), extend(4, 3)],
            [-1, 1, -7, -4, 4]
        );
    }

    proptest! {
        #[test]
        fn bits_come_in_order_and_the_overrun_is_seen(
            bytes in prop::collection::vec(any::<u8>(), 0..40),
            counts in prop::collection::vec(1_u32..=16, 1..60),
        ) {
            let all: Vec<u32> =
                bytes.iter().flat_map(|b| (0..8).rev().map(move |i| u32::from(b >> i & 1))).collect();
            let (mut bits, mut at) = (Bits::new(&bytes), 0);
            for count in counts {
                bits.refill();
                let next = (at..at + count as usize).map(|i| all.get(i).copied().unwrap_or(0));
                prop_assert_eq!(bits.peek(count), next.fold(0, |value, bit| value << 1 | bit));
                bits.drop(count);
                at += count as usize;
                prop_assert_eq!(bits.overrun(), at > all.len());
            }
        }
    }
}

//! A bit buffer over one entropy-coded segment.

/// The next bits of a segment, most significant first.
///
/// Behind the end come zero bits, without limit: the hot loop asks nothing, and the caller asks
/// [`Bits::overrun`] after each unit. Nothing takes a reference to it out of the hot loop, so that it
/// lives in registers there.
#[derive(Clone, Copy)]
pub(super) struct Bits<'a> {
    /// what was not moved into the buffer yet
    rest: &'a [u8],
    buffer: u64,
    /// valid bits in `buffer`, 0..=63: in the low six bits; those above mean nothing
    valid: u32,
    /// zero bytes moved into the buffer behind the end
    beyond: usize,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, buffer: 0, valid: 0, beyond: 0 }
    }

    /// Fills the buffer to at least 56 valid bits.
    #[inline(always)]
    pub(super) fn refill(&mut self) {
        let Some(eight) = self.rest.first_chunk() else {
            *self = self.refilled_at_the_end();
            return;
        };
        let moved = self.push(*eight);
        self.rest = &self.rest[moved..];
    }

    /// Puts as many bytes as fit behind the valid bits; how many comes back.
    #[inline(always)]
    fn push(&mut self, bytes: [u8; 8]) -> usize {
        // Bits beyond `valid` are the same bytes again next time, so or-ing them twice is harmless.
        self.buffer |= u64::from_be_bytes(bytes) >> (self.valid & 63);
        let moved = (!self.valid >> 3) & 7;
        self.valid |= 0x38; // 56, and what was there below eight
        moved as usize
    }

    #[cold]
    fn refilled_at_the_end(mut self) -> Self {
        let mut eight = [0; 8];
        let len = self.rest.len().min(8);
        eight[..len].copy_from_slice(&self.rest[..len]);
        let moved = self.push(eight);
        self.rest = &self.rest[moved.min(len)..];
        self.beyond += moved.saturating_sub(len);
        self
    }

    /// The valid bits, left-aligned; behind them come any.
    #[inline(always)]
    pub(super) fn buffer(&self) -> u64 {
        self.buffer
    }

    /// Takes `count` bits, at most as many as are valid. Only the low six bits of `count` count.
    #[inline(always)]
    pub(super) fn drop(&mut self, count: u32) {
        debug_assert!(count & 63 <= self.valid & 63, "took {count} bits of {}", self.valid);
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

    /// Whether more bits were taken than the segment has.
    #[inline(always)]
    pub(super) fn overrun(&self) -> bool {
        self.beyond * 8 > (self.valid & 63) as usize
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Bits;

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
                prop_assert_eq!((bits.buffer() >> (64 - count)) as u32, next.fold(0, |value, bit| value << 1 | bit));
                bits.drop(count);
                at += count as usize;
                prop_assert_eq!(bits.overrun(), at > all.len());
            }
        }
    }
}

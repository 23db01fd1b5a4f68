//! The form of a record: a head of 64 bytes, then the payload.
//!
//! Numbers are little endian: magic (8 bytes), content (16), settings (8), height (4), width (4),
//! length of the payload (8), its checksum (8), checksum of all of these (8).

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::Key;

const MAGIC: [u8; 8] = *b"lfpixel1";

/// Bytes of a head.
pub(super) const HEAD: usize = 64;

/// What stands before a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) key: Key,
    /// height and width of the picture in its file
    pub(super) size: (u32, u32),
    /// bytes of the payload
    pub(super) length: u64,
    /// of the payload, and of what stands before it in the head
    pub(super) checksum: u64,
}

impl Head {
    pub(super) fn new(key: Key, size: (u32, u32), payload: &[u8]) -> Self {
        let mut head = Self { key, size, length: payload.len() as u64, checksum: 0 };
        head.checksum = head.sum(payload);
        head
    }

    /// Whether `payload` is what was written under this head.
    pub(super) fn fits(&self, payload: &[u8]) -> bool {
        self.length == payload.len() as u64 && self.checksum == self.sum(payload)
    }

    fn sum(&self, payload: &[u8]) -> u64 {
        xxh3_64_with_seed(payload, xxh3_64(&self.named()))
    }

    /// The fields before the checksums.
    fn named(&self) -> [u8; HEAD - 16] {
        let mut bytes = [0; HEAD - 16];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..24].copy_from_slice(&self.key.content.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.key.settings.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.size.0.to_le_bytes());
        bytes[36..40].copy_from_slice(&self.size.1.to_le_bytes());
        bytes[40..].copy_from_slice(&self.length.to_le_bytes());
        bytes
    }

    pub(super) fn to_bytes(self) -> [u8; HEAD] {
        let mut bytes = [0; HEAD];
        bytes[..HEAD - 16].copy_from_slice(&self.named());
        bytes[HEAD - 16..HEAD - 8].copy_from_slice(&self.checksum.to_le_bytes());
        let own = xxh3_64(&bytes[..HEAD - 8]);
        bytes[HEAD - 8..].copy_from_slice(&own.to_le_bytes());
        bytes
    }

    /// `None` for bytes that no [`Head::to_bytes`] wrote.
    pub(super) fn from_bytes(bytes: &[u8; HEAD]) -> Option<Self> {
        let at = |start| number::<8>(bytes, start).map(u64::from_le_bytes);
        let side = |start| number::<4>(bytes, start).map(u32::from_le_bytes);
        if bytes[..8] != MAGIC || at(HEAD - 8)? != xxh3_64(&bytes[..HEAD - 8]) {
            return None;
        }
        let content = u128::from_le_bytes(number::<16>(bytes, 8)?);
        let key = Key { content, settings: at(24)? };
        let size = (side(32)?, side(36)?);
        Some(Self { key, size, length: at(40)?, checksum: at(48)? })
    }
}

fn number<const N: usize>(bytes: &[u8; HEAD], start: usize) -> Option<[u8; N]> {
    bytes[start..].first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{HEAD, Head};
    use crate::cache::Key;

    proptest! {
        #[test]
        fn a_head_comes_back_and_a_flipped_bit_does_not(
            content: u128, settings: u64, size: (u32, u32), payload: Vec<u8>, bit in 0..HEAD * 8,
        ) {
            let head = Head::new(Key { content, settings }, size, &payload);
            let mut bytes = head.to_bytes();
            prop_assert_eq!(Head::from_bytes(&bytes), Some(head));
            prop_assert!(head.fits(&payload));
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(Head::from_bytes(&bytes), None);
        }

        #[test]
        fn a_flipped_payload_does_not_fit(mut payload in prop::collection::vec(any::<u8>(), 1..999), bit: usize) {
            let head = Head::new(Key { content: 1, settings: 2 }, (3, 4), &payload);
            let bit = bit % (payload.len() * 8);
            payload[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!head.fits(&payload));
            prop_assert!(!head.fits(&payload[1..]));
        }
    }
}

//! A 64-bit hash that stays the same over releases, machines and threads.
//!
//! It tells one data set or tokenizer from another in caches and checkpoints. It resists accidents,
//! not attackers.

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x9e37_79b9_7f4a_7c15;

/// Hash of a byte string, eight bytes at a time; the length is part of it.
#[must_use]
pub fn fingerprint(bytes: &[u8]) -> u64 {
    let mut chunks = bytes.chunks_exact(8);
    let mut hash = chunks.by_ref().fold(OFFSET, |hash, chunk| mix(hash, word(chunk)));
    hash = mix(hash, word(chunks.remainder()));
    mix(hash, bytes.len() as u64)
}

fn mix(hash: u64, word: u64) -> u64 {
    let product = (hash ^ word).wrapping_mul(PRIME);
    product ^ (product >> 32)
}

fn word(bytes: &[u8]) -> u64 {
    let mut padded = [0; 8];
    padded[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(padded)
}

#[cfg(test)]
mod tests {
    use super::fingerprint;

    #[test]
    fn one_bit_a_swap_or_a_trailing_zero_changes_it() {
        let text = b"a conversation about a picture";
        let mut flipped = *text;
        flipped[9] ^= 1;
        let mut swapped = *text;
        swapped[..16].rotate_left(8);
        assert_eq!(fingerprint(text), fingerprint(text));
        assert_ne!(fingerprint(text), fingerprint(&flipped));
        assert_ne!(fingerprint(text), fingerprint(&swapped));
        assert_ne!(fingerprint(b"a"), fingerprint(b"a\0"));
    }
}

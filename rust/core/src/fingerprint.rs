//! A 64-bit hash that stays the same over releases, machines and threads.
//!
//! It tells one data set or tokenizer from another in caches and checkpoints. It resists accidents,
//! not attackers.

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x9e37_79b9_7f4a_7c15;
const WORD: usize = 8;

/// Hash of a byte string, eight bytes at a time; the length is part of it.
#[must_use]
pub fn fingerprint(bytes: &[u8]) -> u64 {
    let mut hasher = Fingerprint::default();
    hasher.update(bytes);
    hasher.finish()
}

/// The same hash of bytes that come piece by piece; where they are cut does not matter.
#[derive(Clone, Debug)]
pub struct Fingerprint {
    hash: u64,
    /// what does not fill a word yet
    rest: [u8; WORD],
    length: u64,
}

impl Default for Fingerprint {
    fn default() -> Self {
        Self { hash: OFFSET, rest: [0; WORD], length: 0 }
    }
}

impl Fingerprint {
    /// Adds bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        let filled = self.filled();
        self.length += bytes.len() as u64;
        if filled > 0 {
            let (head, tail) = bytes.split_at(bytes.len().min(WORD - filled));
            self.rest[filled..filled + head.len()].copy_from_slice(head);
            if filled + head.len() < WORD {
                return;
            }
            self.hash = mix(self.hash, u64::from_le_bytes(self.rest));
            bytes = tail;
        }
        let mut chunks = bytes.chunks_exact(WORD);
        self.hash = chunks.by_ref().fold(self.hash, |hash, chunk| mix(hash, word(chunk)));
        let rest = chunks.remainder();
        self.rest[..rest.len()].copy_from_slice(rest);
    }

    /// The hash of all bytes so far.
    #[must_use]
    pub fn finish(&self) -> u64 {
        mix(mix(self.hash, word(&self.rest[..self.filled()])), self.length)
    }

    fn filled(&self) -> usize {
        (self.length % WORD as u64) as usize
    }
}

fn mix(hash: u64, word: u64) -> u64 {
    let product = (hash ^ word).wrapping_mul(PRIME);
    product ^ (product >> 32)
}

fn word(bytes: &[u8]) -> u64 {
    let mut padded = [0; WORD];
    padded[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(padded)
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn it_is_what_earlier_releases_wrote_and_pieces_do_not_matter() {
        let text: Vec<u8> = (0..=255).collect();
        for length in [0, 1, 7, 8, 9, 63, 256] {
            let whole = fingerprint(&text[..length]);
            assert_eq!(whole, by_definition(&text[..length]), "{length} bytes");
            for size in 1..20 {
                let mut pieces = Fingerprint::default();
                text[..length].chunks(size).for_each(|piece| pieces.update(piece));
                assert_eq!(pieces.finish(), whole, "{length} bytes by {size}");
            }
        }
    }

    /// Words of eight bytes, the rest padded with zeros, the length.
    fn by_definition(bytes: &[u8]) -> u64 {
        let mut words: Vec<u64> = bytes.chunks_exact(8).map(word).collect();
        words.push(word(&bytes[bytes.len() / 8 * 8..]));
        words.push(bytes.len() as u64);
        words.into_iter().fold(OFFSET, mix)
    }
}

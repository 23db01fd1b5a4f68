//! Words that were encoded before.
//!
//! One table per thread: nothing is locked, so a process may fork at any time, and nothing is shared,
//! so a thread never waits. The tokenizers of a process share it. It holds a few MiB at most; full, it
//! starts anew.

use std::cell::RefCell;

use xxhash_rust::xxh3::xxh3_64_with_seed;

const MOST_WORDS: usize = 1 << 16;
const MOST_BYTES: usize = 1 << 20;
const MOST_TOKENS: usize = 1 << 18;
const LEAST_SLOTS: usize = 1 << 10;

/// An id and the bytes of its word that it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// id
    pub id: u32,
    /// first byte
    pub start: u8,
    /// byte after the last
    pub end: u8,
}

/// A word as one tokenizer sees it.
#[derive(Clone, Copy)]
pub struct Key<'a> {
    /// the tokenizer, and whether it puts a prefix before the word
    owner: u64,
    word: &'a [u8],
    /// with the length, all of a word of up to eight bytes
    head: u64,
    hash: u64,
}

impl<'a> Key<'a> {
    /// `owner`: a number that no other way to encode a word has.
    #[inline]
    pub fn new(owner: u64, word: &'a str) -> Self {
        let word = word.as_bytes();
        let head = head(word);
        let hash = if word.len() <= size_of::<u64>() {
            mix(head ^ owner.wrapping_mul(FACTORS[0]) ^ word.len() as u64)
        } else {
            xxh3_64_with_seed(word, owner)
        };
        Self { owner, word, head, hash }
    }
}

/// Odd numbers without a pattern, from the digits of pi.
const FACTORS: [u64; 2] = [0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7345];

/// The first eight bytes; those of a shorter word in an order of its length.
#[inline]
fn head(word: &[u8]) -> u64 {
    let four = |at: usize| {
        let bytes = [word[at], word[at + 1], word[at + 2], word[at + 3]];
        u64::from(u32::from_le_bytes(bytes))
    };
    match word.len() {
        0 => 0,
        length @ 1..4 => [0, length / 2, length - 1]
            .map(|at| u64::from(word[at]))
            .into_iter()
            .fold(0, |head, byte| head << 8 | byte),
        length @ 4..8 => four(0) | four(length - 4) << 32,
        _ => four(0) | four(4) << 32,
    }
}

#[inline]
fn mix(word: u64) -> u64 {
    let product = u128::from(word) * u128::from(FACTORS[1]);
    product as u64 ^ (product >> 64) as u64
}

#[derive(Clone, Copy, Default)]
struct Slot {
    head: u64,
    owner: u64,
    hash: u32,
    word: u32,
    tokens: u32,
    count: u16,
    length: u8,
}

/// The words of a thread.
#[derive(Default)]
pub struct Cache {
    /// a power of two of them, at most half of them used; one with length 0 is free
    slots: Vec<Slot>,
    used: usize,
    words: Vec<u8>,
    tokens: Vec<Token>,
}

thread_local! {
    static CACHE: RefCell<Cache> = RefCell::default();
}

impl Cache {
    /// Runs `work` on the table of this thread.
    pub fn with<T>(work: impl FnOnce(&mut Self) -> T) -> T {
        CACHE.with_borrow_mut(work)
    }

    /// What a word was encoded to.
    #[inline]
    pub fn find(&self, key: &Key) -> Option<&[Token]> {
        if self.slots.is_empty() {
            return None;
        }
        let slot = self.slots[self.place(key)];
        let tokens = slot.tokens as usize;
        (slot.length > 0).then(|| &self.tokens[tokens..tokens + usize::from(slot.count)])
    }

    /// Keeps a word that is not in the table, but not a long one: None is a place past 255 bytes.
    pub fn insert(&mut self, key: &Key, tokens: impl ExactSizeIterator<Item = Option<Token>>) {
        let (length, count) = (u8::try_from(key.word.len()), u16::try_from(tokens.len()));
        let (Ok(length), Ok(count)) = (length, count) else { return };
        self.make_room(key.word.len(), tokens.len());
        let first = self.tokens.len();
        self.tokens.extend(tokens.map_while(|token| token));
        if self.tokens.len() < first + usize::from(count) {
            self.tokens.truncate(first);
            return;
        }
        let place = self.place(key);
        let (word, tokens) = (self.words.len() as u32, first as u32);
        let (head, owner, hash) = (key.head, key.owner, key.hash as u32);
        self.slots[place] = Slot { head, owner, hash, word, tokens, count, length };
        self.used += 1;
        self.words.extend_from_slice(key.word);
    }

    /// The slot of a word, or the free one where it belongs.
    #[inline]
    fn place(&self, key: &Key) -> usize {
        let mask = self.slots.len() - 1;
        let mut place = key.hash as usize & mask;
        loop {
            let slot = &self.slots[place];
            if slot.length == 0 || self.holds(slot, key) {
                return place;
            }
            place = (place + 1) & mask;
        }
    }

    #[inline]
    fn holds(&self, slot: &Slot, key: &Key) -> bool {
        let length = usize::from(slot.length);
        let word = slot.word as usize;
        slot.head == key.head
            && slot.owner == key.owner
            && length == key.word.len()
            && (length <= size_of::<u64>() || self.words[word..word + length] == *key.word)
    }

    fn make_room(&mut self, bytes: usize, tokens: usize) {
        let full = self.used == MOST_WORDS
            || self.words.len() + bytes > MOST_BYTES
            || self.tokens.len() + tokens > MOST_TOKENS;
        if full {
            self.slots.fill(Slot::default());
            self.used = 0;
            self.words.clear();
            self.tokens.clear();
        }
        if self.used * 2 >= self.slots.len() {
            self.grow();
        }
    }

    fn grow(&mut self) {
        let slots = vec![Slot::default(); (self.slots.len() * 2).max(LEAST_SLOTS)];
        let old = std::mem::replace(&mut self.slots, slots);
        let mask = self.slots.len() - 1;
        for slot in old.into_iter().filter(|slot| slot.length > 0) {
            let mut place = slot.hash as usize & mask;
            while self.slots[place].length > 0 {
                place = (place + 1) & mask;
            }
            self.slots[place] = slot;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(number: u32) -> Vec<Option<Token>> {
        (0..number % 4).map(|i| Some(Token { id: number + i, start: i as u8, end: 9 })).collect()
    }

    #[test]
    fn a_word_is_found_until_the_table_is_full_and_never_mistaken() {
        let mut cache = Cache::default();
        let mut dropped = 0;
        for number in 0..3 * MOST_WORDS as u32 {
            let word = number.to_string();
            let key = Key::new(u64::from(number % 3), &word);
            assert!(cache.find(&key).is_none());
            let found = cache.used;
            cache.insert(&key, tokens(number).into_iter());
            dropped += u32::from(cache.used < found);
            let expected: Vec<Token> = tokens(number).into_iter().flatten().collect();
            assert_eq!(cache.find(&key), Some(&expected[..]));
            assert!(cache.find(&Key::new(u64::from(number % 3) + 1, &word)).is_none());
        }
        assert_eq!(dropped, 2);
        let held = cache.slots.len() * size_of::<Slot>() + cache.words.capacity();
        assert!(held + cache.tokens.capacity() * size_of::<Token>() <= 8 << 20);
    }

    #[test]
    fn what_does_not_fit_is_not_kept() {
        let mut cache = Cache::default();
        let long = "x".repeat(256);
        cache.insert(&Key::new(0, &long), tokens(1).into_iter());
        cache.insert(&Key::new(0, "far"), [tokens(1)[0], None].into_iter());
        assert!(cache.find(&Key::new(0, &long)).is_none());
        assert!(cache.find(&Key::new(0, "far")).is_none());
        assert!(cache.words.is_empty() && cache.tokens.is_empty());
    }
}

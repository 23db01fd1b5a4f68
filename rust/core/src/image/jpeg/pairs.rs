//! Two AC coefficients by one look-up.
//!
//! Entropy decoding waits: for the look-up, for the shift by what it found, for the next look-up.
//! Photographs spend about six bits on a coefficient, so eleven bits often hold two of them; taking
//! both at once nearly halves the number of steps in that chain.

use super::huffman::{Codes, Kind, Spec};
use crate::Result;

/// Entries of a table for AC values: eleven bits. Ten and twelve measured slower.
const AC_ENTRIES: usize = 1 << 11;

/// Entries of a table for DC values, of which each block has but one: the smaller it is, the more of
/// the nearest cache is left to the other tables.
pub(super) const DC_ENTRIES: usize = 1 << 9;

/// Bits that a look-up takes at most: a full buffer of 56 holds three. Symbols of more are rare.
const MOST_TAKEN: u32 = 18;

/// Added to the coefficient index by an end-of-block symbol, which so leads to a place that no other
/// symbol reaches. In progressive files it may end several blocks; their number has as many bits as
/// this has more.
pub(super) const END_OF_BLOCK: u8 = 128;

/// One or two symbols. The first value may have bits beyond the look-up and is finished with those of
/// the buffer ([`Pair::first_value`]); the second is here.
///
/// Bits 0..8 what both take, 8..16 how far right to shift the buffer for what the first takes, 16..32
/// what to add to that for its value, 32..40 its advance, 40..48 the advance of both, 48..64 the
/// second value.
#[derive(Clone, Copy, Default)]
pub(super) struct Pair(u64);

impl Pair {
    /// The symbol whose code has `length` bits, at the start of `buffer`. Of its magnitude only the
    /// first bit, the sign, need be there.
    fn first(symbol: u8, length: u32, buffer: u64) -> Self {
        let (run, size) = (symbol >> 4, u32::from(symbol & 15));
        // Of the symbols without a value only 15/0, sixteen zeros, goes on.
        let advance = if size == 0 && run < 15 { END_OF_BLOCK + run } else { run + 1 };
        let code = (buffer >> (64 - length)) as i32;
        // The lower half of the magnitudes stands for negative values.
        let negative = size > 0 && buffer << length >> 63 == 0;
        let value = (if negative { 1 - (1 << size) } else { 0 }) - (code << size);
        let taken = u64::from(length + size);
        let advances = u64::from(advance) << 32 | u64::from(advance) << 40;
        Self(taken | (64 - taken) << 8 | u64::from(value as u16) << 16 | advances)
    }

    /// Adds a second symbol.
    fn then(self, second: Self, value: i16) -> Self {
        let sums = u64::from(second.taken()) | u64::from(second.advance()) << 40;
        Self((self.0 + sums) | u64::from(value as u16) << 48)
    }

    /// No code starts with these bits, or one that is not decoded by look-up.
    #[inline(always)]
    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Bits that both symbols take.
    #[inline(always)]
    fn taken(self) -> u32 {
        self.0 as u32 & 0xFF
    }

    /// The same for `Bits::drop`, which ignores what stands above.
    #[inline(always)]
    pub(super) fn drop_both(self) -> u32 {
        self.0 as u32
    }

    /// Bits that the first symbol takes, for `Bits::drop`.
    #[inline(always)]
    pub(super) fn drop_first(self) -> u32 {
        ((self.0 >> 8) as u32).wrapping_neg() & 63
    }

    /// How far the first symbol moves the coefficient index.
    #[inline(always)]
    pub(super) fn advance(self) -> u8 {
        (self.0 >> 32) as u8
    }

    /// How far both do; the same if there is no second one.
    #[inline(always)]
    pub(super) fn advance_of_both(self) -> u8 {
        (self.0 >> 40) as u8
    }

    /// The second value, or 0.
    #[inline(always)]
    pub(super) fn second_value(self) -> i16 {
        (self.0 >> 48) as i16
    }

    /// The first value, from the buffer as it was when the pair was found: code and magnitude, as one
    /// number, less the code; wrapping, because a code of 16 bits leaves nothing of 16 bits.
    #[inline(always)]
    pub(super) fn first_value(self, buffer: u64) -> i16 {
        let bits = buffer >> ((self.0 >> 8) & 63);
        (bits as u16).wrapping_add((self.0 >> 16) as u16) as i16
    }
}

/// A table for decoding; only one for AC values of first scans holds second symbols.
pub(super) struct Pairs<const ENTRIES: usize = AC_ENTRIES> {
    lookup: Box<[Pair; ENTRIES]>,
    /// for all other symbols
    codes: Codes,
}

impl<const ENTRIES: usize> Pairs<ENTRIES> {
    /// Codes up to this length are decoded by one look-up.
    const BITS: u32 = ENTRIES.ilog2();

    /// # Errors
    /// As [`Codes::new`].
    pub(super) fn new(spec: &Spec, kind: Kind) -> Result<Self> {
        let codes = Codes::new(spec, kind)?;
        let mut lookup = Box::new([Pair::default(); ENTRIES]);
        let mut code = 0;
        let mut symbols = spec.symbols.iter();
        for (length, count) in (1..=Self::BITS).zip(spec.counts) {
            for symbol in symbols.by_ref().take(usize::from(count)) {
                let free = Self::BITS - length;
                add_symbol(&mut lookup[code << free..][..1 << free], code, *symbol, length);
                code += 1;
            }
            code <<= 1;
        }
        // A refinement has more bits of its own behind each symbol.
        if kind == Kind::Ac {
            let singles = lookup.clone();
            for (bits, pair) in lookup.iter_mut().enumerate() {
                *pair = with_second(&*singles, bits, *pair);
            }
        }
        Ok(Self { lookup, codes })
    }

    /// What the buffer starts with; may be empty. At most 18 bits.
    #[inline(always)]
    pub(super) fn find(&self, buffer: u64) -> Pair {
        self.lookup[(buffer >> (64 - Self::BITS)) as usize]
    }

    /// A single symbol that [`Pairs::find`] does not know. It may take 31 bits.
    #[cold]
    pub(super) fn find_long(&self, buffer: u64) -> Option<Pair> {
        let (symbol, length) = self.codes.find((buffer >> 48) as u32)?;
        Some(Pair::first(symbol, length, buffer))
    }
}

/// Fills the entries that start with the code of a symbol.
fn add_symbol(entries: &mut [Pair], code: usize, symbol: u8, length: u32) {
    let size = u32::from(symbol & 15);
    let start = (code as u64) << (64 - length);
    if length + size > MOST_TAKEN {
        return;
    }
    if size == 0 {
        entries.fill(Pair::first(symbol, length, start));
    } else if entries.len() > 1 {
        // The bit behind the code is the sign; without it the look-up does not know the value.
        let (negative, positive) = entries.split_at_mut(entries.len() / 2);
        negative.fill(Pair::first(symbol, length, start));
        positive.fill(Pair::first(symbol, length, start | 1 << (63 - length)));
    }
}

/// Adds the symbol behind `pair`, if the look-up has all of its bits.
fn with_second(singles: &[Pair], bits: usize, pair: Pair) -> Pair {
    let all = singles.len().ilog2();
    let Some(free) = all.checked_sub(pair.taken()) else { return pair };
    if pair.is_empty() || pair.advance() >= END_OF_BLOCK {
        return pair;
    }
    let rest = (bits << pair.taken()) % singles.len();
    let second = singles[rest];
    // The end of several blocks, in a progressive file, has more bits behind it.
    if second.is_empty() || second.taken() > free || second.advance() > END_OF_BLOCK {
        return pair;
    }
    pair.then(second, second.first_value((rest as u64) << (64 - all)))
}

//! Two AC coefficients by one look-up.
//!
//! Entropy decoding waits: for the look-up, for the shift by what it found, for the next look-up.
//! Photographs spend about six bits on a coefficient, so eleven bits often hold two of them; taking
//! both at once nearly halves the number of steps in that chain.

use super::bits::{Bits, extend};
use super::huffman::{Codes, Kind, Spec};
use crate::Result;

/// Codes up to this length are decoded by one look-up. Ten and twelve bits measured slower.
const LOOKUP_BITS: u32 = 11;

/// Sizes up to this one are decoded by look-up: two such symbols fit the 56 bits of a full buffer
/// (16 bits of code and 10 of magnitude each). No 8-bit picture needs larger ones.
const MOST_SIZE: u32 = 10;

/// Added to the coefficient index by an end-of-block symbol: always beyond the block. In progressive
/// files such a symbol may end several blocks; their number has as many bits as this has more.
pub(super) const END_OF_BLOCK: usize = 64;

/// One or two symbols. The value of the first is still in the bits, since it need not lie within the
/// look-up; that of the second is here.
///
/// Bits 0..8 what both take, 8..16 the code length and 16..24 the magnitude size of the first,
/// 24..32 its advance, 32..40 the advance of the second or 0, 40..48 what the first takes, 48..64
/// the second value.
#[derive(Clone, Copy, Default)]
pub(super) struct Pair(u64);

impl Pair {
    fn first(length: u32, size: u32, advance: u32) -> Self {
        let taken = u64::from(length + size);
        let first = u64::from(length) << 8 | u64::from(size) << 16 | u64::from(advance) << 24;
        Self(taken | first | taken << 40)
    }

    /// Adds a second symbol.
    fn then(self, second: Self, value: i32) -> Self {
        let both = self.taken() + second.taken();
        let advance = (second.advance() as u64) << 32;
        Self(self.0 & !0xFF | u64::from(both) | advance | u64::from(value as u16) << 48)
    }

    /// No code starts with these bits, or one that is not decoded by look-up.
    #[inline(always)]
    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Bits that both symbols take.
    #[inline(always)]
    pub(super) fn taken(self) -> u32 {
        self.0 as u32 & 0xFF
    }

    /// Bits that the second symbol takes.
    #[inline(always)]
    pub(super) fn taken_by_second(self) -> u32 {
        self.taken() - ((self.0 >> 40) as u32 & 0xFF)
    }

    /// How far the first symbol moves the coefficient index.
    #[inline(always)]
    pub(super) fn advance(self) -> usize {
        (self.0 >> 24) as usize & 0xFF
    }

    /// How far the second one moves it on; 0 = there is none.
    #[inline(always)]
    pub(super) fn second_advance(self) -> usize {
        (self.0 >> 32) as usize & 0xFF
    }

    #[inline(always)]
    pub(super) fn second_value(self) -> i16 {
        (self.0 >> 48) as i16
    }

    /// The first value, from bits that were not taken yet.
    #[inline(always)]
    pub(super) fn first_value(self, bits: &Bits<'_>) -> i16 {
        bits.value_behind((self.0 >> 8) as u32 & 0xFF, (self.0 >> 16) as u32 & 0xFF)
    }
}

/// A table for sequential scans; one for DC values holds single symbols only.
pub(super) struct Pairs {
    lookup: Box<[Pair; 1 << LOOKUP_BITS]>,
    /// for all other symbols
    codes: Codes,
}

impl Pairs {
    /// # Errors
    /// As [`Table::new`].
    pub(super) fn new(spec: &Spec, kind: Kind) -> Result<Self> {
        let codes = Codes::new(spec, kind)?;
        let mut lookup = Box::new([Pair::default(); 1 << LOOKUP_BITS]);
        let mut code = 0;
        let mut symbols = spec.symbols.iter();
        for (length, count) in (1..=LOOKUP_BITS).zip(spec.counts) {
            for symbol in symbols.by_ref().take(usize::from(count)) {
                let free = LOOKUP_BITS - length;
                if u32::from(symbol & 15) <= MOST_SIZE {
                    lookup[code << free..][..1 << free].fill(first(*symbol, length));
                }
                code += 1;
            }
            code <<= 1;
        }
        // A refinement has more bits of its own behind each symbol.
        if kind == Kind::Ac {
            let singles = lookup.clone();
            for (bits, pair) in lookup.iter_mut().enumerate() {
                *pair = with_second(&singles, bits, *pair);
            }
        }
        Ok(Self { lookup, codes })
    }

    /// What the next bits hold; may be empty.
    #[inline(always)]
    pub(super) fn find(&self, bits: &Bits<'_>) -> Pair {
        self.lookup[bits.peek(LOOKUP_BITS) as usize]
    }

    /// A single symbol that [`Pairs::find`] does not know, from the next 16 bits. It may take 31.
    #[cold]
    pub(super) fn find_long(&self, next: u32) -> Option<Pair> {
        let (symbol, length) = self.codes.find(next)?;
        Some(first(symbol, length))
    }
}

/// The entry of one symbol.
fn first(symbol: u8, length: u32) -> Pair {
    let (run, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
    // Of the symbols without a value only 15/0, sixteen zeros, goes on.
    let advance = if size == 0 && run < 15 { END_OF_BLOCK as u32 + run } else { run + 1 };
    Pair::first(length, size, advance)
}

/// Adds the symbol behind `pair`, if the look-up has all of its bits.
fn with_second(singles: &[Pair; 1 << LOOKUP_BITS], bits: usize, pair: Pair) -> Pair {
    let Some(free) = LOOKUP_BITS.checked_sub(pair.taken()) else { return pair };
    if pair.is_empty() || pair.advance() >= END_OF_BLOCK {
        return pair;
    }
    let rest = bits & ((1 << free) - 1);
    let second = singles[rest << (LOOKUP_BITS - free)];
    // The end of several blocks, in a progressive file, has more bits behind it.
    if second.is_empty() || second.taken() > free || second.advance() > END_OF_BLOCK {
        return pair;
    }
    let size = (second.0 >> 16) as u32 & 0xFF;
    let magnitude = (rest >> (free - second.taken())) & ((1 << size) - 1);
    pair.then(second, if size == 0 { 0 } else { extend(magnitude as i32, size) })
}

//! Entropy decoding of one scan of a progressive file: some bits of some coefficients of all blocks.
//!
//! The bits of a step are counted as in `scan.rs`: two look-ups to a full buffer.

use super::band::Band;
use super::bits::Bits;
use super::coefficients::{Block, Coefficients};
use super::cursor::{Cursor, Step};
use super::malformed;
use super::pairs::{END_OF_BLOCK, Pair, Pairs};
use super::segments::Segments;
use crate::Result;
use crate::image::simd::{self, Instructions, Path, Work};

/// One component as this scan codes it.
pub(super) struct Part {
    /// index in the frame
    pub(super) component: usize,
    /// the codes; a scan that only refines DC values has none
    pub(super) codes: Option<Pairs>,
    /// blocks per coding unit, across and down
    pub(super) blocks: (usize, usize),
}

/// A scan: its parts, and the grid of coding units.
pub(super) struct Scan {
    pub(super) parts: Vec<Part>,
    pub(super) band: Band,
    pub(super) columns: usize,
    pub(super) rows: usize,
    /// units between restart markers; 0 = none
    pub(super) interval: usize,
}

impl Scan {
    /// Fails before anything is allocated if the data cannot hold the picture: a DC value takes at
    /// least one bit. AC coefficients may take next to none, but come after the DC values.
    pub(super) fn check_length(&self, data: &Segments) -> Result<()> {
        let blocks: usize = self.parts.iter().map(|part| part.blocks.0 * part.blocks.1).sum();
        if self.band.first == 0 && data.bits() < blocks * self.columns * self.rows {
            return Err(malformed(format!("a scan of {} bytes, too few for it", data.bits() / 8)));
        }
        Ok(())
    }

    /// Decodes all units.
    ///
    /// # Errors
    /// `Malformed` at the first broken rule.
    pub(super) fn decode(
        &self,
        data: &Segments,
        coefficients: &mut [Coefficients],
        path: Path,
    ) -> Result<()> {
        for part in &self.parts {
            let Band { first, last, high, low } = self.band;
            coefficients[part.component].bring(first..=last, high, low)?;
        }
        let cursor = Cursor::new(data, self.interval)?;
        simd::run(path, Units { scan: self, cursor, coefficients })
    }
}

/// The entropy decoding of all units.
struct Units<'r, 'a> {
    scan: &'r Scan,
    cursor: Cursor<'a>,
    coefficients: &'r mut [Coefficients],
}

impl Work for Units<'_, '_> {
    type Output = Result<()>;

    #[inline(always)]
    fn run<I: Instructions>(mut self) -> Result<()> {
        let columns = self.scan.columns;
        for unit in 0..columns * self.scan.rows {
            self.cursor.begin_unit()?;
            if self.cursor.exhausted {
                continue;
            }
            self.unit::<I>(unit % columns, unit / columns)
                .map_err(|why| malformed(format!("{why}, in coding unit {unit}")))?;
        }
        Ok(())
    }
}

impl Units<'_, '_> {
    #[inline(always)]
    fn unit<I: Instructions>(&mut self, column: usize, row: usize) -> Step<()> {
        for (index, part) in self.scan.parts.iter().enumerate() {
            let (across, down) = part.blocks;
            for y in row * down..(row + 1) * down {
                for x in column * across..(column + 1) * across {
                    let block = self.coefficients[part.component].block(x, y);
                    block_of::<I>(self.scan.band, part, index, &mut self.cursor, block)?;
                }
            }
        }
        self.cursor.end_unit()
    }
}

const NO_CODE: &str = "invalid Huffman code";
const OUTSIDE: &str = "a coefficient lies outside its scan";

#[inline(always)]
fn block_of<I: Instructions>(
    band: Band,
    part: &Part,
    index: usize,
    cursor: &mut Cursor<'_>,
    block: &mut Block,
) -> Step<()> {
    match (&part.codes, band.high) {
        (None, _) => {
            cursor.bits.refill();
            block[0] |= (cursor.bits.take(1) << band.low) as i16;
            Ok(())
        }
        (Some(codes), _) if band.first == 0 => {
            cursor.bits.refill();
            let pair = symbol(codes, &cursor.bits)?;
            let value = pair.first_value(cursor.bits.buffer());
            cursor.bits.drop(pair.drop_both());
            let dc = cursor.dc[index].wrapping_add(i32::from(value));
            cursor.dc[index] = dc;
            let scaled = i64::from(dc) << band.low;
            block[0] = i16::try_from(scaled).map_err(|_| "a DC value leaves 16 bits")?;
            Ok(())
        }
        (Some(codes), 0) => first_bits(band, codes, cursor, block),
        (Some(codes), _) => next_bit::<I>(band, codes, cursor, block),
    }
}

/// The next symbol or two of a full buffer, not taken yet.
#[inline(always)]
fn symbol(codes: &Pairs, bits: &Bits<'_>) -> Step<Pair> {
    let pair = codes.find(bits.buffer());
    if pair.is_empty() { codes.find_long(bits.buffer()).ok_or(NO_CODE) } else { Ok(pair) }
}

/// How many more blocks an end-of-band symbol of this advance covers; takes the bits that say so.
#[inline(always)]
fn ended_blocks(advance: u8, bits: &mut Bits<'_>) -> u32 {
    let size = u32::from(advance - END_OF_BLOCK);
    bits.refill();
    (1 << size) - 1 + bits.take(size)
}

/// The first scan of a band of AC coefficients.
#[inline(always)]
fn first_bits(band: Band, codes: &Pairs, cursor: &mut Cursor<'_>, block: &mut Block) -> Step<()> {
    if cursor.ended > 0 {
        cursor.ended -= 1;
        return Ok(());
    }
    let mut at = band.first - 1;
    loop {
        let bits = &mut cursor.bits;
        bits.refill();
        let pair = symbol(codes, bits)?;
        let value = pair.first_value(bits.buffer());
        if pair.advance() >= END_OF_BLOCK {
            bits.drop(pair.drop_first());
            cursor.ended = ended_blocks(pair.advance(), bits);
            return Ok(());
        }
        let (first, both) =
            (at + usize::from(pair.advance()), at + usize::from(pair.advance_of_both()));
        if first > band.last {
            return Err(OUTSIDE);
        }
        block[first & 63] = value.wrapping_shl(u32::from(band.low));
        if first == band.last {
            // A second symbol belongs to the next block.
            bits.drop(pair.drop_first());
            return Ok(());
        }
        bits.drop(pair.drop_both());
        if both > first {
            if both >= usize::from(END_OF_BLOCK) {
                return Ok(());
            }
            if both > band.last {
                return Err(OUTSIDE);
            }
            block[both & 63] = pair.second_value().wrapping_shl(u32::from(band.low));
            if both == band.last {
                return Ok(());
            }
        }
        at = both;
    }
}

/// A later scan of a band: one more bit of the coefficients that are not zero, and new ones of the
/// lowest bit among those that are.
#[inline(always)]
fn next_bit<I: Instructions>(
    band: Band,
    codes: &Pairs,
    cursor: &mut Cursor<'_>,
    block: &mut Block,
) -> Step<()> {
    let within = !0 >> (63 - band.last) & !0 << band.first;
    let known = nonzero(block) & within;
    let mut left = within;
    while cursor.ended == 0 && left != 0 {
        let bits = &mut cursor.bits;
        bits.refill();
        let pair = symbol(codes, bits)?;
        let value = pair.first_value(bits.buffer());
        bits.drop(pair.drop_both());
        if pair.advance() >= END_OF_BLOCK {
            cursor.ended = ended_blocks(pair.advance(), bits) + 1;
            break;
        }
        if !(-1..=1).contains(&value) {
            return Err("a new coefficient of more than one bit");
        }
        // The new one takes the place of a zero, behind as many zeros as the run says.
        let new = I::nth_set_bit(left & !known, u32::from(pair.advance()) - 1);
        if new == 0 {
            return Err(OUTSIDE);
        }
        let passed = new - 1;
        refine(band.low, left & known & passed, bits, block);
        block[new.trailing_zeros() as usize & 63] = value.wrapping_shl(u32::from(band.low));
        left &= !passed & !new;
    }
    if cursor.ended > 0 {
        cursor.ended -= 1;
        refine(band.low, left & known, &mut cursor.bits, block);
    }
    Ok(())
}

/// One bit for each coefficient of `which`, away from zero if set.
#[inline(always)]
fn refine(low: u8, mut which: u64, bits: &mut Bits<'_>, block: &mut Block) {
    let step = 1_i16 << low;
    while which != 0 {
        bits.refill();
        // A full buffer has bits for this many.
        for _ in 0..which.count_ones().min(56) {
            let coefficient = &mut block[which.trailing_zeros() as usize & 63];
            which &= which.wrapping_sub(1);
            let wanted = -(bits.take(1) as i16) & step & !*coefficient;
            let sign = *coefficient >> 15;
            *coefficient = coefficient.wrapping_add((wanted ^ sign).wrapping_sub(sign));
        }
    }
}

/// Which coefficients of a block are not zero.
#[inline(always)]
fn nonzero(block: &Block) -> u64 {
    let bytes = block.as_chunks::<8>().0.iter().map(|eight| {
        let bit = |(i, value): (usize, &i16)| u8::from(*value != 0) << i;
        eight.iter().enumerate().map(bit).fold(0, |mask, bit| mask | bit)
    });
    bytes.enumerate().fold(0, |mask, (i, byte)| mask | u64::from(byte) << (8 * i))
}

//! Entropy decoding of a sequential scan, and the inverse DCT, one row of coding units at a time.
//!
//! The bits of a block: a full buffer has at least 56. The DC code and magnitude take at most 31 and
//! are followed by a refill. Two look-ups then take at most 26 bits each ([`Pairs`]), which a full
//! buffer holds; the rare symbols that take more refill on their own. So the loop asks nothing but
//! where the block ends.

use super::bits::Bits;
use super::component::Component;
use super::cursor::{Cursor, Step};
use super::lines::{Lines, Window};
use super::pairs::{END_OF_BLOCK, Pair, Pairs};
use super::quant::Quant;
use super::segments::Segments;
use super::{ZIGZAG, malformed};
use crate::Result;
use crate::image::simd::{self, Instructions, Path, Work};

/// One component as this scan codes it.
pub(super) struct Part {
    /// index in the frame
    pub(super) component: usize,
    pub(super) dc: Pairs,
    pub(super) ac: Pairs,
    pub(super) quant: Quant,
    /// blocks per coding unit, across and down
    pub(super) blocks: (usize, usize),
}

/// A scan: its parts, and the grid of coding units.
pub(super) struct Scan {
    pub(super) parts: Vec<Part>,
    pub(super) columns: usize,
    pub(super) rows: usize,
    /// units between restart markers; 0 = none
    pub(super) interval: usize,
}

impl Scan {
    /// Decodes all units.
    ///
    /// # Errors
    /// `Malformed` at the first broken rule.
    pub(super) fn decode(
        &self,
        data: &Segments,
        components: &mut [Component],
        path: Path,
    ) -> Result<()> {
        let mut cursor = Cursor::new(data, self.interval)?;
        let lines = self.parts.iter().map(|part| Lines::new(part.blocks, self.columns));
        let mut lines = lines.collect::<Result<Vec<_>>>()?;
        for row in 0..self.rows {
            lines.iter_mut().for_each(Lines::clear);
            simd::run(path, UnitRow { scan: self, row, cursor: &mut cursor, lines: &mut lines })?;
            for (part, lines) in self.parts.iter().zip(&lines) {
                lines.transform(row, &part.quant, &mut components[part.component], path);
            }
        }
        Ok(())
    }

    /// Fails before anything is allocated if the data cannot hold the picture: a block takes at
    /// least two bits.
    pub(super) fn check_length(&self, data: &Segments) -> Result<()> {
        let blocks: usize = self.parts.iter().map(|part| part.blocks.0 * part.blocks.1).sum();
        if data.bits() / 2 < blocks * self.columns * self.rows {
            return Err(malformed(format!("a scan of {} bytes, too few for it", data.bits() / 8)));
        }
        Ok(())
    }
}

/// The entropy decoding of one row of units.
struct UnitRow<'r, 'a> {
    scan: &'r Scan,
    row: usize,
    cursor: &'r mut Cursor<'a>,
    lines: &'r mut [Lines],
}

impl Work for UnitRow<'_, '_> {
    type Output = Result<()>;

    #[inline(always)]
    fn run<I: Instructions>(mut self) -> Result<()> {
        // A copy, which lives in registers.
        let mut cursor = self.cursor.clone();
        for column in 0..self.scan.columns {
            cursor.begin_unit()?;
            if cursor.exhausted {
                self.leave_out(column);
                continue;
            }
            self.unit(column, &mut cursor).map_err(|why| {
                let unit = self.row * self.scan.columns + column;
                malformed(format!("{why}, in coding unit {unit}"))
            })?;
        }
        *self.cursor = cursor;
        Ok(())
    }
}

impl UnitRow<'_, '_> {
    #[inline(always)]
    fn unit(&mut self, column: usize, cursor: &mut Cursor<'_>) -> Step<()> {
        let parts = self.scan.parts.iter().zip(self.lines.iter_mut());
        for ((part, lines), dc) in parts.zip(&mut cursor.dc) {
            let (across, down) = part.blocks;
            for y in 0..down {
                for x in column * across..(column + 1) * across {
                    let last = block(part, dc, &mut cursor.bits, lines.window(x, y))?;
                    lines.set_last(x, y, last);
                }
            }
        }
        cursor.end_unit()
    }

    /// Makes the blocks of a unit all zero.
    #[cold]
    fn leave_out(&mut self, column: usize) {
        for (part, lines) in self.scan.parts.iter().zip(self.lines.iter_mut()) {
            let (across, down) = part.blocks;
            for y in 0..down {
                (column * across..(column + 1) * across).for_each(|x| lines.window(x, y)[0] = 0);
            }
        }
    }
}

/// Decodes one block of zeros so far; the index of its last coefficient in file order comes back.
#[inline(always)]
fn block(part: &Part, dc: &mut i32, bits: &mut Bits<'_>, block: &mut Window) -> Step<u8> {
    bits.refill();
    *dc = dc.wrapping_add(i32::from(difference(&part.dc, bits)?));
    block[0] = i16::try_from(*dc).map_err(|_| "a DC value leaves 16 bits")?;
    coefficients(&part.ac, bits, block)
}

const NO_CODE: &str = "invalid Huffman code";

/// How far the DC value moves.
#[inline(always)]
fn difference(table: &Pairs, bits: &mut Bits<'_>) -> Step<i16> {
    let mut pair = table.find(bits);
    if pair.is_empty() {
        pair = table.find_long(bits.peek(16)).ok_or(NO_CODE)?;
    }
    Ok(take(pair, bits))
}

/// Takes the symbols of `pair`; the value of the first comes back.
#[inline(always)]
fn take(pair: Pair, bits: &mut Bits<'_>) -> i16 {
    let value = pair.first_value(bits);
    bits.drop(pair.taken());
    value
}

/// The AC coefficients of a block; the index of the last one comes back.
#[inline(always)]
fn coefficients(table: &Pairs, bits: &mut Bits<'_>, block: &mut Window) -> Step<u8> {
    let mut at = 0_usize;
    loop {
        bits.refill();
        for _ in 0..2 {
            let mut pair = table.find(bits);
            if pair.is_empty() {
                // It may take more than its share, so the buffer is full before and after it.
                bits.refill();
                pair = table.find_long(bits.peek(16)).ok_or(NO_CODE)?;
                let value = take(pair, bits);
                bits.refill();
                at = at.wrapping_add(pair.advance());
                put(block, at, value);
                if at >= 63 {
                    return last(at, pair.advance());
                }
                continue;
            }
            let value = take(pair, bits);
            let first = at.wrapping_add(pair.advance());
            at = first.wrapping_add(pair.second_advance());
            // Without a second symbol this is the place of the first, which is written after it.
            put(block, at, pair.second_value());
            put(block, first, value);
            if at >= 63 {
                return end_of_block(bits, pair, first, at);
            }
        }
    }
}

/// Writes a coefficient by its index in file order; from 64 on nothing that lasts.
#[inline(always)]
fn put(block: &mut Window, at: usize, value: i16) {
    block[usize::from(ZIGZAG[at & 255]) & 127] = value;
}

/// Ends a block whose last look-up led from within the block to `first` and on to `second`.
#[inline(always)]
fn end_of_block(bits: &mut Bits<'_>, pair: Pair, first: usize, second: usize) -> Step<u8> {
    if first < 63 {
        return last(second, pair.second_advance());
    }
    // The first symbol ends the block: the second belongs to the next one.
    if pair.second_advance() > 0 {
        bits.give_back(pair.taken_by_second());
    }
    last(first, pair.advance())
}

/// The index of the last coefficient, after an `advance` that led to `at`.
#[inline(always)]
fn last(at: usize, advance: usize) -> Step<u8> {
    match (at, advance) {
        (_, END_OF_BLOCK) => Ok((at - END_OF_BLOCK) as u8),
        (63, _) => Ok(63),
        _ => Err("a coefficient lies outside its block"),
    }
}

#[cfg(test)]
mod tests;

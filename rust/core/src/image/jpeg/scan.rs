//! Entropy decoding of a sequential scan, and the inverse DCT, some coding units at a time.
//!
//! The bits of a block: a full buffer has at least 56, and a look-up takes at most 18 ([`Pairs`]), so
//! that there are three look-ups to a refill, the one for the DC value among them. The rare symbols
//! that take more refill on their own. So the loop asks nothing but where the block ends, and that
//! is the one branch of a block which the processor cannot foresee.

use std::convert::Infallible;
use std::ops::{ControlFlow, Range};

use super::bits::Bits;
use super::component::Component;
use super::cursor::{Cursor, Step};
use super::lines::{Lines, Window};
use super::pairs::{DC_ENTRIES, END_OF_BLOCK, Pairs};
use super::quant::Quant;
use super::segments::Segments;
use super::{ZIGZAG, malformed};
use crate::Result;
use crate::image::simd::{self, Instructions, Path, Work};

/// Units that are decoded before their inverse DCT: so few that their coefficients stay in the nearest
/// cache, with the tables.
const BATCH: usize = 16;

/// One component as this scan codes it.
pub(super) struct Part {
    /// index in the frame
    pub(super) component: usize,
    pub(super) dc: Pairs<DC_ENTRIES>,
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
        let batch = self.columns.min(BATCH);
        let lines = self.parts.iter().map(|part| Lines::new(part.blocks, batch));
        let mut lines = lines.collect::<Result<Vec<_>>>()?;
        for row in 0..self.rows {
            for first in (0..self.columns).step_by(BATCH) {
                let columns = first..self.columns.min(first + BATCH);
                lines.iter_mut().for_each(Lines::clear);
                let (cursor, lines) = (&mut cursor, &mut lines);
                simd::run(
                    path,
                    Units { scan: self, row, columns: columns.clone(), cursor, lines },
                )?;
                for (part, lines) in self.parts.iter().zip(lines) {
                    let component = &mut components[part.component];
                    lines.transform(row, columns.clone(), &part.quant, component, path);
                }
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

/// The entropy decoding of some units of a row.
struct Units<'r, 'a> {
    scan: &'r Scan,
    row: usize,
    columns: Range<usize>,
    cursor: &'r mut Cursor<'a>,
    lines: &'r mut [Lines],
}

impl Work for Units<'_, '_> {
    type Output = Result<()>;

    #[inline(always)]
    fn run<I: Instructions>(mut self) -> Result<()> {
        let mut cursor = self.cursor.clone();
        for index in 0..self.columns.len() {
            cursor.begin_unit()?;
            if cursor.exhausted {
                self.leave_out(index);
                continue;
            }
            self.unit(index, &mut cursor).map_err(|why| {
                let unit = self.row * self.scan.columns + self.columns.start + index;
                malformed(format!("{why}, in coding unit {unit}"))
            })?;
        }
        *self.cursor = cursor;
        Ok(())
    }
}

impl Units<'_, '_> {
    #[inline(always)]
    fn unit(&mut self, index: usize, cursor: &mut Cursor<'_>) -> Step<()> {
        // A copy again: what stands beside an indexed array stays in memory with it.
        let mut bits = cursor.bits;
        let parts = self.scan.parts.iter().zip(self.lines.iter_mut());
        for ((part, lines), dc) in parts.zip(&mut cursor.dc) {
            let (across, down) = part.blocks;
            for y in 0..down {
                for x in index * across..(index + 1) * across {
                    let last = block(part, dc, &mut bits, lines.window(x, y))?;
                    lines.set_last(x, y, last);
                }
            }
        }
        cursor.bits = bits;
        cursor.end_unit()
    }

    /// Makes the blocks of a unit all zero.
    #[cold]
    fn leave_out(&mut self, index: usize) {
        for (part, lines) in self.scan.parts.iter().zip(self.lines.iter_mut()) {
            let (across, down) = part.blocks;
            for y in 0..down {
                (index * across..(index + 1) * across).for_each(|x| lines.window(x, y)[0] = 0);
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

/// How far the DC value moves. Takes at most 18 bits of a full buffer.
#[inline(always)]
fn difference(table: &Pairs<DC_ENTRIES>, bits: &mut Bits<'_>) -> Step<i16> {
    let pair = table.find(bits.buffer());
    if pair.is_empty() {
        return rare(table, bits).map(|(value, _)| value);
    }
    let value = pair.first_value(bits.buffer());
    bits.drop(pair.drop_both());
    Ok(value)
}

/// The AC coefficients of a block; the index of the last one comes back.
#[inline(always)]
fn coefficients(table: &Pairs, bits: &mut Bits<'_>, block: &mut Window) -> Step<u8> {
    let ControlFlow::Break(last) = steps(table, bits, block);
    last
}

#[inline(always)]
fn steps(
    table: &Pairs,
    bits: &mut Bits<'_>,
    block: &mut Window,
) -> ControlFlow<Step<u8>, Infallible> {
    let mut at = 0;
    // Behind the DC value there are bits for two.
    step(table, bits, block, &mut at)?;
    step(table, bits, block, &mut at)?;
    loop {
        bits.refill();
        step(table, bits, block, &mut at)?;
        step(table, bits, block, &mut at)?;
        step(table, bits, block, &mut at)?;
    }
}

/// One look-up, from coefficient `at` on. Takes at most 18 bits, or leaves a full buffer.
#[inline(always)]
fn step(
    table: &Pairs,
    bits: &mut Bits<'_>,
    block: &mut Window,
    at: &mut u8,
) -> ControlFlow<Step<u8>> {
    let pair = table.find(bits.buffer());
    if pair.is_empty() {
        return rare_step(table, bits, block, at);
    }
    let first = at.wrapping_add(pair.advance());
    let both = at.wrapping_add(pair.advance_of_both());
    // Without a second symbol this is the place of the first, which is written after it.
    put(block, both, pair.second_value());
    put(block, first, pair.first_value(bits.buffer()));
    if both < 63 {
        bits.drop(pair.drop_both());
        *at = both;
        return ControlFlow::Continue(());
    }
    // If the first symbol ends the block, the second belongs to the next one.
    let (end, taken) =
        if first < 63 { (both, pair.drop_both()) } else { (first, pair.drop_first()) };
    bits.drop(taken);
    ControlFlow::Break(last(end))
}

/// The same for a symbol that is not decoded by look-up.
#[inline(always)]
fn rare_step(
    table: &Pairs,
    bits: &mut Bits<'_>,
    block: &mut Window,
    at: &mut u8,
) -> ControlFlow<Step<u8>> {
    let (value, advance) = match rare(table, bits) {
        Ok(symbol) => symbol,
        Err(why) => return ControlFlow::Break(Err(why)),
    };
    *at = at.wrapping_add(advance);
    put(block, *at, value);
    if *at < 63 { ControlFlow::Continue(()) } else { ControlFlow::Break(last(*at)) }
}

/// Value and advance of such a symbol, which may take 31 bits; the buffer is full again behind it.
#[inline(always)]
fn rare<const ENTRIES: usize>(table: &Pairs<ENTRIES>, bits: &mut Bits<'_>) -> Step<(i16, u8)> {
    bits.refill();
    let pair = table.find_long(bits.buffer()).ok_or("invalid Huffman code")?;
    let value = pair.first_value(bits.buffer());
    bits.drop(pair.drop_both());
    bits.refill();
    Ok((value, pair.advance()))
}

/// Writes a coefficient by its index in file order; from 64 on nothing that lasts.
#[inline(always)]
fn put(block: &mut Window, at: u8, value: i16) {
    block[usize::from(ZIGZAG[usize::from(at)])] = value;
}

/// The index of the last coefficient of a block that ends at `end`, from 63 on.
#[inline(always)]
fn last(end: u8) -> Step<u8> {
    match end {
        63 => Ok(63),
        END_OF_BLOCK.. => Ok(end - END_OF_BLOCK),
        _ => Err("a coefficient lies outside its block"),
    }
}

#[cfg(test)]
mod tests;

//! Entropy decoding of a sequential scan, and the inverse DCT, one row of coding units at a time.
//!
//! The bits of a block: a full buffer has at least 56. The DC code and magnitude take at most 31 and
//! are followed by a refill. Two look-ups then take at most 26 bits each ([`Tables`]), which a full
//! buffer holds; the rare symbols that take more refill on their own. So the loop asks nothing but
//! where the block ends.

use super::bits::Bits;
use super::component::Component;
use super::lines::{Lines, Window};
use super::pairs::{END_OF_BLOCK, Pair, Pairs};
use super::quant::Quant;
use super::segments::Segments;
use super::{ZIGZAG, malformed};
use crate::Result;
use crate::image::simd::{self, Path, Work};

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
        let mut segment = Segment::start(data, 0, self.interval)?;
        let lines = self.parts.iter().map(|part| Lines::new(part.blocks, self.columns));
        let mut lines = lines.collect::<Result<Vec<_>>>()?;
        for row in 0..self.rows {
            lines.iter_mut().for_each(Lines::clear);
            simd::run(path, UnitRow { scan: self, row, segment: &mut segment, lines: &mut lines })?;
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
    segment: &'r mut Segment<'a>,
    lines: &'r mut [Lines],
}

impl Work for UnitRow<'_, '_> {
    type Output = Result<()>;

    #[inline(always)]
    fn run(self) -> Result<()> {
        for column in 0..self.scan.columns {
            let unit = |why| {
                let unit = self.row * self.scan.columns + column;
                malformed(format!("{why}, in coding unit {unit}"))
            };
            self.segment.next_unit()?;
            let parts = self.scan.parts.iter().zip(self.lines.iter_mut()).enumerate();
            for (index, (part, lines)) in parts {
                let (across, down) = part.blocks;
                for y in 0..down {
                    for x in column * across..(column + 1) * across {
                        let last = self.segment.block(part, index, lines.window(x, y));
                        lines.set_last(x, y, last.map_err(unit)?);
                    }
                }
            }
            if self.segment.bits.overrun() {
                return Err(unit("the scan breaks off"));
            }
        }
        Ok(())
    }
}

/// The data between two restart markers, and what is predicted from block to block within it.
struct Segment<'a> {
    data: &'a Segments,
    index: usize,
    bits: Bits<'a>,
    /// last DC value per part
    dc: [i32; 4],
    /// units in a segment, 0 = all, and those left in this one
    interval: usize,
    left: usize,
}

impl<'a> Segment<'a> {
    fn start(data: &'a Segments, index: usize, interval: usize) -> Result<Self> {
        let Some(bytes) = data.segment(index) else {
            return Err(malformed(format!("restart marker {index} is missing")));
        };
        Ok(Self { data, index, bits: Bits::new(bytes), dc: [0; 4], interval, left: interval })
    }

    /// Goes on behind the next restart marker if one is due, which must be the right one.
    #[inline(always)]
    fn next_unit(&mut self) -> Result<()> {
        if self.interval > 0 {
            if self.left == 0 {
                *self = self.behind_restart()?;
            }
            self.left -= 1;
        }
        Ok(())
    }

    #[cold]
    fn behind_restart(&self) -> Result<Self> {
        let due = (self.index % 8) as u8;
        match self.data.restart(self.index) {
            Some(number) if number == due => Self::start(self.data, self.index + 1, self.interval),
            Some(number) => Err(malformed(format!("restart marker {number}, expected {due}"))),
            None => Err(malformed(format!("restart marker {} is missing", self.index))),
        }
    }

    /// Decodes one block of zeros so far; the index of its last coefficient in file order comes back.
    #[inline(always)]
    fn block(&mut self, part: &Part, index: usize, block: &mut Window) -> Step<u8> {
        let bits = &mut self.bits;
        bits.refill();
        let dc = self.dc[index].wrapping_add(i32::from(difference(&part.dc, bits)?));
        self.dc[index] = dc;
        block[0] = i16::try_from(dc).map_err(|_| "a DC value leaves 16 bits")?;
        coefficients(&part.ac, bits, block)
    }
}

/// A broken rule, in the words of the error; small enough for the hot loop.
type Step<T> = std::result::Result<T, &'static str>;

const NO_CODE: &str = "invalid Huffman code";

/// How far the DC value moves.
#[inline(always)]
fn difference(table: &Pairs, bits: &mut Bits<'_>) -> Step<i16> {
    let pair = table.find(bits);
    if pair.is_empty() {
        return table.take_long(bits).map(|(_, value)| value).ok_or(NO_CODE);
    }
    let value = pair.first_value(bits);
    bits.drop(pair.taken());
    Ok(value)
}

/// The AC coefficients of a block; the index of the last one comes back.
#[inline(always)]
fn coefficients(table: &Pairs, bits: &mut Bits<'_>, block: &mut Window) -> Step<u8> {
    let mut at = 0_usize;
    loop {
        bits.refill();
        for _ in 0..2 {
            let pair = table.find(bits);
            if pair.is_empty() {
                let (advance, value) = table.take_long(bits).ok_or(NO_CODE)?;
                at = at.wrapping_add(advance);
                put(block, at, value);
                if at >= 63 {
                    return last(at, advance);
                }
                continue;
            }
            let value = pair.first_value(bits);
            bits.drop(pair.taken());
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

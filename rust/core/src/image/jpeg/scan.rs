//! Entropy decoding of one scan, straight into the component planes.

use super::bits::Bits;
use super::component::Component;
use super::huffman::{END_OF_BLOCK, Entry, Table};
use super::quant::Quant;
use super::segments::Segments;
use super::{ZIGZAG, idct, malformed};
use crate::Result;

/// One component as this scan codes it.
pub(super) struct Part {
    /// index in the frame
    pub(super) component: usize,
    pub(super) dc: Table,
    pub(super) ac: Table,
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
    pub(super) fn decode(&self, data: &Segments, components: &mut [Component]) -> Result<()> {
        let mut segment = Segment::start(data, 0)?;
        let mut left = self.interval;
        for unit in 0..self.columns * self.rows {
            if self.interval > 0 && left == 0 {
                segment = segment.next(data)?;
                left = self.interval;
            }
            left = left.wrapping_sub(1);
            self.unit(&mut segment, unit, components)?;
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

    fn unit(
        &self,
        segment: &mut Segment<'_>,
        unit: usize,
        components: &mut [Component],
    ) -> Result<()> {
        let (row, column) = (unit / self.columns, unit % self.columns);
        for (index, part) in self.parts.iter().enumerate() {
            let component = &mut components[part.component];
            let (across, down) = part.blocks;
            for y in 0..down {
                for x in 0..across {
                    let mut block = [0; 64];
                    let last = segment
                        .block(part, index, &mut block)
                        .map_err(|why| malformed(format!("{why}, in coding unit {unit}")))?;
                    let samples = idct::samples(&block, &part.quant, last);
                    component.put(column * across + x, row * down + y, &samples);
                }
            }
        }
        if segment.bits.overrun() {
            return Err(malformed(format!("the scan breaks off in coding unit {unit}")));
        }
        Ok(())
    }
}

/// The data between two restart markers, and what is predicted from block to block within it.
struct Segment<'a> {
    index: usize,
    bits: Bits<'a>,
    /// last DC value per part
    dc: [i32; 4],
}

impl<'a> Segment<'a> {
    fn start(data: &'a Segments, index: usize) -> Result<Self> {
        let Some(bytes) = data.segment(index) else {
            return Err(malformed(format!("restart marker {index} is missing")));
        };
        Ok(Self { index, bits: Bits::new(bytes), dc: [0; 4] })
    }

    /// Goes on behind the next restart marker, which must be the one that is due.
    fn next(self, data: &'a Segments) -> Result<Self> {
        let due = (self.index % 8) as u8;
        match data.restart(self.index) {
            Some(number) if number == due => Self::start(data, self.index + 1),
            Some(number) => Err(malformed(format!("restart marker {number}, expected {due}"))),
            None => Err(malformed(format!("restart marker {} is missing", self.index))),
        }
    }

    /// Decodes one block; the index of its last coefficient in file order comes back.
    #[inline]
    fn block(&mut self, part: &Part, index: usize, block: &mut [i16; 64]) -> Step<usize> {
        let bits = &mut self.bits;
        bits.refill();
        let entry = take(&part.dc, bits)?;
        let dc = self.dc[index].wrapping_add(i32::from(value(entry, bits)));
        self.dc[index] = dc;
        block[0] = i16::try_from(dc).map_err(|_| "a DC value leaves 16 bits")?;
        let mut k = 0;
        loop {
            // Three between refills: `take` and `value` leave 41 bits or take 11, so behind any one
            // (the DC symbol, too) there are 41, behind the next 30, and the third still finds 19
            // where it looks at 16. Starting from a refill, the three find 56, 45 and 34.
            for _ in 0..3 {
                if coefficient(&part.ac, bits, &mut k, block)? {
                    return if k > 63 {
                        Err("a coefficient lies outside its block")
                    } else {
                        Ok(k)
                    };
                }
            }
            bits.refill();
        }
    }
}

/// A broken rule, in the words of the error; small enough for the hot loop.
type Step<T> = std::result::Result<T, &'static str>;

/// Decodes one AC symbol; true when the block is complete. `k` is the last coefficient's index.
#[inline]
fn coefficient(
    table: &Table,
    bits: &mut Bits<'_>,
    k: &mut usize,
    block: &mut [i16; 64],
) -> Step<bool> {
    let entry = take(table, bits)?;
    let at = *k + entry.advance();
    if at > 63 {
        if entry.advance() != END_OF_BLOCK {
            *k = at;
        }
        return Ok(true);
    }
    *k = at;
    block[usize::from(ZIGZAG[at]) & 63] = value(entry, bits);
    Ok(at == 63)
}

/// Takes the next code, with its value if the look-up has both; needs 16 valid bits. The look-up
/// takes at most its 11 bits. A longer code may take all 16, so the buffer is full again behind it.
#[inline]
fn take(table: &Table, bits: &mut Bits<'_>) -> Step<Entry> {
    let entry = table.find(bits);
    if entry.is_empty() {
        let entry = table.find_long(bits).ok_or("invalid Huffman code")?;
        bits.drop(entry.bits());
        bits.refill();
        return Ok(entry);
    }
    bits.drop(entry.bits());
    Ok(entry)
}

/// The value of a taken entry. If its magnitude is still to come, that is read from a full buffer:
/// of 56 bits at most 15 go.
#[inline]
fn value(entry: Entry, bits: &mut Bits<'_>) -> i16 {
    if entry.complete() {
        return entry.value();
    }
    bits.refill();
    bits.magnitude(entry.size()) as i16
}

#[cfg(test)]
mod tests;

//! The figures of neighbouring records: what a side file takes at once.

use std::collections::BTreeMap;

use super::bytes::Reader;
use super::fault::Fault;
use crate::record::Repair;

/// Records of a block. Fewer would make a file of heads; of more, a build that is killed while it
/// reads the headers of pictures would lose too many.
pub const ROWS: usize = 1024;

/// What the plan has to know of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// its length, pictures included; 0 = not usable
    pub tokens: u32,
    /// pictures that are kept; the largest number stands for any larger one
    pub images: u16,
    /// what was put right, see [`codes`]
    pub repairs: u8,
}

/// What came out of counting a record.
pub type Outcome = Result<Row, Fault>;

/// Of a record that was not looked at.
const UNKNOWN: Row = Row { tokens: u32::MAX, images: 0, repairs: 0 };

/// Of a record that cannot be used.
pub const BAD: Row = Row { tokens: 0, images: 0, repairs: 0 };

/// Code of a record whose last rounds did not fit, beside those of [`Repair`].
pub const SHORTENED: &str = "shortened";

/// What stands for a record in which something was put right, or whose last rounds were cut off.
pub fn mask(repairs: &[Repair], cut: bool) -> u8 {
    let bits = repairs.iter().map(|&repair| 1 << repair as u8);
    bits.fold(u8::from(cut) << Repair::ALL.len(), |mask, bit| mask | bit)
}

/// The codes that a mask stands for.
pub fn codes(mask: u8) -> impl Iterator<Item = &'static str> {
    let all = Repair::ALL.into_iter().map(Repair::code).chain([SHORTENED]);
    all.enumerate().filter(move |&(bit, _)| mask >> bit & 1 == 1).map(|(_, code)| code)
}

/// Figures of up to [`ROWS`] records that follow each other in their file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    rows: Vec<Row>,
    /// by place in the block
    faults: BTreeMap<u32, Fault>,
}

impl Block {
    /// Of records that nobody has looked at.
    pub fn unknown(rows: usize) -> Self {
        Self { rows: vec![UNKNOWN; rows], faults: BTreeMap::new() }
    }

    /// The figures of the record at `place`; None = not looked at.
    pub fn row(&self, place: usize) -> Option<Row> {
        Some(self.rows[place]).filter(|&row| row != UNKNOWN)
    }

    /// Why the record at `place` cannot be used.
    pub fn fault(&self, place: usize) -> Option<&Fault> {
        self.faults.get(&(place as u32))
    }

    /// Takes what was found out about the record at `place`.
    pub fn set(&mut self, place: usize, outcome: Outcome) {
        self.rows[place] = outcome.as_ref().map_or(BAD, |&row| row);
        match outcome {
            Ok(_) => self.faults.remove(&(place as u32)),
            Err(fault) => self.faults.insert(place as u32, fault),
        };
    }

    /// The records that were looked at, by place.
    pub fn known(self) -> impl Iterator<Item = (usize, Outcome)> {
        let Self { rows, mut faults } = self;
        let known = rows.into_iter().enumerate().filter(|&(_, row)| row != UNKNOWN);
        known.map(move |(place, row)| (place, faults.remove(&(place as u32)).map_or(Ok(row), Err)))
    }

    /// For the side file.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(7 * self.rows.len() + 4);
        for Row { tokens, images, repairs } in &self.rows {
            bytes.extend(tokens.to_le_bytes());
            bytes.extend(images.to_le_bytes());
            bytes.push(*repairs);
        }
        bytes.extend((self.faults.len() as u32).to_le_bytes());
        for (place, fault) in &self.faults {
            bytes.extend(place.to_le_bytes());
            fault.put(&mut bytes);
        }
        bytes
    }

    /// A block of so many `rows` of at most `max_length` tokens; None for any other bytes.
    pub fn read(bytes: &[u8], rows: usize, max_length: usize) -> Option<Self> {
        let mut bytes = Reader(bytes);
        let mut block = Self::unknown(rows);
        for row in &mut block.rows {
            let (tokens, images, repairs) = (bytes.word()?, bytes.short()?, bytes.byte()?);
            *row = Row { tokens, images, repairs };
        }
        for _ in 0..bytes.word()? {
            block.faults.insert(bytes.word()?, Fault::take(&mut bytes)?);
        }
        (bytes.0.is_empty() && block.makes_sense(max_length)).then_some(block)
    }

    /// Every bad record has its reason, and no length is beyond what the settings allow.
    fn makes_sense(&self, max_length: usize) -> bool {
        let bad = self.rows.iter().enumerate().filter(|(_, row)| row.tokens == 0);
        let reasons = self.faults.keys().map(|&place| place as usize);
        let possible = |&row: &Row| match row.tokens {
            0 => row == BAD,
            u32::MAX => row == UNKNOWN,
            tokens => tokens as usize <= max_length,
        };
        bad.map(|(place, _)| place).eq(reasons) && self.rows.iter().all(possible)
    }
}

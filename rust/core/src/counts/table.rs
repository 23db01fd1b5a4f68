//! What is known of the records of a file.

use std::collections::BTreeMap;

use super::block::{Block, Outcome, ROWS, Row};
use super::fault::Fault;
use super::wanted::Wanted;

/// The figures of one file, as far as they are known.
#[derive(Debug)]
pub struct Table {
    wanted: Wanted,
    records: usize,
    /// records that are wanted and known
    done: usize,
    /// None = none of its records is known
    blocks: Vec<Option<Block>>,
    /// whether a block says more than the side file
    changed: Vec<bool>,
    /// faults of an earlier run that may be gone by now
    doubted: BTreeMap<usize, Fault>,
    longest: usize,
}

impl Table {
    /// Knows nothing. No record is longer than `max_length`.
    pub fn new(wanted: Wanted, records: usize, max_length: usize) -> Self {
        let blocks = records.div_ceil(ROWS);
        Self {
            wanted,
            records,
            done: 0,
            blocks: vec![None; blocks],
            changed: vec![false; blocks],
            doubted: BTreeMap::new(),
            longest: max_length,
        }
    }

    /// Records that are wanted.
    pub fn total(&self) -> usize {
        self.wanted.len()
    }

    /// Those of them that are known.
    pub fn done(&self) -> usize {
        self.done
    }

    /// Figures of the record `number`, or why it cannot be used; None = not known.
    pub fn row(&self, number: usize) -> Option<(Row, Option<&Fault>)> {
        let (block, place) = (self.blocks[number / ROWS].as_ref()?, number % ROWS);
        Some((block.row(place)?, block.fault(place)))
    }

    /// Up to `most` records from `start` on that are wanted and not known.
    pub fn missing(&self, start: usize, most: usize) -> Vec<u32> {
        let unknown = |&number: &usize| self.wanted.has(number) && self.row(number).is_none();
        (start..self.records).filter(unknown).take(most).map(|number| number as u32).collect()
    }

    /// Takes what was counted.
    pub fn add(&mut self, number: usize, outcome: Outcome) {
        self.changed[number / ROWS] |=
            outcome.as_ref().err() != self.doubted.get(&number) || outcome.is_ok();
        self.set(number, outcome);
    }

    /// Takes block `number` of the side file; false if it is none. `live`: it was counted just now by
    /// another process, else a fault that may be gone is not believed.
    pub fn merge(&mut self, number: u32, bytes: &[u8], live: bool) -> bool {
        let start = (number as usize).saturating_mul(ROWS);
        let rows = self.records.saturating_sub(start).min(ROWS);
        let Some(block) = Block::read(bytes, rows, self.longest).filter(|_| rows > 0) else {
            return false;
        };
        for (place, outcome) in block.known() {
            match outcome {
                _ if self.row(start + place).is_some() => {}
                Err(fault) if !live && !fault.lasts() => {
                    self.doubted.insert(start + place, fault);
                }
                outcome => self.set(start + place, outcome),
            }
        }
        true
    }

    /// The first block before `end` that the side file has to get, which is then taken to be there.
    pub fn take_changed(&mut self, start: usize, end: usize) -> Option<(u32, Vec<u8>)> {
        let number = (start..end).find(|&number| self.changed[number])?;
        self.changed[number] = false;
        Some((number as u32, self.blocks[number].as_ref()?.bytes()))
    }

    /// Blocks of the file.
    pub fn blocks(&self) -> usize {
        self.blocks.len()
    }

    fn set(&mut self, number: usize, outcome: Outcome) {
        let rows = (self.records - number / ROWS * ROWS).min(ROWS);
        let block = self.blocks[number / ROWS].get_or_insert_with(|| Block::unknown(rows));
        let new = block.row(number % ROWS).is_none();
        block.set(number % ROWS, outcome);
        self.done += usize::from(new && self.wanted.has(number));
    }
}

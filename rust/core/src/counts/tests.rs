use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::block::{Block, ROWS, Row, codes, mask};
use super::fault::Fault;
use super::table::Table;
use super::wanted::Wanted;
use crate::error::{Error, ImageFault, RecordFault};
use crate::record::Repair;

const LONGEST: usize = 2048;

fn good(tokens: u32) -> Row {
    Row { tokens, images: 2, repairs: mask(&[Repair::CollapsedTags], true) }
}

fn fault(error: impl Into<Error>) -> Fault {
    Fault::new("id \u{e9}", &error.into().in_image("a.jpg"))
}

fn block() -> Block {
    let mut block = Block::unknown(9);
    block.set(0, Ok(good(1)));
    block.set(3, Err(fault(RecordFault::NothingSupervised)));
    block.set(4, Err(fault(ImageFault::Missing("no such file".into()))));
    block.set(8, Ok(good(LONGEST as u32)));
    block
}

#[test]
fn a_mask_has_a_bit_for_each_code() {
    for repair in Repair::ALL {
        assert_eq!(codes(mask(&[repair], false)).collect::<Vec<_>>(), [repair.code()]);
    }
    assert_eq!(codes(mask(&[], true)).collect::<Vec<_>>(), ["shortened"]);
    let all: Vec<_> = codes(mask(&Repair::ALL, true)).collect();
    assert_eq!(all.len(), Repair::ALL.len() + 1);
}

#[test]
fn a_block_is_what_was_written() {
    let block = block();
    let bytes = block.bytes();
    assert_eq!(Block::read(&bytes, 9, LONGEST), Some(block));
    assert_eq!(Block::read(&bytes, 9, LONGEST - 1), None);
    assert_eq!(Block::read(&bytes, 8, LONGEST), None);
    for length in 0..bytes.len() {
        assert_eq!(Block::read(&bytes[..length], 9, LONGEST), None, "{length} bytes");
    }
}

proptest! {
    #[test]
    fn bytes_that_no_block_wrote_are_none_or_make_sense(
        place in 0..4096usize,
        value in any::<u8>(),
    ) {
        let mut bytes = block().bytes();
        let place = place % bytes.len();
        bytes[place] = value;
        if let Some(read) = Block::read(&bytes, 9, LONGEST) {
            for (place, outcome) in read.clone().known() {
                let row = read.row(place).expect("known");
                prop_assert_eq!(outcome.is_err(), row.tokens == 0);
                prop_assert!(outcome.map_or(0, |row| row.tokens) as usize <= LONGEST);
            }
        }
    }
}

fn table(records: usize) -> Table {
    Table::new(Wanted::new(None, records), records, LONGEST)
}

#[test]
fn a_fault_that_may_be_gone_is_looked_at_again() {
    let mut first = table(9);
    for (place, outcome) in block().known() {
        first.add(place, outcome);
    }
    let (number, bytes) = first.take_changed(0, 1).expect("it is new");
    assert!(first.take_changed(0, 1).is_none());
    let mut again = table(9);
    assert!(again.merge(number, &bytes, false));
    assert_eq!(again.missing(0, 99), [1, 2, 4, 5, 6, 7]);
    // The same fault once more is nothing to write down.
    again.add(4, Err(fault(ImageFault::Missing("no such file".into()))));
    assert!(again.take_changed(0, 1).is_none());
    let mut gone = table(9);
    assert!(gone.merge(number, &bytes, false));
    gone.add(4, Ok(good(5)));
    assert!(gone.take_changed(0, 1).is_some());
    // What another process counts at this moment is believed.
    let mut live = table(9);
    assert!(live.merge(number, &bytes, true));
    assert_eq!((live.done(), live.missing(0, 99).len()), (4, 5));
}

#[test]
fn blocks_of_other_files_are_refused() {
    let bytes = block().bytes();
    let mut table = table(ROWS + 9);
    assert!(table.merge(1, &bytes, false));
    for number in [0, 2, u32::MAX] {
        assert!(!table.merge(number, &bytes, false), "block {number}");
    }
    assert_eq!(table.row(ROWS).expect("known").0, good(1));
}

#[test]
fn a_long_message_is_cut() {
    let text = "\u{e9}".repeat(5000);
    let fault = Fault::new(&text, &RecordFault::Malformed(text.clone()).into());
    assert!(fault.cause.chars().count() == 2000 && fault.id.ends_with('…'));
    let mut block = Block::unknown(1);
    block.set(0, Err(fault));
    assert_eq!(Block::read(&block.bytes(), 1, LONGEST), Some(block));
}

#[test]
fn the_pace_follows_the_clock() {
    let mut pace = super::pace::Pace::new();
    for _ in 0..20 {
        pace.learn(Instant::now());
    }
    assert_eq!(pace.size(), 8192);
    let long_ago = Instant::now().checked_sub(Duration::from_secs(8));
    pace.learn(long_ago.expect("a clock that started before"));
    assert!((70..90).contains(&pace.size()), "{}", pace.size());
}

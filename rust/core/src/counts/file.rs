//! The counts of one file: read from its side file, and what is missing there counted.

use std::io;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::block::{ROWS, Row};
use super::fault::Fault;
use super::key::Key;
use super::one::count_all;
use super::pace::{PAUSE, Pace};
use super::store::Store;
use super::table::Table;
use super::wanted::Wanted;
use crate::loader::Dataset;

/// Between two looks at what another process has counted.
const LOOK: Duration = Duration::from_millis(20);
/// So much counting may be lost when a build is killed.
const UNWRITTEN: Duration = Duration::from_secs(2);

/// The counts of one file, as far as they go.
#[derive(Debug)]
pub struct FileCounts {
    part: usize,
    table: Table,
    /// None = nothing is kept
    store: Option<Store>,
    /// why not
    unkept: Option<String>,
    stage: Stage,
    /// records that were kept when this began
    found: usize,
    /// the next record to look at
    next: usize,
    /// blocks before this one are in the side file
    written: usize,
    wrote: Instant,
}

/// What is done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// read what is kept
    Kept,
    /// become the one that writes, or read along while another process does
    Turn {
        fresh: bool,
    },
    /// read what the others have written meanwhile
    Others,
    Count,
    Over,
}

impl FileCounts {
    /// `fresh`: whether to count anew what is kept.
    pub fn new(dataset: &Dataset, part: usize, fresh: bool) -> Self {
        let file = dataset.records.file(part);
        let records = file.records();
        let store = file.side().map(|side| Store::new(side, Key::of(dataset, part), records));
        let stage = match (&store, fresh) {
            (None, _) => Stage::Count,
            (_, true) => Stage::Turn { fresh },
            (_, false) => Stage::Kept,
        };
        let wanted = Wanted::new(file.chosen(), records);
        let table = Table::new(wanted, records, dataset.max_length);
        let unkept = store.is_none().then(|| "the records are not in a file".to_owned());
        let (found, next, written, wrote) = (0, 0, 0, Instant::now());
        Self { part, table, store, unkept, stage, found, next, written, wrote }
    }

    /// Records to be counted.
    pub fn total(&self) -> usize {
        self.table.total()
    }

    /// Those of them that are.
    pub fn done(&self) -> usize {
        self.table.done()
    }

    /// Those of them that were kept when this began.
    pub fn found(&self) -> usize {
        self.found
    }

    /// Whether all is known and kept.
    pub fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// Figures of a record that was counted.
    pub fn row(&self, number: usize) -> Option<(Row, Option<&Fault>)> {
        self.table.row(number)
    }

    /// The side file, or why there is none.
    pub fn kept(&self) -> Result<&Path, &str> {
        match (&self.store, &self.unkept) {
            (Some(store), _) => Ok(store.path()),
            (None, cause) => Err(cause.as_deref().unwrap_or_default()),
        }
    }

    /// Goes on for about [`PAUSE`].
    pub fn advance(&mut self, dataset: &Dataset, threads: usize, pace: &mut Pace) {
        self.stage = match self.stage {
            Stage::Kept => self.kept_before(),
            Stage::Turn { fresh } => self.turn(fresh),
            Stage::Others => {
                // What was read along before stays; a fault that may be gone is looked at again.
                if self.read(false) { self.begin() } else { Stage::Others }
            }
            Stage::Count => self.count(dataset, threads, pace),
            Stage::Over => Stage::Over,
        }
    }

    fn kept_before(&mut self) -> Stage {
        let whole = self.read(false);
        self.found = self.done();
        if whole { self.unless_over(Stage::Turn { fresh: false }) } else { Stage::Kept }
    }

    fn unless_over(&self, next: Stage) -> Stage {
        if self.done() == self.total() { Stage::Over } else { next }
    }

    /// Whether all that is kept was read.
    fn read(&mut self, live: bool) -> bool {
        let (table, until) = (&mut self.table, Instant::now() + PAUSE);
        let store = self.store.as_mut();
        store
            .is_none_or(|store| store.read(until, |number, bytes| table.merge(number, bytes, live)))
    }

    fn turn(&mut self, fresh: bool) -> Stage {
        let Some(store) = &mut self.store else { return Stage::Count };
        match store.lock() {
            Ok(true) if fresh => match store.replace() {
                Ok(()) => Stage::Others,
                Err(error) => self.keep_nothing(&error),
            },
            Ok(true) => Stage::Others,
            Ok(false) => {
                // Whoever is told to count anew has no use for what others kept before.
                if !fresh {
                    self.read(true);
                }
                sleep(LOOK);
                self.unless_over(Stage::Turn { fresh })
            }
            Err(error) => self.keep_nothing(&error),
        }
    }

    fn begin(&mut self) -> Stage {
        self.wrote = Instant::now();
        match self.store.as_mut().map_or(Ok(()), Store::begin) {
            Ok(()) => Stage::Count,
            Err(error) => self.keep_nothing(&error),
        }
    }

    fn keep_nothing(&mut self, error: &io::Error) -> Stage {
        self.unkept = Some(error.to_string().to_lowercase());
        self.store = None;
        Stage::Count
    }

    fn count(&mut self, dataset: &Dataset, threads: usize, pace: &mut Pace) -> Stage {
        let numbers = self.table.missing(self.next, pace.size());
        let Some(&last) = numbers.last() else {
            self.write(self.table.blocks());
            self.store.iter_mut().for_each(Store::finish);
            return Stage::Over;
        };
        let began = Instant::now();
        let rows = count_all(dataset, self.part, &numbers, threads);
        if numbers.len() == pace.size() {
            pace.learn(began);
        }
        for (number, row) in numbers.into_iter().zip(rows) {
            self.table.add(number as usize, row);
        }
        self.next = last as usize + 1;
        self.write(self.next / ROWS);
        if self.wrote.elapsed() > UNWRITTEN {
            self.write((self.next / ROWS + 1).min(self.table.blocks()));
        }
        Stage::Count
    }

    /// Writes what is new in the blocks before `end`.
    fn write(&mut self, end: usize) {
        while let Some((number, bytes)) = self.table.take_changed(self.written, end) {
            let Some(store) = &mut self.store else { return };
            self.wrote = Instant::now();
            if let Err(error) = store.append(number, &bytes) {
                self.keep_nothing(&error);
            }
        }
        // The last block may still get more.
        self.written = self.written.max(end.min(self.next / ROWS));
    }
}

impl Drop for FileCounts {
    /// A build that is interrupted keeps all it has.
    fn drop(&mut self) {
        if self.stage == Stage::Count {
            self.write(self.table.blocks());
        }
    }
}

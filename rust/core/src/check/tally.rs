//! Counts over all records.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::ids::{Ids, Origin};
use super::pictures::Pictures;
use crate::counts::Measure;
use crate::record::Repair;

/// A bad record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// where it is
    #[serde(flatten)]
    pub origin: Origin,
    /// its id, or its number where it has none
    pub id: String,
    /// reason code
    #[serde(skip)]
    pub code: &'static str,
    /// the whole message
    pub message: String,
}

/// How many records are bad for one reason, and the first of them.
#[derive(Debug, Serialize)]
struct Reason {
    records: usize,
    example: Fault,
}

/// What comes from one place.
#[derive(Debug, Default, Serialize)]
struct Source {
    records: usize,
    usable: usize,
    tokens: usize,
    supervised: usize,
}

impl Source {
    fn add<E>(&mut self, outcome: &Result<Measure, E>) {
        self.records += 1;
        if let Ok(measure) = outcome {
            self.usable += 1;
            self.tokens += measure.tokens;
            self.supervised += measure.supervised;
        }
    }
}

/// Everything counted so far. Its JSON is what users see.
#[derive(Debug, Default, Serialize)]
pub struct Tally {
    records: usize,
    usable: usize,
    /// by reason code
    faults: BTreeMap<&'static str, Reason>,
    /// in how many usable records what was put right, by code
    repairs: BTreeMap<&'static str, usize>,
    cut_samples: usize,
    cut_rounds: usize,
    tokens: usize,
    text_tokens: usize,
    supervised_tokens: usize,
    /// samples by supervised share of their text: below 10 %, below 20 %, ...
    supervised_share: [usize; SHARES],
    /// samples by tokens
    #[serde(serialize_with = "as_list")]
    lengths: BTreeMap<usize, usize>,
    longest: usize,
    /// by what the records say of their origin
    sources: BTreeMap<String, Source>,
    /// by file
    files: BTreeMap<String, Source>,
    /// named by the records
    pub pictures: Pictures,
    /// of the records
    pub ids: Ids,
}

const SHARES: usize = 10;
/// Origins that are counted one by one; a data set that gives each record its own is no reason to
/// keep them all.
const MOST_SOURCES: usize = 1000;
const OTHERS: &str = "(others)";

impl Tally {
    /// Nothing is counted yet.
    #[must_use]
    pub fn new(pictures: Pictures) -> Self {
        Self { pictures, ..Self::default() }
    }

    /// Counts a record of `file`: its figures and what was put right in it, or why it is bad.
    pub fn add(
        &mut self,
        file: &str,
        source: String,
        outcome: &Result<Measure, Fault>,
        repairs: &[Repair],
    ) {
        self.source(source).add(outcome);
        self.files.entry(file.to_owned()).or_default().add(outcome);
        self.records += 1;
        match outcome {
            Ok(measure) => self.sample(measure, repairs),
            Err(fault) => self.fault(fault),
        }
    }

    fn source(&mut self, name: String) -> &mut Source {
        let known = self.sources.len() < MOST_SOURCES || self.sources.contains_key(&name);
        self.sources.entry(if known { name } else { OTHERS.to_owned() }).or_default()
    }

    fn sample(&mut self, measure: &Measure, repairs: &[Repair]) {
        self.usable += 1;
        for repair in repairs {
            *self.repairs.entry(repair.code()).or_default() += 1;
        }
        self.cut_samples += usize::from(measure.cut_rounds > 0);
        self.cut_rounds += measure.cut_rounds;
        self.tokens += measure.tokens;
        self.text_tokens += measure.text;
        self.supervised_tokens += measure.supervised;
        let share = measure.supervised * SHARES / measure.text.max(1);
        self.supervised_share[share.min(SHARES - 1)] += 1;
        *self.lengths.entry(bin(measure.tokens)).or_default() += 1;
        self.longest = self.longest.max(measure.tokens);
    }

    fn fault(&mut self, fault: &Fault) {
        let reason = || Reason { records: 0, example: fault.clone() };
        self.faults.entry(fault.code).or_insert_with(reason).records += 1;
    }
}

/// Samples of `from` to `to` tokens.
#[derive(Serialize)]
struct Bin {
    from: usize,
    to: usize,
    samples: usize,
}

/// Where the bin of a length begins: bins double in two steps, 64, 96, 128, 192, ...
fn bin(length: usize) -> usize {
    let half = 1 << length.max(1).ilog2();
    if length >= half + half / 2 { half + half / 2 } else { half }
}

fn as_list<S: Serializer>(bins: &BTreeMap<usize, usize>, out: S) -> Result<S::Ok, S::Error> {
    out.collect_seq(bins.iter().map(|(&from, &samples)| {
        let half = 1 << from.ilog2();
        let next = if from == half { half + (half / 2).max(1) } else { 2 * half };
        Bin { from, to: next - 1, samples }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(record: usize, code: &'static str) -> Fault {
        let origin = Origin { file: "a.json".to_owned(), record };
        Fault { origin, id: format!("r{record}"), code, message: format!("number {record}") }
    }

    #[test]
    fn lengths_fall_into_neighbouring_bins() {
        let mut tally = Tally::default();
        for tokens in 1..200 {
            let (text, supervised) = (tokens, tokens / 2);
            tally.sample(&Measure { tokens, text, supervised, pictures: 0, cut_rounds: 0 }, &[]);
        }
        let json: serde_json::Value = serde_json::to_value(&tally).expect("JSON");
        let (mut next, mut samples) = (1, 0);
        for bin in json["lengths"].as_array().expect("a list") {
            let at = |key: &str| bin[key].as_u64().expect("a number");
            assert_eq!(at("from"), next);
            let last = at("to").min(199);
            assert_eq!(at("samples"), last + 1 - at("from"));
            (next, samples) = (at("to") + 1, samples + at("samples"));
        }
        assert_eq!((samples, next), (199, 256));
    }

    #[test]
    fn the_first_record_of_each_reason_is_the_example() {
        let mut tally = Tally::default();
        for (record, code) in [(3, "b"), (4, "a"), (5, "b")] {
            tally.add("a.json", String::new(), &Err(fault(record, code)), &[]);
        }
        let json = serde_json::to_value(&tally).expect("JSON");
        assert_eq!(json["faults"]["b"]["records"], 2);
        assert_eq!(json["faults"]["b"]["example"]["id"], "r3");
        assert_eq!((&json["records"], &json["usable"]), (&3.into(), &0.into()));
    }

    #[test]
    fn sources_are_bounded() {
        let mut tally = Tally::default();
        for number in 0..3 * MOST_SOURCES {
            let source = format!("{}", number % (2 * MOST_SOURCES));
            tally.add("a.json", source, &Err(fault(number, "a")), &[]);
        }
        assert_eq!(tally.sources.len(), MOST_SOURCES + 1);
        assert_eq!(tally.sources[OTHERS].records, MOST_SOURCES);
        assert_eq!(tally.sources["5"].records, 2);
    }
}

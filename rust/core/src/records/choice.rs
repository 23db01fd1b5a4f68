//! Which records of a file a mixture takes, and how often: the rules of LLaVA-NeXT, and weights.
//!
//! LLaVA-NeXT shuffles by the generator of the whole process. Here `random` is a pure function of
//! the seed and of the file's content: record `i` has the key `splitmix64(k, i)`, and the records
//! with the smallest keys are taken, in that order.

use crate::counter::{fold, splitmix64};

/// A number of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// so many
    Count(u64),
    /// so many of each hundred, rounded up
    Percent(u64),
}

/// Which records are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// all, in the order of the file
    All,
    /// from the start
    First(Amount),
    /// from the end, in the order of the file
    End(Amount),
    /// by chance, in the order of chance
    Random(Amount),
    /// what is left to this file by the choice from the file before: both are one list
    Continued,
}

/// Which records are taken, and how often.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// which
    pub rule: Rule,
    /// how often: 2.5 takes each twice, and of each two one a third time; finite, above 0
    pub weight: f64,
}

impl Choice {
    /// All records, once.
    pub const ALL: Self = Self { rule: Rule::All, weight: 1.0 };

    /// Numbers of the records taken from a file of `records`; None = all of them, once.
    ///
    /// `file` is the file's fingerprint.
    #[must_use]
    pub fn numbers(&self, records: u32, seed: u64, file: u64) -> Option<Vec<u32>> {
        if *self == Self::ALL {
            return None;
        }
        let chosen = self.rule.numbers(records, fold(&[seed, file, 0]));
        Some(repeated(&chosen, self.weight, fold(&[seed, file, 1])))
    }

    /// How many those are.
    #[must_use]
    pub fn count(&self, records: u32) -> u64 {
        let chosen = self.rule.count(records);
        let (times, more) = split(self.weight, chosen);
        u64::from(chosen).saturating_mul(times).saturating_add(u64::from(more))
    }
}

impl Rule {
    fn count(self, records: u32) -> u32 {
        match self {
            Self::All | Self::Continued => records,
            Self::First(amount) | Self::End(amount) | Self::Random(amount) => amount.of(records),
        }
    }

    fn numbers(self, records: u32, key: u64) -> Vec<u32> {
        let count = self.count(records);
        match self {
            Self::All | Self::Continued | Self::First(_) => (0..count).collect(),
            Self::End(_) => (records - count..records).collect(),
            Self::Random(_) => by_chance(records, count, key),
        }
    }
}

impl Amount {
    /// At most all.
    fn of(self, records: u32) -> u32 {
        let wanted = match self {
            Self::Count(count) => count,
            Self::Percent(share) => share.saturating_mul(u64::from(records)).div_ceil(100),
        };
        wanted.min(u64::from(records)) as u32
    }
}

/// `count` of the numbers below `records`.
fn by_chance(records: u32, count: u32, key: u64) -> Vec<u32> {
    let mut keyed: Vec<_> = (0..records).map(|i| (splitmix64(key, u64::from(i)), i)).collect();
    keyed.sort_unstable();
    keyed.truncate(count as usize);
    keyed.into_iter().map(|(_, number)| number).collect()
}

/// How often each of `count` is taken, and how many are taken once more.
fn split(weight: f64, count: u32) -> (u64, u32) {
    let more = (weight.fract() * f64::from(count)).round();
    (weight.trunc() as u64, more as u32)
}

/// The list as often as `weight` says; those taken once more come in the order of the list.
fn repeated(list: &[u32], weight: f64, key: u64) -> Vec<u32> {
    let count = list.len() as u32;
    let (times, more) = split(weight, count);
    let mut places = by_chance(count, more, key);
    places.sort_unstable();
    let more = places.into_iter().map(|place| list[place as usize]);
    (0..times).flat_map(|_| list.iter().copied()).chain(more).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(rule: Rule, weight: f64) -> Vec<u32> {
        let choice = Choice { rule, weight };
        let numbers = choice.numbers(10, 7, 99).unwrap_or_else(|| (0..10).collect());
        assert_eq!(numbers.len() as u64, choice.count(10));
        numbers
    }

    #[test]
    fn amounts_are_rounded_up_and_end_with_the_file() {
        assert_eq!(chosen(Rule::First(Amount::Percent(25)), 1.0), [0, 1, 2]);
        assert_eq!(chosen(Rule::End(Amount::Percent(11)), 1.0), [8, 9]);
        assert_eq!(chosen(Rule::End(Amount::Count(99)), 1.0).len(), 10);
        assert!(chosen(Rule::First(Amount::Count(0)), 1.0).is_empty());
        assert_eq!(chosen(Rule::First(Amount::Percent(u64::MAX)), 1.0).len(), 10);
        assert_eq!(Choice::ALL.numbers(10, 7, 99), None);
    }

    #[test]
    fn chance_is_a_function_of_seed_and_file_and_more_of_it_adds() {
        let some = chosen(Rule::Random(Amount::Count(4)), 1.0);
        let all = chosen(Rule::Random(Amount::Count(10)), 1.0);
        assert_eq!(some, all[..4]);
        let mut sorted = all.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..10).collect::<Vec<_>>());
        let choice = Choice { rule: Rule::Random(Amount::Count(10)), weight: 1.0 };
        assert_ne!(choice.numbers(10, 8, 99), Some(all.clone()));
        assert_ne!(choice.numbers(10, 7, 98), Some(all));
    }

    #[test]
    fn a_weight_repeats_and_its_fraction_is_drawn() {
        let list = chosen(Rule::All, 2.5);
        assert_eq!(list[..20], [(0..10).collect::<Vec<_>>(), (0..10).collect()].concat());
        assert_eq!(list.len(), 25);
        assert!(list[20..].is_sorted_by(|a, b| a < b));
        assert_eq!(chosen(Rule::First(Amount::Count(3)), 0.5).len(), 2);
    }
}

//! Choices from one file, or from several that are one list.

use super::choice::{Choice, Rule};
use super::part::{Part, too_many};
use crate::counter::fold;
use crate::error::Result;

/// Takes from each part what its choice says. Parts that continue the one before are chosen from
/// together; what is taken still comes file by file.
pub(super) fn choose(parts: &mut [Part], choices: &[Choice], seed: u64) -> Result<()> {
    let mut rest = parts;
    let mut left = choices;
    while let Some(choice) = left.first() {
        let more = left[1..].iter().take_while(|choice| choice.rule == Rule::Continued).count();
        let (group, behind) = std::mem::take(&mut rest).split_at_mut(1 + more);
        choose_from(group, choice, seed)?;
        (rest, left) = (behind, &left[1 + more..]);
    }
    Ok(())
}

fn choose_from(group: &mut [Part], choice: &Choice, seed: u64) -> Result<()> {
    let many = || too_many(&group[0].name);
    let total: usize = group.iter().map(Part::records).sum();
    let total = u32::try_from(total).map_err(|_| many())?;
    if choice.count(total) > u64::from(u32::MAX) {
        return Err(many());
    }
    let prints: Vec<_> = group.iter().map(|part| part.fingerprint().0).collect();
    let print = if let [only] = prints[..] { only } else { fold(&prints) };
    let Some(chosen) = choice.numbers(total, seed, print) else { return Ok(()) };
    let ends: Vec<_> = group
        .iter()
        .scan(0, |end, part| {
            *end += part.records() as u32;
            Some(*end)
        })
        .collect();
    let mut lists = vec![Vec::new(); group.len()];
    for number in chosen {
        let part = ends.partition_point(|&end| end <= number);
        let start = part.checked_sub(1).map_or(0, |before| ends[before]);
        lists[part].push(number - start);
    }
    for (part, list) in group.iter_mut().zip(lists) {
        part.take(Some(list));
    }
    Ok(())
}

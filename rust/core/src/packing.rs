//! Which documents share a pack: the two policies, and the split that makes their number constant.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::ops::Range;

/// Documents a pack is chosen from: enough to come close to packing the whole epoch at once, few
/// enough that the order of the documents stays nearly the shuffled one.
pub const LOOK_AHEAD: usize = 256;

/// Documents in stream order, cut into groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups {
    /// record numbers, group after group
    pub samples: Vec<u32>,
    /// group `g` is `samples[borders[g]..borders[g + 1]]`; the last border is `samples.len()`
    pub borders: Vec<usize>,
}

impl Groups {
    /// Number of groups.
    #[must_use]
    pub fn len(&self) -> usize {
        self.borders.len().saturating_sub(1)
    }

    /// No group at all?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The records of group `index`.
    #[must_use]
    pub fn get(&self, index: usize) -> &[u32] {
        &self.samples[self.borders[index]..self.borders[index + 1]]
    }

    /// Every group has `size` documents, the last one what remains.
    #[must_use]
    pub fn of_size(samples: Vec<u32>, size: usize) -> Self {
        let ends = (0..samples.len()).step_by(size).chain([samples.len()]);
        Self { borders: ends.collect(), samples }
    }

    /// The same groups in the order of `ranking`, a permutation of their numbers.
    #[must_use]
    pub fn reordered(&self, ranking: &[usize]) -> Self {
        let mut out = Self { samples: Vec::with_capacity(self.samples.len()), borders: vec![0] };
        for &group in ranking {
            out.samples.extend_from_slice(self.get(group));
            out.borders.push(out.samples.len());
        }
        out
    }
}

/// Packs in stream order: the oldest waiting document, then again and again the largest of the
/// next [`LOOK_AHEAD`] that still fits (the older one of two equals).
///
/// `order`: record numbers; `lengths`: tokens by record number, each 1..=`room`.
#[must_use]
pub fn look_ahead(order: &[u32], lengths: &[u32], room: u32) -> Groups {
    let mut out = Groups { samples: Vec::with_capacity(order.len()), borders: vec![0] };
    let mut waiting = order.iter().copied();
    let mut window: Vec<u32> = waiting.by_ref().take(LOOK_AHEAD).collect();
    let mut sizes: Vec<u32> = window.iter().map(|&i| lengths[i as usize]).collect();
    while !window.is_empty() {
        let (mut place, mut left) = (Some(0), room);
        while let Some(oldest_largest) = place {
            out.samples.push(window.remove(oldest_largest));
            left -= sizes.remove(oldest_largest);
            place = largest_that_fits(&sizes, left);
        }
        out.borders.push(out.samples.len());
        let fresh = waiting.by_ref().take(LOOK_AHEAD - window.len());
        window.extend(fresh);
        sizes.extend(window[sizes.len()..].iter().map(|&i| lengths[i as usize]));
    }
    out
}

fn largest_that_fits(sizes: &[u32], left: u32) -> Option<usize> {
    // Two branch-free passes: this runs once per document, over 256 sizes.
    let best = sizes.iter().map(|&size| if size <= left { size } else { 0 }).max()?;
    if best == 0 { None } else { sizes.iter().position(|&size| size == best) }
}

/// Fewest packs: best-fit-decreasing over the whole epoch. Documents of a pack keep their order.
#[must_use]
pub fn best_fit(order: &[u32], lengths: &[u32], room: u32) -> Groups {
    let mut by_size: Vec<usize> = (0..order.len()).collect();
    by_size.sort_by_key(|&place| Reverse(lengths[order[place] as usize]));
    let mut packs: Vec<Vec<usize>> = Vec::new();
    let mut open: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for place in by_size {
        let size = lengths[order[place] as usize];
        let (left, pack) = take_tightest(&mut open, size).unwrap_or((room, packs.len()));
        if pack == packs.len() {
            packs.push(Vec::new());
        }
        packs[pack].push(place);
        open.entry(left - size).or_default().push(pack);
    }
    let mut out = Groups { samples: Vec::with_capacity(order.len()), borders: vec![0] };
    for mut places in packs {
        places.sort_unstable();
        out.samples.extend(places.into_iter().map(|place| order[place]));
        out.borders.push(out.samples.len());
    }
    out
}

/// The pack with the least room that holds `size`, taken off the list; of equals the newest.
fn take_tightest(open: &mut BTreeMap<u32, Vec<usize>>, size: u32) -> Option<(u32, usize)> {
    let (&left, packs) = open.range_mut(size..).next()?;
    let pack = packs.pop()?;
    if packs.is_empty() {
        open.remove(&left);
    }
    Some((left, pack))
}

/// Splits the longest groups (in tokens; of equals the first) in two until there are `want`, or
/// until every group is a single document.
///
/// A cut falls after the document that completes half the tokens, or before the last document.
pub fn split_longest(groups: &mut Groups, lengths: &[u32], want: usize) {
    let missing = want.saturating_sub(groups.len());
    if missing == 0 {
        return;
    }
    let tokens = |range: &Range<usize>| -> u64 {
        groups.samples[range.clone()].iter().map(|&i| u64::from(lengths[i as usize])).sum()
    };
    let entry = |range: Range<usize>| (tokens(&range), Reverse(range.start), range.end);
    let pairs = groups.borders.windows(2).map(|pair| pair[0]..pair[1]);
    let mut heap: BinaryHeap<_> = pairs.filter(|range| range.len() > 1).map(entry).collect();
    let mut cuts = Vec::with_capacity(missing);
    while cuts.len() < missing {
        let Some((total, Reverse(start), end)) = heap.pop() else { break };
        let cut = half_way(&groups.samples[start..end], lengths, total) + start;
        cuts.push(cut);
        heap.extend([start..cut, cut..end].into_iter().filter(|half| half.len() > 1).map(entry));
    }
    groups.borders.extend(cuts);
    groups.borders.sort_unstable();
}

fn half_way(samples: &[u32], lengths: &[u32], total: u64) -> usize {
    let mut sum = 0;
    for (place, &sample) in samples[..samples.len() - 1].iter().enumerate() {
        sum += u64::from(lengths[sample as usize]);
        if sum * 2 >= total {
            return place + 1;
        }
    }
    samples.len() - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packs(groups: &Groups) -> Vec<Vec<u32>> {
        (0..groups.len()).map(|g| groups.get(g).to_vec()).collect()
    }

    #[test]
    fn oldest_first_then_the_largest_that_fits() {
        let lengths = [4, 3, 9, 5, 6, 1];
        let groups = look_ahead(&[0, 1, 2, 3, 4, 5], &lengths, 10);
        assert_eq!(packs(&groups), [vec![0, 4], vec![1, 3, 5], vec![2]]);
    }

    #[test]
    fn best_fit_takes_the_tightest_pack() {
        let groups = best_fit(&[0, 1, 2, 3, 4], &[6, 7, 3, 4, 5], 10);
        assert_eq!(packs(&groups), [vec![1, 2], vec![0, 3], vec![4]]);
    }

    #[test]
    fn a_split_halves_the_longest() {
        let mut groups = Groups { samples: vec![0, 1, 2, 3], borders: vec![0, 1, 4] };
        split_longest(&mut groups, &[9, 5, 1, 6], 3);
        assert_eq!(packs(&groups), [vec![0], vec![1, 2], vec![3]]);
        split_longest(&mut groups, &[9, 5, 1, 6], 9);
        assert_eq!(groups.borders, [0, 1, 2, 3, 4]);
    }

    proptest! {
        #[test]
        fn every_document_once_and_no_pack_too_long(
            lengths in prop::collection::vec(1u32..=50, 1..700), want in 1usize..900,
        ) {
            let order: Vec<u32> = (0..lengths.len() as u32).rev().collect();
            for mut groups in [look_ahead(&order, &lengths, 50), best_fit(&order, &lengths, 50)] {
                let packed = groups.len();
                split_longest(&mut groups, &lengths, want);
                prop_assert_eq!(groups.len(), packed.max(want.min(lengths.len())));
                let mut all = groups.samples.clone();
                all.sort_unstable();
                prop_assert_eq!(all, (0..lengths.len() as u32).collect::<Vec<_>>());
                for pack in packs(&groups) {
                    prop_assert!(!pack.is_empty());
                    let tokens: u32 = pack.iter().map(|&i| lengths[i as usize]).sum();
                    prop_assert!(tokens <= 50);
                }
            }
        }
    }
}

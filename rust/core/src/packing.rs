//! Which documents share a pack: the two policies, the split that makes their number constant, and
//! batches of documents of about one length.

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

/// What packing has to know of documents, by record number.
#[derive(Clone, Copy, Debug)]
pub struct Documents<'a> {
    /// tokens
    pub lengths: &'a [u32],
    /// pictures
    pub images: &'a [u16],
}

impl Documents<'_> {
    fn length(&self, record: u32) -> u32 {
        self.lengths[record as usize]
    }

    fn has_image(&self, record: u32) -> bool {
        self.images[record as usize] > 0
    }
}

/// Packs in stream order: the oldest waiting document, then again and again the largest of the
/// next [`LOOK_AHEAD`] that still fits (the older one of two equals). If the oldest one has no
/// picture, the second is the largest with one: a pack without any is a step in which the vision
/// tower has nothing to do, on this rank alone.
///
/// `order`: record numbers; their lengths are 1..=`room`.
#[must_use]
pub fn look_ahead(order: &[u32], documents: Documents<'_>, room: u32) -> Groups {
    let mut out = Groups { samples: Vec::with_capacity(order.len()), borders: vec![0] };
    let mut waiting = order.iter().copied();
    let mut window: Vec<u32> = waiting.by_ref().take(LOOK_AHEAD).collect();
    let mut sizes: Vec<u32> = window.iter().map(|&i| documents.length(i)).collect();
    while let Some(&oldest) = window.first() {
        let (mut place, mut left) = (Some(0), room);
        let mut pictured = documents.has_image(oldest);
        while let Some(chosen) = place {
            out.samples.push(window.remove(chosen));
            left -= sizes.remove(chosen);
            if !pictured {
                pictured = true;
                place = largest_with_image(&window, documents, left);
                if place.is_some() {
                    continue;
                }
            }
            place = largest_that_fits(&sizes, left);
        }
        out.borders.push(out.samples.len());
        let fresh = waiting.by_ref().take(LOOK_AHEAD - window.len());
        window.extend(fresh);
        sizes.extend(window[sizes.len()..].iter().map(|&i| documents.length(i)));
    }
    out
}

fn largest_with_image(window: &[u32], documents: Documents<'_>, left: u32) -> Option<usize> {
    let fits = |&(_, &i): &(usize, &u32)| documents.has_image(i) && documents.length(i) <= left;
    // The first of equals: the key falls with the place.
    let key = |&(place, &i): &(usize, &u32)| (documents.length(i), Reverse(place));
    window.iter().enumerate().filter(fits).max_by_key(key).map(|(place, _)| place)
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
/// A cut leaves a picture on both sides where it can, and then as equal halves as it can.
pub fn split_longest(groups: &mut Groups, documents: Documents<'_>, want: usize) {
    let missing = want.saturating_sub(groups.len());
    if missing == 0 {
        return;
    }
    let tokens = |range: &Range<usize>| -> u64 {
        groups.samples[range.clone()].iter().map(|&i| u64::from(documents.length(i))).sum()
    };
    let entry = |range: Range<usize>| (tokens(&range), Reverse(range.start), range.end);
    let pairs = groups.borders.windows(2).map(|pair| pair[0]..pair[1]);
    let mut heap: BinaryHeap<_> = pairs.filter(|range| range.len() > 1).map(entry).collect();
    let mut cuts = Vec::with_capacity(missing);
    while cuts.len() < missing {
        let Some((total, Reverse(start), end)) = heap.pop() else { break };
        let cut = half_way(&groups.samples[start..end], documents, total) + start;
        cuts.push(cut);
        heap.extend([start..cut, cut..end].into_iter().filter(|half| half.len() > 1).map(entry));
    }
    groups.borders.extend(cuts);
    groups.borders.sort_unstable();
}

/// Of cuts that are as good, the first.
fn half_way(samples: &[u32], documents: Documents<'_>, total: u64) -> usize {
    let pictured = |&i: &u32| documents.has_image(i);
    let first = samples.iter().position(pictured).unwrap_or(samples.len());
    let last = samples.iter().rposition(pictured).unwrap_or(0);
    let mut sum = 0;
    let cuts = (1..samples.len()).map(|cut| {
        sum += u64::from(documents.length(samples[cut - 1]));
        let both = first < cut && cut <= last;
        (!both, (sum * 2).abs_diff(total), cut)
    });
    cuts.min().map_or(1, |(_, _, cut)| cut)
}

/// Documents that are sorted by length together, in batches of one step: enough of them to leave
/// next to no padding.
pub const WINDOW: usize = 50;

/// Batches of `size` documents of about one length. Windows of the order are sorted by length and
/// cut; `shuffle(count, number of the window)` orders the steps of `each` batches in a window, so
/// that length says nothing about time. What does not fill a batch comes last, as it is.
#[must_use]
pub fn by_length(
    mut order: Vec<u32>,
    lengths: &[u32],
    size: usize,
    each: usize,
    shuffle: impl Fn(usize, usize) -> Vec<usize>,
) -> Groups {
    let whole = order.len() - order.len() % size;
    let step = size.saturating_mul(each);
    for (number, window) in order[..whole].chunks_mut(step.saturating_mul(WINDOW)).enumerate() {
        window.sort_by_key(|&record| lengths[record as usize]);
        let sorted = window.to_vec();
        let steps: Vec<_> = sorted.chunks_exact(step).collect();
        // What is not a whole step stays at the end of its window.
        let shuffled = shuffle(steps.len(), number).into_iter().flat_map(|place| steps[place]);
        for (place, &record) in window.iter_mut().zip(shuffled) {
            *place = record;
        }
    }
    Groups::of_size(order, size)
}

#[cfg(test)]
mod tests;

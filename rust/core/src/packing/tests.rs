use super::*;
use proptest::prelude::*;

fn packs(groups: &Groups) -> Vec<Vec<u32>> {
    (0..groups.len()).map(|g| groups.get(g).to_vec()).collect()
}

/// All with a picture.
fn pictured(lengths: &[u32]) -> Documents<'_> {
    Documents { lengths, images: &[1; 1000][..lengths.len()] }
}

#[test]
fn oldest_first_then_the_largest_that_fits() {
    let lengths = [4, 3, 9, 5, 6, 1];
    let groups = look_ahead(&[0, 1, 2, 3, 4, 5], pictured(&lengths), 10);
    assert_eq!(packs(&groups), [vec![0, 4], vec![1, 3, 5], vec![2]]);
}

#[test]
fn behind_a_text_comes_the_largest_with_a_picture() {
    let documents = Documents { lengths: &[4, 3, 3, 5, 6, 1], images: &[0, 1, 2, 0, 0, 0] };
    let groups = look_ahead(&[0, 1, 2, 3, 4, 5], documents, 10);
    assert_eq!(packs(&groups), [vec![0, 1, 2], vec![3, 5], vec![4]]);
}

#[test]
fn best_fit_takes_the_tightest_pack() {
    let groups = best_fit(&[0, 1, 2, 3, 4], &[6, 7, 3, 4, 5], 10);
    assert_eq!(packs(&groups), [vec![1, 2], vec![0, 3], vec![4]]);
}

#[test]
fn a_split_halves_the_longest() {
    let lengths = [9, 5, 1, 6];
    let mut groups = Groups { samples: vec![0, 1, 2, 3], borders: vec![0, 1, 4] };
    split_longest(&mut groups, pictured(&lengths), 3);
    assert_eq!(packs(&groups), [vec![0], vec![1, 2], vec![3]]);
    split_longest(&mut groups, pictured(&lengths), 9);
    assert_eq!(groups.borders, [0, 1, 2, 3, 4]);
}

#[test]
fn a_split_leaves_a_picture_on_both_sides() {
    let documents = Documents { lengths: &[1, 5, 5, 1], images: &[1, 1, 0, 0] };
    let mut groups = Groups { samples: vec![0, 1, 2, 3], borders: vec![0, 4] };
    split_longest(&mut groups, documents, 2);
    assert_eq!(packs(&groups), [vec![0], vec![1, 2, 3]]);
}

#[test]
fn batches_of_one_length_come_in_shuffled_steps() {
    let lengths: Vec<u32> = (0..11).map(|i| 20 - i).collect();
    let groups = by_length((0..11).collect(), &lengths, 2, 2, |count, window| {
        assert_eq!((count, window), (2, 0));
        vec![1, 0]
    });
    let expected = [vec![5, 4], vec![3, 2], vec![9, 8], vec![7, 6], vec![1, 0], vec![10]];
    assert_eq!(packs(&groups), expected);
}

proptest! {
    #[test]
    fn every_document_once_and_no_pack_too_long(
        lengths in prop::collection::vec(1u32..=50, 1..700), want in 1usize..900,
    ) {
        let order: Vec<u32> = (0..lengths.len() as u32).rev().collect();
        let images: Vec<u16> = lengths.iter().map(|length| (length % 3) as u16).collect();
        let documents = Documents { lengths: &lengths, images: &images };
        for mut groups in [look_ahead(&order, documents, 50), best_fit(&order, &lengths, 50)] {
            let packed = groups.len();
            split_longest(&mut groups, documents, want);
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

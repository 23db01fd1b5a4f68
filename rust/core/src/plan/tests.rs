use super::*;
use proptest::prelude::*;

fn settings(shape: Shape) -> Settings {
    Settings {
        shape,
        shuffle: true,
        drop_last: false,
        group_by_length: false,
        batches_per_step: 1,
        seed: 5,
        fingerprint: 77,
    }
}

fn packs_of(tokens: u32) -> Settings {
    settings(Shape::Pack { tokens })
}

fn stream_of(lengths: Vec<u32>, settings: Settings) -> Result<Stream> {
    let images = lengths.iter().map(|length| (length % 3) as u16).collect();
    Stream::new(lengths, images, settings)
}

#[test]
fn unusable_records_are_never_planned() {
    let stream =
        Arc::new(Stream::new(vec![3, 0, 4, 0, 5], vec![1; 5], packs_of(9)).expect("valid"));
    for epoch in 0..5 {
        let mut samples = stream.epoch(epoch, 0).expect("begins").groups.samples;
        samples.sort_unstable();
        assert_eq!(samples, [0, 2, 4]);
    }
}

#[test]
fn wrong_arguments_are_named() {
    let error = |lengths, settings| {
        stream_of(lengths, settings).err().map(|e| e.to_string()).unwrap_or_default()
    };
    assert_eq!(
        error(vec![3, 12], packs_of(9)),
        "record 1 has 12 tokens, pack_tokens is 9; raise it or lower max_length"
    );
    let stream = Arc::new(stream_of(vec![4, 4, 4, 4], packs_of(8)).expect("valid"));
    assert!(stream.epoch(0, 5).is_err());
}

proptest! {
    #[test]
    fn every_sample_once_on_any_number_of_ranks(
        lengths in prop::collection::vec(0u32..=50, 1..400),
        world in 1usize..=16,
        epoch in 0u64..4,
        packed in any::<bool>(),
        group_by_length in any::<bool>(),
        batches_per_step in 1usize..=9,
    ) {
        prop_assume!(lengths.iter().any(|&length| length > 0));
        let shape = if packed { Shape::Pack { tokens: 50 } } else { Shape::Batch { size: 3 } };
        let usable: Vec<u32> =
            (0..lengths.len() as u32).filter(|&i| lengths[i as usize] > 0).collect();
        let settings = Settings { group_by_length, batches_per_step, ..settings(shape) };
        let stream = Arc::new(stream_of(lengths, settings).expect("valid"));
        let rest = stream.epoch(epoch, 0).expect("begins");
        prop_assert_eq!(rest.steps(world), stream.len(world));
        let mut seen = Vec::new();
        for step in 0..rest.steps(world) {
            for rank in 0..world {
                seen.extend(rest.batch(step, rank, world));
            }
            prop_assert_eq!(seen.len(), rest.samples_after(step + 1, world));
        }
        prop_assert_eq!(&seen, &rest.groups.samples);
        seen.sort_unstable();
        prop_assert_eq!(seen, usable);
    }
}

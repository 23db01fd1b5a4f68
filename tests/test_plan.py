"""The plan of an epoch against a slow copy of its rules, and what it promises on any mix."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llava_fast._rust import Stream
from tests import oracle_plan

ROOM = 60
mixes = st.lists(st.integers(0, ROOM), min_size=1, max_size=80).filter(any)
steps = st.integers(1, 9)
seeds = st.integers(0, 2**64 - 1)


def stream(lengths, pack_tokens=None, batch_size=None, shuffle=True, seed=0, fingerprint=1, **more):
    return Stream(
        np.asarray(lengths, dtype=np.int32),
        np.asarray(images_of(lengths), dtype=np.uint16),
        pack_tokens=pack_tokens,
        batch_size=batch_size,
        shuffle=shuffle,
        drop_last=more.get("drop_last", False),
        group_by_length=more.get("group_by_length", False),
        batches_per_step=more.get("batches_per_step", 1),
        seed=seed,
        fingerprint=fingerprint,
    )


def images_of(lengths):
    """Some documents without a picture, some with one or more."""
    return [length % 3 for length in lengths]


def batches(rest, world):
    """[step][rank] record numbers."""
    steps = range(rest.steps(world))
    return [[rest.batch(step, rank, world) for rank in range(world)] for step in steps]


@given(mixes, seeds, seeds, st.integers(0, 3), st.booleans(), st.integers(1, 16), steps)
def test_packs_follow_the_written_rules(
    lengths, seed, fingerprint, epoch, shuffle, world, per_step
):
    images = images_of(lengths)
    common = {"seed": seed, "fingerprint": fingerprint, "shuffle": shuffle}
    ours = stream(lengths, ROOM, **common, batches_per_step=per_step)
    packs = oracle_plan.epoch(lengths, images, ROOM, seed, fingerprint, epoch, shuffle, per_step)
    assert batches(ours.epoch(epoch, 0), world) == oracle_plan.rounds(packs, lengths, images, world)


@given(mixes, seeds, st.integers(0, 3), st.booleans(), st.integers(1, 4), st.integers(1, 3))
def test_batches_of_one_length_follow_the_written_rules(
    lengths, seed, epoch, shuffle, size, per_step
):
    common = {"seed": seed, "shuffle": shuffle, "batches_per_step": per_step}
    ours = stream(lengths, batch_size=size, group_by_length=True, **common)
    expected = oracle_plan.grouped(lengths, size, seed, 1, epoch, shuffle, per_step)
    assert batches(ours.epoch(epoch, 0), 1) == [[batch] for batch in expected]


def test_batches_of_one_length_over_several_windows():
    lengths = np.random.default_rng(0).integers(1, 2000, 1501).tolist()
    ours = stream(lengths, batch_size=4, group_by_length=True, batches_per_step=2)
    for epoch in range(2):
        expected = oracle_plan.grouped(lengths, 4, 0, 1, epoch, per_step=2)
        assert batches(ours.epoch(epoch, 0), 1) == [[batch] for batch in expected]
        padded = sum(max(lengths[i] for i in batch) * len(batch) for batch in expected)
        assert 0.95 < sum(lengths) / padded < 1


def test_packs_follow_the_written_rules_beyond_the_look_ahead():
    lengths = np.random.default_rng(0).integers(1, ROOM, 700).tolist()
    ours = stream(lengths, ROOM)
    for epoch in range(3):
        packs = oracle_plan.epoch(lengths, images_of(lengths), ROOM, 0, 1, epoch)
        assert batches(ours.epoch(epoch, 0), 1) == [[pack] for pack in packs]


# (lengths, room, seed, epoch) for each way to the same number of packs in every epoch.
WAYS = {
    "splits": ([20, 31, 29, 40, 11, 60] * 3, 60, 0, 1),
    "best fit": (np.random.default_rng(8).choice([20, 31, 29, 40, 11, 60], 80).tolist(), 60, 8, 2),
    "packs of epoch 0": ([24] * 4 + [28] * 38 + [30] * 26 + [44] * 10, 100, 0, 10),
}


@pytest.mark.parametrize("way", WAYS)
def test_an_epoch_that_packs_worse_than_epoch_0_keeps_len(way):
    lengths, room, seed, epoch = WAYS[way]
    images = images_of(lengths)
    want = oracle_plan.count(lengths, images, room, seed, 1, True)
    records = oracle_plan.order(lengths, oracle_plan.epoch_key(1, seed, epoch), True)
    looking = len(oracle_plan.look_ahead(records, lengths, images, room)) <= want
    fitting = len(oracle_plan.best_fit(records, lengths, room)) <= want
    assert way == ("splits" if looking else "best fit" if fitting else "packs of epoch 0")
    packs = oracle_plan.epoch(lengths, images, room, seed, 1, epoch)
    assert len(packs) == want
    assert batches(stream(lengths, room, seed=seed).epoch(epoch, 0), 1) == [[p] for p in packs]


KINDS = {
    "pack": {"pack_tokens": ROOM},
    "balanced": {"pack_tokens": ROOM, "batches_per_step": 4},
    "batch": {"batch_size": 3},
    "grouped": {"batch_size": 3, "group_by_length": True},
}


@given(mixes, seeds, st.integers(1, 16), st.sampled_from(list(KINDS)))
def test_every_sample_once_per_epoch_and_len_is_constant(lengths, seed, world, kind):
    ours = stream(lengths, **KINDS[kind], seed=seed)
    usable = [i for i, length in enumerate(lengths) if length]
    for epoch in range(4):
        rounds = batches(ours.epoch(epoch, 0), world)
        assert len(rounds) == ours.steps(world)
        assert sorted(i for step in rounds for batch in step for i in batch) == usable
        sizes = [sum(lengths[i] for i in batch) for step in rounds for batch in step]
        assert "pack_tokens" not in KINDS[kind] or max(sizes) <= ROOM
        # Only the last round may leave a rank without a sample.
        assert all(batch for step in rounds[:-1] for batch in step)


@given(mixes, seeds, st.lists(st.integers(1, 16), min_size=2, max_size=5), st.data())
def test_an_epoch_goes_on_with_another_world_size(lengths, seed, worlds, data):
    """The samples come in the same global order, whoever reads them."""
    kind = data.draw(st.sampled_from(list(KINDS.values())))
    ours = stream(lengths, **kind, seed=seed)
    whole = [i for [batch] in batches(ours.epoch(1, 0), 1) for i in batch]
    seen = []
    for world in [*worlds, 1]:
        rest = ours.epoch(1, len(seen))
        last = world == 1
        steps = rest.steps(world) if last else data.draw(st.integers(0, rest.steps(world)))
        for step in range(steps):
            seen += [i for rank in range(world) for i in rest.batch(step, rank, world)]
            assert rest.samples_after(step + 1, world) == len(seen)
        if last:
            break
    rest = ours.epoch(1, len(seen))
    seen += [i for [batch] in batches(rest, 1) for i in batch]
    assert seen == whole


def test_plain_batches_in_file_order_and_drop_last():
    lengths = [1] * 10
    assert batches(stream(lengths, batch_size=4, shuffle=False).epoch(5, 0), 1) == [
        [[0, 1, 2, 3]],
        [[4, 5, 6, 7]],
        [[8, 9]],
    ]
    dropping = stream(lengths, batch_size=4, shuffle=False, drop_last=True)
    assert batches(dropping.epoch(0, 0), 1) == [[[0, 1, 2, 3]], [[4, 5, 6, 7]]]
    assert dropping.steps(2) == 1
    assert dropping.steps(3) == 0
    dealt = stream(lengths, batch_size=4, shuffle=False)
    assert batches(dealt.epoch(0, 0), 4) == [[[0, 1], [2, 3], [4, 5, 6, 7], [8, 9]]]


def test_another_seed_epoch_or_fingerprint_gives_another_order():
    lengths = [1] * 40
    orders = {
        tuple(stream(lengths, batch_size=40, **different).epoch(epoch, 0).batch(0, 0, 1))
        for different in ({}, {"seed": 1}, {"fingerprint": 2})
        for epoch in range(3)
    }
    assert len(orders) == 9


def test_orders_are_uniform():
    """Each record is equally likely at each place: chi-square over 4,000 epochs of 8 records."""
    places = np.zeros((8, 8))
    ours = stream([1] * 8, batch_size=8)
    for epoch in range(4000):
        for place, record in enumerate(ours.epoch(epoch, 0).batch(0, 0, 1)):
            places[record, place] += 1
    chi = ((places - 500) ** 2 / 500).sum()
    assert chi < 49 + 5 * np.sqrt(2 * 49)


def test_packing_uses_the_room():
    """The length mix of LLaVA-1.5's instruction data: 95 % at 4096 tokens before the splits."""
    rng = np.random.default_rng(0)
    lengths = np.clip(rng.lognormal(5.2, 0.8, 20_000) + 600, 60, 2048).astype(np.int32)
    ours = stream(lengths, 4096)
    assert lengths.sum() / (ours.steps(1) * 4096) > 0.93


def test_an_epoch_of_665k_records_is_planned_in_half_a_second():
    rng = np.random.default_rng(0)
    lengths = np.clip(rng.lognormal(5.2, 0.8, 665_000) + 600, 60, 2048).astype(np.int32)
    ours = stream(lengths, 4096)
    start = time.perf_counter()
    ours.epoch(1, 0)
    assert time.perf_counter() - start < 5 * 0.5


@pytest.mark.parametrize(
    ("lengths", "shape", "message"),
    [
        ([5, 61], {"pack_tokens": 60}, "record 1 has 61 tokens, pack_tokens is 60"),
        ([0, 0], {"pack_tokens": 60}, "none of the 2 records is usable"),
        ([5], {"pack_tokens": 60, "batch_size": 2}, "exactly one of batch_size and pack_tokens"),
        ([5], {}, "exactly one of batch_size and pack_tokens"),
    ],
)
def test_wrong_arguments_are_named(lengths, shape, message):
    with pytest.raises(ValueError, match=message):
        stream(lengths, **shape)


def test_a_place_inside_a_pack_is_refused():
    with pytest.raises(ValueError, match="no batch begins after 2 of 4 samples"):
        stream([20, 20, 20, 20], 60, shuffle=False).epoch(0, 2)

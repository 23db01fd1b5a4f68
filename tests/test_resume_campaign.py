"""A stream that is cut anywhere and goes on elsewhere: any ranks, threads and worker processes."""

import random
from pathlib import Path

import pytest

from llava_fast import DataLoader
from tests import faulty_mixture
from tests.faulty_mixture import read
from tests.scale import scaled
from tests.tiny_data import PACK

WORLDS = (1, 2, 3, 4, 6, 8, 16)
THREADS = (1, 2, 4)
WORKERS = (0, 2)
SHAPES = {
    "native": {"pack_tokens": PACK, "format": "native"},
    "balanced": {"pack_tokens": PACK, "format": "native", "batches_per_step": 8},
    "packed": {"pack_tokens": PACK},
    "padded": {"batch_size": 3},
    "grouped": {"batch_size": 3, "group_by_length": True},
}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return faulty_mixture.write(tmp_path_factory.mktemp("campaign"), 200)


@pytest.fixture(scope="module")
def datasets(path):
    """One that counts the records, and one that finds them counted."""
    return [faulty_mixture.dataset(path) for _ in range(2)]


@pytest.fixture(scope="module")
def whole(datasets):
    """The uninterrupted stream of two epochs on one rank and thread, by shape and seed."""
    known = {}

    def of(name, seed):
        if (name, seed) not in known:
            first, state = read(datasets[0], 1, SHAPES[name], seed=seed, num_threads=1, prefetch=0)
            second, _ = read(datasets[0], 1, SHAPES[name], state, seed=seed, num_threads=1)
            known[name, seed] = (first, second)
        return known[name, seed]

    return of


def legs_of(rng, case):
    """Who reads before and after the cut: every world size meets every other in turn."""
    worlds = WORLDS[case % 7], WORLDS[(case // 7 + case) % 7]
    for world in worlds:
        workers = rng.choice(WORKERS)
        ahead = {"prefetch": rng.randrange(4)} if workers == 0 else {"prefetch_factor": 2}
        threads = rng.choice(THREADS)
        yield world, {"num_threads": threads, "num_workers": workers, **ahead}


def test_random_cuts(datasets, whole):
    for case in range(scaled(500, least=14)):
        rng = random.Random(case)
        name, seed = rng.choice(list(SHAPES)), rng.randrange(2)
        shape = SHAPES[name] | {"seed": seed}
        (world, leg), (later_world, later_leg) = legs_of(rng, case)
        first, second = whole(name, seed)
        rounds = len(DataLoader(datasets[0], world_size=world, **shape))
        cut = rng.randint(0, rounds)
        head, state = read(datasets[case % 2], world, shape, steps=cut, **leg)
        tail, end = read(datasets[1 - case % 2], later_world, shape, state, **later_leg)
        expected = first + second if cut == rounds else first
        told = f"case {case}: {shape} {world} {leg}, {cut} of {rounds}, {later_world} {later_leg}"
        assert head + tail == expected, told
        assert (end["epoch"], end["samples"]) == (2 if cut == rounds else 1, 0), told


def test_many_cuts_in_one_epoch(datasets, whole):
    """As on a cluster where nodes come and go."""
    for case in range(scaled(50, least=2)):
        rng = random.Random(case)
        name = rng.choice(list(SHAPES))
        seen, state = [], {"epoch": 0}
        while state["epoch"] == 0:
            leg = {"num_threads": rng.choice(THREADS), "prefetch": rng.randrange(4)}
            loaded = state if "samples" in state else None
            shape, steps = SHAPES[name] | {"seed": 0}, rng.randint(1, 12)
            world = rng.choice(WORLDS)
            part, state = read(datasets[0], world, shape, loaded, steps=steps, **leg)
            seen += part
        assert seen == whole(name, 0)[0], (case, name)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    return faulty_mixture.write(tmp_path_factory.mktemp("large"), scaled(10_000, least=400))


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("world", WORLDS)
def test_every_sample_once_per_epoch_and_every_bad_one_found(large, world, workers):
    data = faulty_mixture.dataset(large, max_bad=1.0)
    unusable = {bad.record for bad in data.bad}
    usable = sorted(set(range(len(data))) - unusable)
    state = None
    for _ in range(2 if workers == 0 else 1):
        options = {"num_workers": workers, "num_threads": 1}
        seen, state = read(data, world, SHAPES["native"], state, **options)
        assert sorted(record for record, _ in seen) == usable
    met = {bad.record: bad.code for bad in data.bad if bad.record not in unusable}
    assert met == {record: "truncated_image" for record in usable if is_cut(data, record)}
    assert 0.005 < len(unusable) / len(data) < 0.015
    assert 0.005 < len(met) / len(data) < 0.015


def is_cut(data, record):
    where = data.describe(record)
    pictures = [Path(where["file"]).with_name(image) for image in where["images"]]
    return any(picture.stat().st_size == faulty_mixture.CUT for picture in pictures)

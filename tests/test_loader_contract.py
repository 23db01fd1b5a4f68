"""What torch and the frameworks above it expect of a DataLoader."""

import copy
import inspect
import pickle
import re
import time
from itertools import islice

import pytest
import torch
from torch.utils.data import BatchSampler

from llava_fast import DataLoader
from tests import tiny_data
from tests.tiny_data import PACK


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("contract")
    tiny_data.write(folder, 40)
    return tiny_data.dataset(folder)


def ids(batches):
    return [batch["input_ids"].tolist() for batch in batches]


def test_it_is_a_torch_loader_that_can_be_taken_apart(dataset):
    """Accelerate makes a new loader from these parts; `__iter__` would be lost."""
    loader = DataLoader(dataset, pack_tokens=PACK)
    assert isinstance(loader, torch.utils.data.DataLoader)
    assert "__iter__" not in vars(DataLoader)
    assert isinstance(loader.batch_sampler, BatchSampler)
    assert loader.batch_sampler.sampler is loader.batch_sampler
    again = torch.utils.data.DataLoader(
        loader.dataset,
        batch_sampler=DataLoader(dataset, pack_tokens=PACK).batch_sampler,
        collate_fn=loader.collate_fn,
    )
    assert ids(again) == ids(loader)


def test_another_sampler_gets_plain_samples(dataset):
    plain = torch.utils.data.DataLoader(dataset, batch_size=2, collate_fn=list)
    [first, second] = next(iter(plain))
    assert torch.equal(first["input_ids"], dataset[0]["input_ids"])
    assert second["pixel_values"].shape == (1, 3, 28, 28)
    with pytest.raises(IndexError):
        dataset[len(dataset)]
    assert torch.equal(dataset[-1]["input_ids"], dataset[len(dataset) - 1]["input_ids"])


def test_a_loader_dealt_out_by_someone_else(dataset):
    """As BatchSamplerShard does: every W-th plan; read-ahead follows and builds nothing twice."""

    class EverySecond:
        def __init__(self, sampler):
            self.sampler = sampler

        def __iter__(self):
            return (plan for number, plan in enumerate(self.sampler) if number % 2)

    sampler = DataLoader(dataset, pack_tokens=PACK).batch_sampler
    whole = ids(DataLoader(dataset, pack_tokens=PACK))
    sharded = torch.utils.data.DataLoader(
        dataset, batch_sampler=EverySecond(sampler), collate_fn=lambda batches: batches[0]
    )
    assert ids(sharded) == whole[1::2]


@pytest.mark.parametrize("workers", [0, 2])
def test_sharded_twice_is_an_error(dataset, workers):
    loader = DataLoader(dataset, batch_size=2, rank=0, world_size=2, num_workers=workers)
    plans = list(loader.batch_sampler)[::2]
    twice = torch.utils.data.DataLoader(
        dataset, batch_sampler=plans, collate_fn=loader.collate_fn, num_workers=workers
    )
    with pytest.raises(ValueError, match="sharded twice"):
        list(twice)
    assert len(list(loader)) == len(loader)


def test_loaders_of_one_rank_may_take_turns(dataset):
    """A validation pass in the middle of an epoch is no second sharding."""
    options = {"batch_size": 2, "rank": 0, "world_size": 2}
    train = iter(DataLoader(dataset, **options))
    first = [next(train) for _ in range(6)]
    held_out = list(islice(DataLoader(dataset, shuffle=False, **options), 2))
    assert len(ids(first)) + len(ids(train)) == len(DataLoader(dataset, **options))
    assert ids(held_out) != ids(first[:2])


def test_a_loader_that_another_one_empties_knows_no_place(dataset):
    """Accelerate takes the parts; the place of the loader they came from would be wrong."""
    loader = DataLoader(dataset, pack_tokens=PACK)
    parts = {"batch_sampler": loader.batch_sampler, "collate_fn": loader.collate_fn}
    next(iter(torch.utils.data.DataLoader(loader.dataset, **parts)))
    with pytest.raises(RuntimeError, match="state_dict: another loader"):
        loader.state_dict()
    loader.set_epoch(1)
    assert (loader.state_dict()["epoch"], loader.state_dict()["samples"]) == (1, 0)
    next(iter(loader))
    assert loader.state_dict()["samples"] > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "exactly one of batch_size and pack_tokens"),
        ({"batch_size": 2, "pack_tokens": PACK}, "exactly one of batch_size and pack_tokens"),
        ({"batch_size": 2, "format": "native"}, "needs pack_tokens"),
        ({"batch_size": 2, "format": "jax"}, "format: got `jax`"),
        ({"pack_tokens": 5}, "tokens, pack_tokens is 5; raise it or lower max_length"),
        ({"batch_size": 0}, "batch_size: got 0"),
        ({"batch_size": 2, "rank": 2, "world_size": 2}, "rank: got 2 of world_size 2"),
        ({"batch_size": 2, "seed": -1}, "seed: got -1"),
        ({"batch_size": 2, "num_threads": 0}, "num_threads: got 0"),
        ({"batch_size": 2, "num_threads": 20_000}, r"num_threads: got 20000, expected 1\.\.1024"),
        ({"batch_size": 2**64}, r"batch_size: got 18446744073709551616, expected 1\.\.2\*\*31 - 1"),
        ({"batch_size": 2.5}, "batch_size: got 2.5"),
        ({"pack_tokens": 2**40}, r"pack_tokens: got 1099511627776, expected 1\.\.2\*\*31 - 1"),
        ({"batch_size": 2, "seed": 2**64}, "seed: got"),
        ({"batch_size": 2, "prefetch": -1}, "prefetch: got -1"),
        ({"batch_size": 2, "world_size": 2**64}, "world_size: got"),
        ({"batch_size": 2, "rank": -1}, "rank: got -1"),
    ],
)
def test_arguments_that_do_not_go_together(dataset, options, message):
    with pytest.raises(ValueError, match=message):
        DataLoader(dataset, **options)


@pytest.mark.parametrize("epoch", [-1, 2**63, 2**64, 1.5, "1", None])
def test_an_epoch_out_of_range(dataset, epoch):
    with pytest.raises(ValueError, match=re.escape(f"epoch: got {epoch!r}, expected 0..2**63 - 1")):
        DataLoader(dataset, batch_size=2).set_epoch(epoch)
    loader = DataLoader(dataset, batch_size=2)
    loader.set_epoch(2**63 - 1)
    assert len(list(loader)) == len(loader)


@pytest.mark.parametrize("shape", [{"pack_tokens": PACK}, {"batch_size": 4}])
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copy_goes_on_where_the_loader_is(dataset, shape, copied):
    loader = DataLoader(dataset, **shape, seed=3, num_threads=2)
    whole = ids(loader)
    loader.set_epoch(0)
    for _ in islice(loader, 2):
        pass
    place = DataLoader(dataset, **shape, seed=3)
    place.load_state_dict(loader.state_dict())
    again = copied(place)
    assert again.state_dict() == loader.state_dict()
    assert ids(again) == ids(place) == whole[2:]
    assert ids(again) == ids(place)  # the next epoch


def targets(batch):
    return int((batch["labels"][:, 1:] != -100).sum())


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("shape", [{"batch_size": 1}, {"batch_size": 2}, {"pack_tokens": PACK}])
def test_only_drop_last_leaves_no_rank_without_targets(tmp_path, shape, drop_last):
    tiny_data.write(tmp_path, 5)
    small = tiny_data.dataset(tmp_path)
    counts = [
        [
            targets(batch)
            for batch in DataLoader(small, rank=rank, world_size=4, drop_last=drop_last, **shape)
        ]
        for rank in range(4)
    ]
    assert len({len(rank) for rank in counts}) == 1
    empty = sum(count == 0 for rank in counts for count in rank)
    assert empty == (3 if shape == {"batch_size": 1} and not drop_last else 0)


def test_a_batch_without_targets_is_recognised_before_the_loss(tmp_path):
    """transformers' mean over nothing is NaN, as the documentation of `data` says."""
    tiny_data.write(tmp_path, 1)
    small = tiny_data.dataset(tmp_path)
    [filler] = DataLoader(small, batch_size=1, rank=1, world_size=2)
    assert targets(filler) == 0
    loss = torch.nn.functional.cross_entropy(torch.randn(1, 9), filler["labels"][0])
    assert loss.isnan()


@pytest.mark.parametrize("name", ["sampler", "batch_sampler", "collate_fn", "in_order"])
def test_arguments_of_torch_that_are_not_taken(dataset, name):
    with pytest.raises(TypeError, match=f"`{name}`"):
        DataLoader(dataset, batch_size=2, **{name: None})


def test_arguments_of_torch_are_passed_on(dataset):
    options = {
        "num_workers": 1,
        "timeout": 60,
        "persistent_workers": True,
        "multiprocessing_context": "fork",
        "prefetch_factor": 3,
    }
    loader = DataLoader(dataset, batch_size=7, drop_last=True, **options)
    assert (loader.timeout, loader.persistent_workers, loader.prefetch_factor) == (60, True, 3)
    assert len(loader) == 5
    first, second = ids(loader), ids(loader)  # the same worker, the next epoch
    assert len(first) == len(second) == 5
    assert first != second
    assert second == ids_of_epoch(dataset, 1)
    signature = inspect.signature(DataLoader)
    assert signature.parameters["format"].default == "transformers"


def ids_of_epoch(dataset, epoch):
    loader = DataLoader(dataset, batch_size=7, drop_last=True)
    loader.set_epoch(epoch)
    return ids(loader)


@pytest.mark.parametrize("prefetch", [0, 1, 2, 5])
def test_read_ahead_changes_nothing(dataset, prefetch):
    assert ids(DataLoader(dataset, pack_tokens=PACK, prefetch=prefetch)) == ids(
        DataLoader(dataset, pack_tokens=PACK)
    )


@pytest.mark.parametrize("prefetch", [0, 1, 3])
def test_batches_are_there_before_they_are_asked_for(tmp_path, prefetch):
    """What was read ahead needs no file any more; nothing is read that is not handed out."""
    tiny_data.write(tmp_path, 40)
    dataset = tiny_data.dataset(tmp_path, on_bad_sample="skip")
    loader = DataLoader(dataset, batch_size=2, shuffle=False, prefetch=prefetch)
    batches = iter(loader)
    next(batches)
    time.sleep(0.5)
    for picture in [*tmp_path.glob("*.jpg"), *tmp_path.glob("*.png")]:
        picture.unlink()
    bad = []
    for _ in batches:
        bad.append(len(dataset.bad))
    with_pictures = [number % 3 > 0 for number in range(40)]
    lost = [sum(with_pictures[2 + 2 * prefetch : 2 * step]) for step in range(2, 21)]
    assert bad == lost
    assert loader.stats()["pictures"] == sum(with_pictures[: 2 + 2 * prefetch])


def test_two_passes_at_once(dataset):
    loader = DataLoader(dataset, pack_tokens=PACK)
    pairs = list(zip(loader, loader, strict=True))
    loader.set_epoch(0)
    assert ids(first for first, _ in pairs) == ids(loader)
    assert ids(second for _, second in pairs) == ids(loader)

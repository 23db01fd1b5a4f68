"""Our loader with Accelerate: one process, two ranks, resumed."""

import pytest
import torch
from accelerate import Accelerator, DataLoaderConfiguration
from accelerate.state import AcceleratorState, GradientState, PartialState

from llava_fast import DataLoader
from tests import tiny_data
from tests.frameworks import Recognizer, epochs, flat, tiny_llava
from tests.ranks import run_ranks
from tests.tiny_data import PACK


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("accelerate")
    tiny_data.write(folder, 40)
    return folder


@pytest.fixture(scope="module")
def dataset(folder):
    return tiny_data.dataset(folder)


@pytest.fixture
def accelerator():
    """Its settings are shared by a whole process: each test starts without any."""

    def make(**configuration):
        for state in (AcceleratorState, GradientState, PartialState):
            state._reset_state()
        settings = DataLoaderConfiguration(**configuration)
        return Accelerator(cpu=True, dataloader_config=settings, gradient_accumulation_steps=2)

    return make


@pytest.mark.parametrize("workers", [0, 2])
def test_prepared(dataset, accelerator, workers):
    """Two epochs of training through a loader that Accelerate built from the parts of ours."""
    accelerate, recognize = accelerator(), Recognizer(dataset)
    model = tiny_llava(dataset.tokenizer)
    loader = DataLoader(dataset, pack_tokens=PACK, num_workers=workers)
    model, optimizer, loader = accelerate.prepare(
        model, torch.optim.AdamW(model.parameters(), 1e-3), loader
    )
    seen, losses = [], []
    for _ in range(2):
        seen.append([])
        for batch in loader:
            with accelerate.accumulate(model):
                loss = model(**batch).loss
                accelerate.backward(loss)
                optimizer.step()
                optimizer.zero_grad()
            seen[-1].append(recognize(batch))
            losses.append(loss.item())
    assert seen == epochs(dataset, 2, pack_tokens=PACK)
    assert losses[-1] < losses[0]


def test_first_batches_skipped(dataset, accelerator):
    """`skip_first_batches` is Accelerate's way to go on; `set_epoch` says in which epoch."""
    accelerate, recognize = accelerator(), Recognizer(dataset)
    loader = accelerate.prepare(DataLoader(dataset, pack_tokens=PACK))
    loader.set_epoch(2)
    rest = accelerate.skip_first_batches(loader, 4)
    assert [recognize(b) for b in rest] == epochs(dataset, 3, pack_tokens=PACK)[2][4:]


@pytest.mark.parametrize("workers", [0, 2])
def test_state_saved_by_accelerate(dataset, accelerator, tmp_path, workers):
    """With `use_stateful_dataloader` the place is part of `save_state`, the epoch included."""
    expected = epochs(dataset, 3, pack_tokens=PACK)
    recognize = Recognizer(dataset)

    def prepared():
        accelerate = accelerator(use_stateful_dataloader=True)
        loader = DataLoader(dataset, pack_tokens=PACK, num_workers=workers)
        return accelerate, accelerate.prepare(loader)

    accelerate, loader = prepared()
    assert [recognize(batch) for batch in loader] == expected[0]
    for step, batch in enumerate(loader):
        assert recognize(batch) == expected[1][step]
        if step == 3:
            accelerate.save_state(tmp_path / "state")
            break

    accelerate, loader = prepared()
    accelerate.load_state(tmp_path / "state")
    assert [recognize(batch) for batch in loader] == expected[1][4:]
    loader.set_epoch(2)
    assert [recognize(batch) for batch in loader] == expected[2]


def test_two_ranks_with_shares_of_their_own(dataset, folder):
    """rank and world_size of our loader: nothing missing, nothing twice, equally many steps."""
    ranks = run_ranks("accelerate_own_shares", str(folder))
    shares = [epochs(dataset, 2, pack_tokens=PACK, rank=rank, world_size=2) for rank in range(2)]
    assert ranks == shares
    assert len(ranks[0][0]) == len(ranks[1][0])
    for epoch in range(2):
        assert flat(ranks[0][epoch] + ranks[1][epoch]) == list(range(len(dataset)))
    assert ranks[0][0] != ranks[0][1]


def test_two_ranks_dealt_out_by_accelerate(dataset, folder):
    """As any loader: in turns, and the first batch again if they do not come out even."""
    skipped = 2
    ranks = run_ranks("accelerate_prepared", str(folder), skipped)
    for epoch, whole in enumerate(epochs(dataset, 2, pack_tokens=PACK)):
        even = whole + whole[: len(whole) % 2]
        assert [rank[epoch] for rank in ranks] == [even[0::2], even[1::2]]
    assert [rank[2] for rank in ranks] == [rank[1][skipped:] for rank in ranks]


def test_two_ranks_sharded_twice(folder):
    for message in run_ranks("accelerate_twice", str(folder)):
        assert message.startswith("sharded twice: the loader has world_size=2")

"""torchdata's StatefulDataLoader over the parts of our loader: the same batches, also resumed."""

import pickle
from itertools import islice

import pytest
from torchdata.stateful_dataloader import StatefulDataLoader

from llava_fast import DataLoader
from tests import tiny_data
from tests.frameworks import Recognizer, epochs
from tests.tiny_data import PACK

SHAPES = [{"pack_tokens": PACK}, {"batch_size": 4}]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("torchdata")
    tiny_data.write(folder, 40)
    return tiny_data.dataset(folder)


def stateful(dataset, workers, **shape):
    ours = DataLoader(dataset, **shape)
    parts = {"batch_sampler": ours.batch_sampler, "collate_fn": ours.collate_fn}
    return StatefulDataLoader(dataset, num_workers=workers, **parts)


def saved(state):
    """As it comes back from a checkpoint."""
    return pickle.loads(pickle.dumps(state))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("shape", SHAPES)
def test_resumed_in_a_later_epoch(dataset, workers, shape):
    """The epoch is part of the state, without a call of `set_epoch`."""
    recognize = Recognizer(dataset)
    expected = epochs(dataset, 3, **shape)
    loader = stateful(dataset, workers, **shape)
    assert [recognize(batch) for batch in loader] == expected[0]
    running = iter(loader)
    first = [recognize(batch) for batch in islice(running, 3)]
    state = saved(loader.state_dict())
    assert first + [recognize(batch) for batch in running] == expected[1]

    again = stateful(dataset, workers, **shape)
    again.load_state_dict(state)
    assert [recognize(batch) for batch in again] == expected[1][3:]
    assert [recognize(batch) for batch in again] == expected[2]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("ended", [False, True])
def test_resumed_at_the_end_of_an_epoch(dataset, workers, ended):
    """After the last batch nothing of the epoch is left; after its end comes the next."""
    recognize = Recognizer(dataset)
    expected = epochs(dataset, 2, batch_size=4)
    loader = stateful(dataset, workers, batch_size=4)
    running = iter(loader)
    for _ in range(len(loader)):
        next(running)
    if ended:
        assert next(running, None) is None
    again = stateful(dataset, workers, batch_size=4)
    again.load_state_dict(saved(loader.state_dict()))
    if not ended:
        assert list(again) == []
    assert [recognize(batch) for batch in again] == expected[1]


def test_a_state_of_other_data_is_refused(dataset, tmp_path):
    tiny_data.write(tmp_path, 8, seed=1)
    loader = stateful(dataset, 0, pack_tokens=PACK)
    next(iter(loader))
    other = stateful(tiny_data.dataset(tmp_path), 0, pack_tokens=PACK)
    other.load_state_dict(loader.state_dict())
    with pytest.raises(ValueError, match="`data` differs"):
        next(iter(other))

"""A stream that is cut anywhere goes on as if it had not been."""

import hashlib
import json
import pickle
from itertools import islice

import pytest
import torch

from llava_fast import DataLoader
from tests import tiny_data
from tests.scale import scaled
from tests.tiny_data import PACK

SHAPES = {
    "native": {"pack_tokens": PACK, "format": "native"},
    "packed": {"pack_tokens": PACK},
    "padded": {"batch_size": 3},
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("resume")
    tiny_data.write(folder, 40)
    return tiny_data.dataset(folder)


def digest(batch):
    """Of everything in a batch, to the byte."""
    state = hashlib.sha256()
    for key, value in sorted(batch.items()):
        state.update(key.encode())
        data = value.numpy().tobytes() if isinstance(value, torch.Tensor) else repr(value).encode()
        state.update(data)
    return state.hexdigest()


def epochs(loader, count):
    return [digest(batch) for _ in range(count) for batch in loader]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("shape", SHAPES)
def test_cut_after_every_batch(dataset, shape, workers):
    options = SHAPES[shape] | {"num_workers": workers}
    whole = epochs(DataLoader(dataset, **options), 2)
    steps = len(DataLoader(dataset, **options))
    cuts = range(0, steps + 1, 1 if workers == 0 else 4 // scaled(4))
    for cut in cuts:
        first = DataLoader(dataset, **options)
        head = [digest(batch) for batch in islice(first, cut)]
        state = json.loads(json.dumps(first.state_dict()))
        assert len(json.dumps(state)) < 1024
        second = DataLoader(dataset, **options)
        second.load_state_dict(state)
        assert second.state_dict() == state
        tail = epochs(second, 2 if cut < steps else 1)
        assert head + tail == whole[: len(head) + len(tail)]
        assert len(head) + len(tail) == 2 * steps


def test_a_resume_opens_no_skipped_file(tmp_path):
    tiny_data.write(tmp_path, 40)
    dataset = tiny_data.dataset(tmp_path)
    loader = DataLoader(dataset, batch_size=2, shuffle=False)
    for _ in islice(loader, 10):
        pass
    for path in [p for n in range(20) for p in tmp_path.glob(f"{n}.*")]:
        path.unlink()
    again = DataLoader(dataset, batch_size=2, shuffle=False)
    again.load_state_dict(loader.state_dict())
    assert len(list(again)) == 10


def refused(state, loader, field):
    with pytest.raises(ValueError, match=f"`{field}` differs: got {state[field]!r}, expected"):
        loader.load_state_dict(state)


@pytest.mark.parametrize(
    ("field", "changed"),
    [
        ("seed", {"seed": 1}),
        ("pack_tokens", {"pack_tokens": 256}),
        ("shuffle", {"shuffle": False}),
        ("batches_per_step", {"batches_per_step": 2}),
    ],
)
def test_changed_settings_are_refused_by_name(dataset, field, changed):
    state = DataLoader(dataset, pack_tokens=PACK).state_dict()
    refused(state, DataLoader(dataset, **({"pack_tokens": PACK} | changed)), field)


@pytest.mark.parametrize(
    ("field", "changed"),
    [
        ("template", {"template": "v1"}),
        ("image", {"image": tiny_data.ImageConfig(size=28, mode="pad")}),
        ("max_length", {"max_length": 127}),
        ("reading", {"compat": "llava"}),
        ("tokenizer", {"tokenizer": "chatml"}),
    ],
)
def test_a_changed_data_set_is_refused_by_what_changed(dataset, tmp_path, field, changed):
    state = DataLoader(dataset, pack_tokens=PACK).state_dict()
    assert len(json.dumps(state)) < 1024
    tiny_data.write(tmp_path, 40)
    refused(state, DataLoader(tiny_data.dataset(tmp_path, **changed), pack_tokens=256), field)


def test_changed_data_or_a_damaged_state_is_refused(dataset, tmp_path):
    state = DataLoader(dataset, pack_tokens=PACK).state_dict()
    tiny_data.write(tmp_path, 41)
    with pytest.raises(ValueError, match="`data` differs"):
        DataLoader(tiny_data.dataset(tmp_path), pack_tokens=PACK).load_state_dict(state)
    loader = DataLoader(dataset, pack_tokens=PACK)
    for broken, message in (
        ({"samples": -1}, "`samples`: got -1"),
        ({"samples": 10**9}, "no batch begins after 1000000000 of 40 samples"),
        ({"epoch": "1"}, "`epoch`: got '1'"),
        (
            {"epoch": 2**64},
            r"loader state: `epoch`: got 18446744073709551616, expected 0\.\.2\*\*63",
        ),
        ({"samples": 2**64}, "loader state: `samples`: got"),
        ({"version": 0}, "`version` differs"),
    ):
        with pytest.raises(ValueError, match=message):
            loader.load_state_dict(state | broken)
    with pytest.raises(ValueError, match="loader state: got None"):
        loader.load_state_dict(None)
    del state["seed"]
    with pytest.raises(ValueError, match="missing field `seed`"):
        loader.load_state_dict(state)


def test_the_fingerprint_knows_every_setting_and_no_path(tmp_path):
    folders = [tmp_path / name for name in ("a", "b")]
    for folder in folders:
        tiny_data.write(folder, 6)
    same = [tiny_data.dataset(folder).fingerprint for folder in folders]
    assert same[0] == same[1]
    others = [
        {"image": tiny_data.ImageConfig(size=28, mode="pad")},
        {"image": tiny_data.ImageConfig(size=42)},
        {"template": "v1"},
        {"max_length": 127},
    ]
    assert len({tiny_data.dataset(folders[0], **o).fingerprint for o in others} | {same[0]}) == 5


def test_epochs_advance_and_set_epoch_wins(dataset):
    loader = DataLoader(dataset, **SHAPES["native"])
    first, second = epochs(loader, 1), epochs(loader, 1)
    assert sorted(first) != sorted(second)
    loader.set_epoch(0)
    assert epochs(loader, 1) == first
    assert epochs(loader, 1) == second
    loader.set_epoch(1)
    for _ in islice(loader, 1):  # an abandoned pass counts
        pass
    loader.set_epoch(1)
    assert epochs(loader, 1) == second


def test_set_epoch_keeps_a_place_loaded_in_that_epoch(dataset):
    loader = DataLoader(dataset, **SHAPES["native"])
    whole = epochs(loader, 1)
    loader.set_epoch(0)
    for _ in islice(loader, 3):
        pass
    state = loader.state_dict()
    again = DataLoader(dataset, **SHAPES["native"])
    again.load_state_dict(state)
    again.set_epoch(0)
    assert epochs(again, 1) == whole[3:]


@pytest.mark.parametrize("workers", [0, 2])
def test_the_state_speaks_of_the_last_batch_handed_out(dataset, workers):
    loader = DataLoader(dataset, batch_size=2, num_workers=workers)
    assert loader.state_dict()["samples"] == 0
    for number, _ in enumerate(islice(loader, 5), 1):
        assert loader.state_dict()["samples"] == 2 * number


def test_a_data_set_pickles_small_and_notices_changed_data(tmp_path):
    made = tiny_data.write(tmp_path, 200)
    dataset = tiny_data.dataset(tmp_path)
    whole = pickle.dumps(dataset)
    assert len(whole) - len(pickle.dumps(dataset.tokenizer)) < 2048
    assert pickle.loads(whole).lengths.tolist() == dataset.lengths.tolist()
    made[0]["conversations"][0]["value"] += "!"
    tiny_data.save(tmp_path, made)
    with pytest.raises(ValueError, match="has changed since the data set was opened"):
        pickle.loads(whole)

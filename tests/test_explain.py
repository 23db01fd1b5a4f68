"""What `explain` says of a batch is what the batch turns out to be."""

import json
from itertools import islice

import pytest

from llava_fast import DataLoader
from tests import tiny_data
from tests.tiny_data import PACK


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explain")
    tiny_data.write(folder, 40)
    return folder


@pytest.fixture(scope="module")
def dataset(folder):
    return tiny_data.dataset(folder)


@pytest.mark.parametrize("world", [1, 3])
def test_every_batch_of_two_epochs_before_it_is_made(dataset, folder, world):
    made = json.loads((folder / "train.json").read_text())
    for rank in range(world):
        options = {"pack_tokens": PACK, "format": "native", "rank": rank, "world_size": world}
        loader = DataLoader(dataset, **options)
        for epoch in range(2):
            said = [loader.explain(step, epoch=epoch) for step in range(len(loader))]
            assert json.loads(json.dumps(said)) == said
            for step, (told, batch) in enumerate(zip(said, loader, strict=True)):
                assert (told["epoch"], told["step"], told["rank"]) == (epoch, step, rank)
                documents = told["documents"]
                records = [document["record"] for document in documents]
                assert records == [r for r in batch["records"].tolist() if r >= 0]
                if not documents:
                    continue
                borders = batch["cu_seqlens"].tolist()
                assert [document["start"] for document in documents] == borders[:-1]
                assert told["tokens"] == borders[-1] == sum(d["tokens"] for d in documents)
                assert told["padding"] == pytest.approx(1 - told["tokens"] / PACK)
                assert told["images"] == len(batch.get("pixel_patches", []))
                for document in documents:
                    record = made[document["record"]]
                    assert document["id"] == record["id"]
                    assert document["images"] == ([record["image"]] if "image" in record else [])
                    assert document["file"].endswith("train.json")
                    assert document["number"] == document["record"]


def test_other_ranks_and_padded_rows(dataset):
    ours = DataLoader(dataset, batch_size=4, rank=1, world_size=2)
    other = DataLoader(dataset, batch_size=4, rank=0, world_size=2)
    assert ours.explain(2, rank=0) == other.explain(2)
    told = ours.explain(1)
    assert [document["row"] for document in told["documents"]] == [0, 1, 2, 3]
    longest = max(document["tokens"] for document in told["documents"])
    assert told["room"] == 4 * longest


def test_a_pass_that_went_on_elsewhere_counts_from_there(dataset):
    first = DataLoader(dataset, pack_tokens=PACK)
    for _ in islice(first, 3):
        pass
    state = first.state_dict()
    second = DataLoader(dataset, pack_tokens=PACK, format="native", rank=1, world_size=2)
    second.load_state_dict(state)
    batch = next(iter(second))
    told = second.explain(0, since=state)
    assert [d["record"] for d in told["documents"]] == batch["records"].tolist()


def test_no_picture_is_opened(tmp_path):
    tiny_data.write(tmp_path, 12)
    loader = DataLoader(tiny_data.dataset(tmp_path), batch_size=3)
    for picture in [*tmp_path.glob("*.jpg"), *tmp_path.glob("*.png")]:
        picture.unlink()
    assert sum(len(loader.explain(step)["documents"]) for step in range(len(loader))) == 12


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"step": 10}, r"step: got 10, expected 0\.\.9 in epoch 0"),
        ({"step": -1}, "step: got -1"),
        ({"step": 0, "rank": 1}, r"rank: got 1, expected 0\.\.0"),
        ({"step": 0, "epoch": -1}, "epoch: got -1"),
        ({"step": 0, "since": {}}, "loader state: missing field `version`"),
    ],
)
def test_what_does_not_exist_is_refused(dataset, arguments, message):
    with pytest.raises(ValueError, match=message):
        DataLoader(dataset, batch_size=4).explain(**arguments)


def test_without_shuffle_every_pass_is_the_same(dataset):
    loader = DataLoader(dataset, pack_tokens=PACK, shuffle=False)
    passes = [[batch["input_ids"].tolist() for batch in loader] for _ in range(3)]
    assert passes[0] == passes[1] == passes[2]

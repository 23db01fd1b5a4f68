"""Batches hold exactly the samples of `encode` and the pixels of one picture at a time."""

import numpy as np
import pytest
import torch

from llava_fast import DataLoader, encode
from tests import tiny_data
from tests.tiny_data import PACK


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    made = tiny_data.write(folder, 60)
    return tiny_data.dataset(folder), made


def samples(dataset, made):
    """What `encode` says, by ids without padding."""
    options = {"template": "v1_short", "image_tokens": 4, "max_length": tiny_data.MAX_LENGTH}
    return [encode(record, dataset.tokenizer, **options) for record in made]


def native_batches(dataset, **more):
    return list(DataLoader(dataset, pack_tokens=PACK, format="native", **more))


def test_lengths_and_counts(world):
    dataset, made = world
    assert dataset.lengths.dtype == np.int32
    assert dataset.lengths.tolist() == [len(s.input_ids) for s in samples(dataset, made)]
    assert dataset.mean_length == pytest.approx(dataset.lengths.mean())
    assert dataset.total_images == sum("image" in record for record in made)
    assert dataset.bad == []


def test_native_packs_are_the_samples_of_encode(world):
    dataset, made = world
    expected = samples(dataset, made)
    seen = []
    for batch in native_batches(dataset):
        borders = batch["cu_seqlens"].tolist()
        assert batch["max_seqlen"] == max(np.diff(borders))
        labels = torch.full_like(batch["input_ids"], -100)
        labels[batch["loss_rows"].long() + 1] = batch["targets"]
        starts = []
        for record, start, end in zip(batch["records"], borders, borders[1:], strict=False):
            sample = expected[record]
            assert batch["input_ids"][start:end].tolist() == sample.input_ids.tolist()
            assert labels[start:end].tolist() == [-100, *sample.labels[1:].tolist()]
            assert batch["position_ids"][start:end].tolist() == list(range(end - start))
            starts += (sample.image_starts + start).tolist()
        assert batch.get("image_row_starts", torch.tensor([])).tolist() == starts
        assert len(batch.get("pixel_patches", [])) == len(starts)
        seen += batch["records"].tolist()
    assert sorted(seen) == list(range(len(made)))


def test_the_three_layouts_hold_the_same(world):
    dataset, _ = world
    packed = list(DataLoader(dataset, pack_tokens=PACK))
    for ours, native in zip(packed, native_batches(dataset), strict=True):
        assert ours["use_cache"] is False
        assert torch.equal(ours["input_ids"][0], native["input_ids"])
        assert torch.equal(ours["position_ids"][0], native["position_ids"].long())
        assert torch.equal(ours["cu_seq_lens_q"], native["cu_seqlens"])
        assert torch.equal(ours["cu_seq_lens_k"], native["cu_seqlens"])
        assert ours["max_length_q"] == ours["max_length_k"] == native["max_seqlen"]
        rows = (ours["labels"][0, 1:] != -100).nonzero()[:, 0]
        assert torch.equal(rows, native["loss_rows"].long())
        assert torch.equal(ours["labels"][0, 1:][rows], native["targets"])
        assert ("pixel_values" in ours) == ("pixel_patches" in native)

    batches = list(DataLoader(dataset, batch_size=4, shuffle=False))
    for step, batch in enumerate(batches):
        plain = dataset.__getitems__(list(range(4 * step, 4 * step + 4)))
        for row, sample in enumerate(plain):
            length = len(sample["input_ids"])
            assert batch["attention_mask"][row].tolist() == [1] * length + [0] * (
                batch["input_ids"].shape[1] - length
            )
            assert torch.equal(batch["input_ids"][row, :length], sample["input_ids"])
            assert torch.equal(batch["labels"][row, :length], sample["labels"])
            assert (batch["input_ids"][row, length:] == dataset.tokenizer.pad_id).all()
            assert (batch["labels"][row, length:] == -100).all()
        pictures = [s["pixel_values"] for s in plain if "pixel_values" in s]
        assert torch.equal(batch["pixel_values"], torch.cat(pictures))


def test_keys_and_types(world):
    dataset, made = world
    types = {
        "native": {
            "input_ids": torch.int64,
            "position_ids": torch.int32,
            "cu_seqlens": torch.int32,
            "max_seqlen": int,
            "loss_rows": torch.int32,
            "targets": torch.int64,
            "pixel_patches": torch.uint8,
            "image_row_starts": torch.int32,
            "records": torch.int64,
            "q_tiles": torch.int32,
            "kv_tiles": torch.int32,
        },
        "packed": {
            "input_ids": torch.int64,
            "labels": torch.int64,
            "position_ids": torch.int64,
            "cu_seq_lens_q": torch.int32,
            "cu_seq_lens_k": torch.int32,
            "max_length_q": int,
            "max_length_k": int,
            "use_cache": bool,
            "pixel_values": torch.float32,
        },
        "padded": {
            "input_ids": torch.int64,
            "labels": torch.int64,
            "attention_mask": torch.int64,
            "pixel_values": torch.float32,
        },
    }
    loaders = {
        "native": DataLoader(dataset, pack_tokens=PACK, format="native"),
        "packed": DataLoader(dataset, pack_tokens=PACK),
        "padded": DataLoader(dataset, batch_size=8),
    }
    for layout, loader in loaders.items():
        batch = next(batch for batch in loader if types[layout].keys() <= batch.keys())
        assert type(batch) is dict
        got = {key: getattr(value, "dtype", type(value)) for key, value in batch.items()}
        assert got == types[layout]
    assert next(iter(loaders["packed"]))["pixel_values"].shape[1:] == (3, 28, 28)
    text_only = [i for i, record in enumerate(made) if "image" not in record]
    assert "pixel_values" not in dataset[text_only[0]]


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_do_not_change_a_byte(world, threads):
    dataset, _ = world
    for ours, one in zip(
        native_batches(dataset, num_threads=threads, prefetch=0),
        native_batches(dataset, num_threads=1),
        strict=True,
    ):
        assert ours.keys() == one.keys()
        assert all(
            torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b
            for a, b in zip(ours.values(), one.values(), strict=True)
        )


def test_a_returned_batch_is_never_written_again(world):
    dataset, _ = world
    kept, copies = [], []
    for batch in DataLoader(dataset, pack_tokens=PACK):
        kept.append(batch)
        copies.append(batch["input_ids"].clone())
    assert all(torch.equal(a["input_ids"], b) for a, b in zip(kept, copies, strict=True))


def test_a_rank_without_a_sample_gets_a_pad_document(world):
    dataset, _ = world
    short = type(dataset)(
        tiny_data.records(1), None, dataset.tokenizer, tiny_data.IMAGE, "v1_short", 128
    )
    loaders = {
        layout: DataLoader(short, **shape, rank=1, world_size=2)
        for layout, shape in {
            "native": {"pack_tokens": PACK, "format": "native"},
            "packed": {"pack_tokens": PACK},
            "padded": {"batch_size": 4},
        }.items()
    }
    for loader in loaders.values():
        [batch] = loader
        assert batch["input_ids"].flatten().tolist() == [dataset.tokenizer.pad_id]
        assert loader.used_tokens(batch) == 0
    [native] = loaders["native"]
    assert native["records"].tolist() == [-1]
    assert native["loss_rows"].numel() == native["targets"].numel() == 0
    [packed] = loaders["packed"]
    assert (packed["labels"] == -100).all()


def test_used_tokens_of_an_epoch_are_the_lengths(world):
    dataset, _ = world
    for shape in ({"pack_tokens": PACK}, {"batch_size": 7}, {"pack_tokens": 256}):
        loader = DataLoader(dataset, **shape)
        assert sum(map(loader.used_tokens, loader)) == dataset.lengths.sum()

"""A mixture with bad samples of every kind, and its stream sample by sample."""

import hashlib
import json
from itertools import islice, pairwise
from pathlib import Path

import torch
import yaml

from llava_fast import DataLoader, LlavaDataset
from tests import tiny_data

# Bytes that are left of a bad picture.
CUT = 60
NO_ROWS = torch.zeros(0, dtype=torch.int32)
NO_PIXELS = torch.zeros(0, 4, 640, dtype=torch.uint8)


def write(folder: Path, count: int) -> Path:
    """A mixture of about `count` records from two files, each with pictures of its own; one in a
    hundred records cannot be read, and one in a hundred has a bad picture."""
    parts = {"a": count // 2, "b": count // 2}
    for seed, (name, size) in enumerate(parts.items()):
        made = tiny_data.write(folder / name, size, seed)
        for number in range(3, size, 100):
            made[number]["conversations"][0]["from"] = "robot"
        for number in range(7, size, 99):
            picture = folder / name / made[number]["image"]
            picture.write_bytes(picture.read_bytes()[:CUT])
        tiny_data.save(folder / name, made)
    entries = [
        {"json_path": "a/train.json", "images": "a", "weight": 1.2},
        {"json_path": "b/train.json", "images": "b", "sampling_strategy": "random:80%"},
    ]
    path = folder / "mixture.yaml"
    path.write_text(yaml.safe_dump({"seed": 3, "datasets": entries}))
    return path


def dataset(path: Path, **options: object) -> LlavaDataset:
    settings = {"image": tiny_data.IMAGE, "template": "v1_short", "on_bad_sample": "skip"}
    words = tiny_data.tokenizer()
    return LlavaDataset(path, None, words, max_length=tiny_data.MAX_LENGTH, **settings, **options)


def samples(batch: dict) -> list[tuple]:
    """Of each sample in a batch of any layout, in order: its record where the batch tells it, and a
    hash of ids, labels and pixels. Pad documents are left out; holes are told by `native` only."""
    if "records" in batch:
        return _native(batch)
    if "attention_mask" in batch:
        return _padded(batch)
    return _packed(batch)


def _native(batch: dict) -> list[tuple]:
    out = []
    starts = batch.get("image_row_starts", NO_ROWS)
    pixels = batch.get("pixel_patches", NO_PIXELS)
    borders = pairwise(batch["cu_seqlens"].tolist())
    for record, (start, end) in zip(batch["records"].tolist(), borders, strict=True):
        if record < 0:
            continue
        rows = (batch["loss_rows"] >= start) & (batch["loss_rows"] < end)
        shown = (starts >= start) & (starts < end)
        targets = torch.stack((batch["loss_rows"][rows] - start, batch["targets"][rows]))
        parts = (batch["input_ids"][start:end], targets, starts[shown] - start, pixels[shown])
        out.append((record, digest(*parts)))
    return out


def _packed(batch: dict) -> list[tuple]:
    borders = pairwise(batch["cu_seq_lens_q"].tolist())
    rows = [(batch["input_ids"][0, a:b], batch["labels"][0, a:b]) for a, b in borders]
    return _with_pixels(rows, batch)


def _padded(batch: dict) -> list[tuple]:
    used = batch["attention_mask"].bool()
    rows = zip(batch["input_ids"], batch["labels"], used, strict=True)
    return _with_pixels([(ids[real], labels[real]) for ids, labels, real in rows], batch)


def _with_pixels(rows: list[tuple[torch.Tensor, torch.Tensor]], batch: dict) -> list[tuple]:
    """Every picture is 4 image tokens; the pictures of a batch follow each other as in the text."""
    words = tiny_data.tokenizer()
    out, taken = [], 0
    for ids, labels in rows:
        if (ids == words.pad_id).all():
            continue
        count = int((ids == words.image_id).sum()) // 4
        shown = batch["pixel_values"][taken : taken + count] if count else NO_PIXELS
        taken += count
        out.append((None, digest(ids, labels, shown)))
    assert taken == len(batch.get("pixel_values", ()))
    return out


def digest(*tensors: torch.Tensor) -> str:
    state = hashlib.sha256()
    for tensor in tensors:
        state.update(f"{tuple(tensor.shape)} {tensor.dtype}".encode())
        state.update(tensor.numpy().tobytes())
    return state.hexdigest()


def read(
    data: LlavaDataset, world: int, shape: dict, state: dict | None = None, **leg: object
) -> tuple[list[tuple], dict]:
    """Samples of all ranks in global order, over `steps` rounds (None: to the end of the epoch),
    and where that ended, as every rank says."""
    steps = leg.pop("steps", None)
    ranks, states = [], []
    for rank in range(world):
        loader = DataLoader(data, rank=rank, world_size=world, **shape, **leg)
        if state is not None:
            loader.load_state_dict(state)
        ranks.append([samples(batch) for batch in islice(loader, steps)])
        states.append(json.loads(json.dumps(loader.state_dict())))
    assert all(other == states[0] for other in states)
    rounds = zip(*ranks, strict=True)
    return [sample for batches in rounds for batch in batches for sample in batch], states[0]

"""The two sides of the loader benches, and views of their batches that can be compared.

Ours also expands every picture to its 576 positions, and checks what it reads.
"""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from benches.gates import Gate, identical, within_grey_levels
from benches.peers import llava_loader, llava_text, processors
from benches.pictures import jpegs
from benches.records import TOKENIZER
from llava_fast import DataLoader, ImageConfig, LlavaDataset, Tokenizer

BATCH = 16
ROOM = 4096
IMAGE_TOKENS = 576
MAX_LENGTH = 4096

PEERS: dict[str, tuple[Callable[[], processors.Batch], Gate]] = {
    "CLIPImageProcessorPil": (lambda: processors.pillow_processor("pad"), identical),
    "torchvision processor": (
        lambda: processors.faster_torchvision("pad", jpegs(8))[1],
        within_grey_levels(most=2, share=0.01),
    ),
}
PADDED = {"batch_size": BATCH}
PACKED = {"pack_tokens": ROOM}


def ours(data: Path, index_dir: Path | None = None, **options: object) -> DataLoader:
    """A loader in record order; options: those of `DataLoader`."""
    dataset = LlavaDataset(
        data,
        data.parent,
        Tokenizer.from_pretrained(TOKENIZER),
        image=ImageConfig(mode="pad"),
        template="v1",
        max_length=MAX_LENGTH,
        index_dir=index_dir,
    )
    return DataLoader(dataset, shuffle=False, **options)


def peer(
    data: Path, workers: int, process: processors.Batch, tokenizer: object
) -> torch.utils.data.DataLoader:
    """LLaVA's data set in padded batches, in record order."""
    dataset = llava_loader.LazyDataset(data, data.parent, tokenizer, process)
    return llava_loader.loader(dataset, BATCH, workers, MAX_LENGTH)


def rows(batches: list[dict]) -> dict[str, np.ndarray]:
    """The samples of all batches one after the other, without padding."""
    real = [batch["attention_mask"].bool() for batch in batches]
    return {
        "pixel_values": torch.cat([b["pixel_values"] for b in batches]).numpy(),
        "lengths": torch.cat([mask.sum(1) for mask in real]).numpy(),
        "input_ids": _real(batches, real, "input_ids"),
        "labels": _real(batches, real, "labels"),
    }


def _real(batches: list[dict], masks: list[torch.Tensor], name: str) -> np.ndarray:
    return torch.cat([b[name][mask] for b, mask in zip(batches, masks, strict=True)]).numpy()


def peer_rows(batches: list[dict], image_id: int) -> dict[str, np.ndarray]:
    """The same of the peer's batches: -200 expanded, the zero pictures of text records left out."""
    pixels, lengths, input_ids, labels = [], [], [], []
    for batch in batches:
        for row, mask in enumerate(batch["attention_mask"]):
            ids, marks = batch["input_ids"][row][mask], batch["labels"][row][mask]
            repeats = torch.where(ids == llava_text.IMAGE, IMAGE_TOKENS, 1)
            if (ids == llava_text.IMAGE).any():
                pixels.append(batch["images"][row])
            lengths.append(int(repeats.sum()))
            input_ids.append(ids.repeat_interleave(repeats))
            labels.append(marks.repeat_interleave(repeats))
    ids = torch.cat(input_ids)
    return {
        "pixel_values": torch.stack(pixels).numpy(),
        "lengths": np.array(lengths),
        "input_ids": torch.where(ids == llava_text.IMAGE, image_id, ids).numpy(),
        "labels": torch.cat(labels).numpy(),
    }


def packed_rows(batches: list[dict], loader: DataLoader) -> dict[str, np.ndarray]:
    """The documents of all packs in record order."""
    order = [loader.explain(step)["documents"] for step in range(len(batches))]
    found = {}
    for batch, documents in zip(batches, order, strict=True):
        pixels = iter(batch.get("pixel_values", ()))
        spans = pairwise(batch["cu_seq_lens_q"].tolist())
        for document, (start, end) in zip(documents, spans, strict=True):
            pictures = [next(pixels) for _ in document["images"]]
            ids, labels = (batch[name][0, start:end] for name in ("input_ids", "labels"))
            found[document["record"]] = pictures, ids, labels
    pictures, ids, labels = zip(*(found[record] for record in sorted(found)), strict=True)
    return {
        "pixel_values": torch.stack([picture for some in pictures for picture in some]).numpy(),
        "lengths": np.array([len(row) for row in ids]),
        "input_ids": torch.cat(ids).numpy(),
        "labels": torch.cat(labels).numpy(),
    }

"""Batches from a JSON file and a folder of JPEGs, against LLaVA's dataset in a torch DataLoader.

One call is one epoch in record order. The peer's workers stay alive over the run; ours uses as many
threads as the peer has workers. Ours also expands every picture to its 576 positions.
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from benches.conftest import Compare, Figure
from benches.gates import Gate, identical, within_grey_levels
from benches.peers import llava_loader, llava_text, processors
from benches.pictures import jpegs
from benches.records import TOKENIZER, write_dataset
from benches.results import ROOT
from llava_fast import DataLoader, ImageConfig, LlavaDataset, Tokenizer

BATCH = 16
IMAGE_TOKENS = 576
MAX_LENGTH = 4096
STEP = 0.02
# Epochs whose median is shown.
WAITS = 3

PEERS: dict[str, tuple[Callable[[], processors.Batch], Gate]] = {
    "CLIPImageProcessorPil": (lambda: processors.pillow_processor("pad"), identical),
    "torchvision processor": (
        lambda: processors.faster_torchvision("pad", jpegs(8))[1],
        within_grey_levels(most=2, share=0.01),
    ),
}


@pytest.fixture(scope="module")
def count(request: pytest.FixtureRequest) -> int:
    return BATCH + 1 if request.config.getoption("quick") else 6 * BATCH


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, count: int) -> Path:
    return write_dataset(tmp_path_factory.mktemp("records"), count)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("processor", list(PEERS))
def bench_loader(compare: Compare, data: Path, count: int, processor: str, workers: int) -> None:
    if processor.startswith("torchvision"):
        pytest.importorskip("torchvision")
    torch.set_num_threads(1)
    loader = ours(data, threads=max(workers, 1))
    others = peer(processor, data, workers)
    image_id = others.dataset.tokenizer.convert_tokens_to_ids("<image>")
    compare(
        f"pad, {workers} workers, LLaVA with {processor}",
        ours=lambda: list(loader),
        peer=lambda: list(others),
        gate=PEERS[processor][1],
        setting={"peer": processor, "workers": workers} if workers == 2 else None,
        items=count,
        item="sample",
        view=_rows,
        view_peer=lambda batches: _peer_rows(batches, image_id),
    )


def ours(data: Path, threads: int) -> DataLoader:
    """An epoch of padded batches in record order."""
    dataset = LlavaDataset(
        data,
        data.parent,
        Tokenizer.from_pretrained(TOKENIZER),
        image=ImageConfig(mode="pad"),
        template="v1",
        max_length=MAX_LENGTH,
    )
    return DataLoader(dataset, batch_size=BATCH, shuffle=False, num_threads=threads)


def peer(processor: str, data: Path, workers: int) -> torch.utils.data.DataLoader:
    """The same with LLaVA's data set."""
    tokenizer = llava_loader.fast_tokenizer()
    dataset = llava_loader.LazyDataset(data, data.parent, tokenizer, PEERS[processor][0]())
    return llava_loader.loader(dataset, BATCH, workers, MAX_LENGTH)


@pytest.mark.parametrize("side", ["ours", *PEERS])
def bench_wait(figure: Figure, data: Path, side: str) -> None:
    """The share of a loop that waits for data, with steps of 20 ms that leave the processor free;
    two workers or threads."""
    if side.startswith("torchvision"):
        pytest.importorskip("torchvision")
    loader = ours(data, threads=2) if side == "ours" else peer(side, data, workers=2)
    shares = []
    for _ in range(WAITS):
        waited, batches = 0.0, iter(loader)
        # The first batch of an epoch has nothing to hide behind.
        next(batches)
        began = asked = time.perf_counter()
        for _ in batches:
            waited += time.perf_counter() - asked
            time.sleep(STEP)
            asked = time.perf_counter()
        shares.append(100 * waited / (time.perf_counter() - began))
    name = side if side == "ours" else f"LLaVA with {side}"
    figure("wait for data in steps of 20 ms", statistics.median(shares), "%", side=name)


@pytest.mark.parametrize("side", ["ours", *PEERS])
def bench_memory(figure: Figure, data: Path, side: str) -> None:
    """Peak, workers and all, above a process that has imported torch."""
    if side.startswith("torchvision"):
        pytest.importorskip("torchvision")
    command = [sys.executable, "-m", "benches.loader_memory", side, str(data), "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    name = side if side == "ours" else f"LLaVA with {side}"
    figure("peak memory above torch", json.loads(done.stdout)["peak"], "MB", side=name)


def _rows(batches: list[dict]) -> dict[str, np.ndarray]:
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


def _peer_rows(batches: list[dict], image_id: int) -> dict[str, np.ndarray]:
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

"""Batches from a JSON file and a folder of JPEGs, against LLaVA's dataset in a torch DataLoader.

One call is one epoch in record order; ours uses as many threads as the peer has workers.
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch

from benches import loaders
from benches.conftest import Compare, Figure
from benches.loaders import BATCH, PACKED, PADDED, PEERS
from benches.peers import llava_loader
from benches.records import write_dataset
from benches.results import ROOT

WORKERS = 2
STEP = 0.02
# Epochs whose median is shown.
WAITS = 3
FORMS = {"padded": PADDED, "packed": PACKED}


@pytest.fixture(scope="module")
def count(request: pytest.FixtureRequest) -> int:
    return BATCH + 1 if request.config.getoption("quick") else 12 * BATCH


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, count: int) -> Path:
    torch.set_num_threads(1)
    return write_dataset(tmp_path_factory.mktemp("records"), count)


class Peer:
    """LLaVA's loader with a processor of `PEERS`, which is chosen once."""

    def __init__(self, processor: str, data: Path) -> None:
        if processor.startswith("torchvision"):
            pytest.importorskip("torchvision")
        make, self.gate = PEERS[processor]
        self.data, self.process = data, make()
        self.tokenizer = llava_loader.fast_tokenizer()

    def loader(self, workers: int) -> torch.utils.data.DataLoader:
        return loaders.peer(self.data, workers, self.process, self.tokenizer)

    def rows(self, batches: list[dict]) -> dict:
        image_id = self.tokenizer.convert_tokens_to_ids("<image>")
        return loaders.peer_rows(batches, image_id)


@pytest.mark.parametrize("workers", [0, 1, WORKERS])
@pytest.mark.parametrize("processor", list(PEERS))
def bench_epoch(compare: Compare, data: Path, count: int, processor: str, workers: int) -> None:
    """Padded batches; the peer's workers stay alive over the run."""
    peer = Peer(processor, data)
    mine, others = loaders.ours(data, **PADDED, num_threads=max(workers, 1)), peer.loader(workers)
    compare(
        f"padded, {workers} worker{'' if workers == 1 else 's'}, LLaVA with {processor}",
        ours=lambda: list(mine),
        peer=lambda: list(others),
        gate=peer.gate,
        setting=_setting(processor, workers),
        items=count,
        item="sample",
        view=loaders.rows,
        view_peer=peer.rows,
    )


@pytest.mark.parametrize("processor", list(PEERS))
def bench_packed_epoch(compare: Compare, data: Path, count: int, processor: str) -> None:
    """The same samples, ours in packs without padding."""
    peer = Peer(processor, data)
    mine, others = loaders.ours(data, **PACKED, num_threads=WORKERS), peer.loader(WORKERS)
    compare(
        f"ours packed, {WORKERS} workers, LLaVA with {processor}",
        ours=lambda: list(mine),
        peer=lambda: list(others),
        gate=peer.gate,
        setting=_setting(processor, WORKERS),
        items=count,
        item="sample",
        view=lambda batches: loaders.packed_rows(batches, mine),
        view_peer=peer.rows,
    )


@pytest.mark.parametrize("processor", list(PEERS))
def bench_first_epoch(compare: Compare, data: Path, count: int, processor: str) -> None:
    """With all that comes before: reading the records, counting tokens, starting workers."""
    peer = Peer(processor, data)

    def first() -> list[dict]:
        with TemporaryDirectory() as folder:
            return list(loaders.ours(data, Path(folder), **PADDED, num_threads=WORKERS))

    compare(
        f"padded, first epoch, {WORKERS} workers, LLaVA with {processor}",
        ours=first,
        peer=lambda: list(peer.loader(WORKERS)),
        gate=peer.gate,
        setting=_setting(processor, WORKERS),
        items=count,
        item="sample",
        view=loaders.rows,
        view_peer=peer.rows,
    )


def _setting(processor: str, workers: int) -> dict[str, str | int]:
    return {"peer": processor, "workers": workers}


@pytest.mark.parametrize("side", [*FORMS, *PEERS])
def bench_wait(figure: Figure, data: Path, side: str) -> None:
    """The share of a loop that waits for data, with steps of 20 ms that leave the processor free;
    two workers or threads."""
    if side in FORMS:
        loader = loaders.ours(data, **FORMS[side], num_threads=WORKERS)
    else:
        loader = Peer(side, data).loader(WORKERS)
    shares = [_waiting(loader) for _ in range(WAITS)]
    figure(
        "wait for data in steps of 20 ms", 100 * statistics.median(shares), "%", side=_name(side)
    )


def _waiting(loader: Iterable[object]) -> float:
    waited, batches = 0.0, iter(loader)
    # The first batch of an epoch has nothing to hide behind.
    next(batches)
    began = asked = time.perf_counter()
    for _ in batches:
        waited += time.perf_counter() - asked
        time.sleep(STEP)
        asked = time.perf_counter()
    return waited / (time.perf_counter() - began)


@pytest.mark.parametrize("side", ["threads", "workers", *PEERS])
def bench_memory(figure: Figure, data: Path, side: str) -> None:
    """Peak, workers and all, above a process that has imported torch."""
    if side.startswith("torchvision"):
        pytest.importorskip("torchvision")
    command = [sys.executable, "-m", "benches.loader_memory", side, str(data), str(WORKERS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    figure("peak memory above torch", json.loads(done.stdout)["peak"], "MB", side=_name(side))


def _name(side: str) -> str:
    return f"LLaVA with {side}" if side in PEERS else f"ours, {side}"

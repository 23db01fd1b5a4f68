"""JPEG bytes to `pixel_values`, against what a user could write or call instead.

Pictures are taken one after the other, as a data set does it; "crop" is CLIP's way, "pad" is
LLaVA's. Ours must equal transformers' `CLIPImageProcessorPil` bit for bit, and every peer be as
near to it as its bound says, or nothing is timed.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from benches import pictures
from benches.apart import Case
from benches.conftest import Apart, Gallery
from benches.gates import EXACT, Bound, Verdict, against_reference
from benches.peers import processors
from benches.peers.by_hand import STD
from benches.peers.elsewhere import best_path, elsewhere
from benches.peers.processors import PEERS, pixels

SETTINGS = [
    ("coco", "crop", "default"),
    ("coco", "crop", "warm"),
    ("coco", "pad", "default"),
    ("coco", "pad", "warm"),
    ("photos", "crop", "default"),
    ("photos", "crop", "warm"),
    ("photos", "pad", "default"),
    ("large", "crop", "default"),
    ("large", "crop", "warm"),
]
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@pytest.mark.parametrize("peer", list(PEERS))
@pytest.mark.parametrize(("pictures_", "mode", "heap"), SETTINGS)
def bench_one_core(
    apart: Apart, gallery: Gallery, pictures_: str, mode: str, heap: str, peer: str
) -> None:
    setting = {"pictures": pictures_, "mode": mode, "peer": peer, "heap": heap}
    folder = gallery(pictures_)
    apart(setting, PEERS[peer].title, one_by_one, folder=folder, mode=mode, peer=peer)


@pytest.mark.parametrize("peer", ["hf_pillow", "hf_torchvision"])
def bench_one_list(apart: Apart, gallery: Gallery, peer: str) -> None:
    setting = {"pictures": "coco", "mode": "crop", "peer": peer, "heap": "default", "calls": "list"}
    title = f"one list, {PEERS[peer].title}"
    apart(setting, title, in_one_list, folder=gallery("coco"), mode="crop", peer=peer)


@pytest.mark.skipif(CORES == 1, reason="one core")
@pytest.mark.parametrize("peer", list(PEERS))
def bench_all_cores(apart: Apart, gallery: Gallery, peer: str) -> None:
    setting = {"pictures": "coco", "mode": "crop", "peer": peer, "heap": "default", "cores": CORES}
    arguments = {"folder": gallery("coco"), "mode": "crop", "peer": peer, "threads": CORES}
    apart(setting, PEERS[peer].title, in_threads, **arguments)


@pytest.mark.skipif(CORES == 1, reason="one core")
def bench_two_threads(apart: Apart, gallery: Gallery) -> None:
    setting = {"pictures": "coco", "mode": "crop", "peer": "one_thread", "heap": "default"}
    apart(setting | {"cores": 2}, "ours, 1 thread", two_threads, folder=gallery("coco"))


def bench_pixel_cache(apart: Apart, gallery: Gallery, tmp_path: Path) -> None:
    setting = {"pictures": "coco", "mode": "crop", "peer": "uncached", "heap": "default"}
    arguments = {"folder": gallery("coco"), "cache": str(tmp_path)}
    apart(setting | {"calls": "cache"}, "pixel cache against none", cached, **arguments)


@pytest.mark.parametrize("cpu", ["avx2", "scalar"])
@pytest.mark.parametrize("peer", ["best_path", "pillow"])
def bench_path(apart: Apart, gallery: Gallery, cpu: str, peer: str) -> None:
    setting = {"pictures": "coco", "mode": "crop", "peer": peer, "heap": "default", "cpu": cpu}
    folder = gallery("coco")
    if peer == "best_path":
        apart(setting, "ours on the best path", path_case, folder=folder)
    else:
        apart(setting, PEERS[peer].title, one_by_one, folder=folder, mode="crop", peer=peer)


def one_by_one(folder: str, mode: str, peer: str) -> Case:
    """Ours against a peer, each picture a call of its own."""
    files = pictures.read(folder)
    process, note = PEERS[peer].make(mode, files)
    ours = _ours(mode, threads=1)
    return Case(
        ours=lambda: [ours(file) for file in files],
        peer=lambda: [process(file) for file in files],
        check=lambda: _check(files, mode, ours, process, PEERS[peer].bound),
        items=len(files),
        note=note,
    )


def in_one_list(folder: str, mode: str, peer: str) -> Case:
    """Ours against a processor of transformers, one call for all pictures."""
    files = pictures.read(folder)
    batch, note = processors.batch(peer, mode, files)
    ours = _ours(mode, threads=1)

    def check() -> Verdict:
        theirs = batch(files)["pixel_values"]
        return _check_arrays(files, mode, ours(files), theirs, PEERS[peer].bound)

    return Case(lambda: ours(files), lambda: batch(files), check, len(files), note)


def in_threads(folder: str, mode: str, peer: str, threads: int) -> Case:
    """Ours on a whole list with `threads` threads, the peer in a pool of as many."""
    files = pictures.read(folder)
    files *= max(1, 8 * threads // len(files))
    process, note = PEERS[peer].make(mode, files)
    # torch's own pool stays at one thread: the parts of the list run at once.
    torch.set_num_threads(1)
    run = processors.threaded(process, ThreadPoolExecutor(threads), threads)
    ours = _ours(mode, threads)
    return Case(
        ours=lambda: ours(files),
        peer=lambda: run(files),
        check=lambda: _check(files[:4], mode, ours, process, PEERS[peer].bound),
        items=len(files),
        note=note,
    )


def two_threads(folder: str) -> Case:
    """Ours with two threads against ours with one."""
    files = pictures.read(folder)
    one, two = _ours("crop", threads=1), _ours("crop", threads=2)

    def check() -> Verdict:
        return against_reference(_array(two(files)), _array(one(files)), _array(one(files)), EXACT)

    return Case(lambda: two(files), lambda: one(files), check, len(files))


def cached(folder: str, cache: str) -> Case:
    """Ours from a filled pixel cache against ours without one, each picture a call of its own."""
    files = pictures.read(folder)
    stored = _ours("crop", threads=1, cache=cache)
    fresh = _ours("crop", threads=1)

    def check() -> Verdict:
        # The first round fills the cache, the second reads it.
        _check(files, "crop", stored, fresh, EXACT)
        return _check(files, "crop", stored, fresh, EXACT)

    return Case(
        ours=lambda: [stored(file) for file in files],
        peer=lambda: [fresh(file) for file in files],
        check=check,
        items=len(files),
    )


def path_case(folder: str) -> Case:
    """Ours on the path of this process against ours on the best path, in another process."""
    files = pictures.read(folder)

    def ours() -> list[np.ndarray]:
        process = _ours("crop", threads=1)
        return [_array(process(file)) for file in files]

    other = elsewhere(ours, best_path())
    return Case(ours, other.run, lambda: other.check(ours()), len(files))


def _ours(
    mode: str, threads: int, **options: str
) -> Callable[[bytes | Sequence[bytes]], torch.Tensor]:
    from llava_fast import ImageConfig, ImageProcessor

    processor = ImageProcessor(ImageConfig(mode=mode), num_threads=threads, **options)
    return lambda files: processor(files, return_tensors="pt")["pixel_values"]


def _array(values: torch.Tensor) -> np.ndarray:
    return values.numpy()


def _check(
    files: Sequence[bytes],
    mode: str,
    ours: Callable[[bytes], torch.Tensor],
    peer: processors.Process,
    bound: Bound,
) -> Verdict:
    def all_of(process: Callable[[bytes], object]) -> np.ndarray:
        return np.stack([pixels(process(file)) for file in files])

    return _check_arrays(files, mode, all_of(ours), all_of(peer), bound)


def _check_arrays(
    files: Sequence[bytes], mode: str, ours: object, peer: object, bound: Bound
) -> Verdict:
    """(N, 3, S, S) of both, held against one call of the reference for each file."""
    process, _ = PEERS["hf_pillow"].make(mode, files)
    reference = np.stack([pixels(process(file)) for file in files])
    scale = 255 * STD.reshape(3, 1, 1)
    return against_reference(np.asarray(ours), np.asarray(peer), reference, bound, scale)

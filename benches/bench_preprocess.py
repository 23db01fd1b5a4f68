"""JPEG bytes to `pixel_values`, against the two image processors of transformers."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from benches.conftest import Compare
from benches.gates import identical, within_grey_levels
from benches.peers import processors
from benches.pictures import jpegs
from llava_fast import ImageConfig, ImageProcessor

pytestmark = [
    pytest.mark.parametrize("threads", [1, 2]),
    pytest.mark.parametrize("mode", ["crop", "pad"]),
]


@pytest.fixture
def files(quick: bool) -> tuple[bytes, ...]:
    return jpegs(4 if quick else 32)


@pytest.fixture
def pool(threads: int) -> Iterator[ThreadPoolExecutor]:
    """The peer's threads. torch's own pool stays at one: the parts of the list run at once."""
    torch.set_num_threads(1)
    with ThreadPoolExecutor(threads) as pool:
        yield pool


def bench_pillow_processor(
    compare: Compare, files: Sequence[bytes], pool: ThreadPoolExecutor, mode: str, threads: int
) -> None:
    peer = processors.threaded(processors.pillow_processor(mode), pool, threads)
    compare(
        f"{mode}, {_threads(threads)}, CLIPImageProcessorPil",
        ours=_ours(files, mode, threads),
        peer=lambda: peer(files),
        gate=identical,
        items=len(files),
        item="image",
        view=_pixels,
    )


def bench_torchvision_processor(
    compare: Compare, files: Sequence[bytes], pool: ThreadPoolExecutor, mode: str, threads: int
) -> None:
    pytest.importorskip("torchvision")
    decoder, process = processors.faster_torchvision(mode, files)
    peer = processors.threaded(process, pool, threads)
    compare(
        f"{mode}, {_threads(threads)}, torchvision processor, {decoder} decodes",
        ours=_ours(files, mode, threads),
        peer=lambda: peer(files),
        gate=within_grey_levels(most=2, share=0.01),
        items=len(files),
        item="image",
        view=_pixels,
    )


def _pixels(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {"pixel_values": batch["pixel_values"]}


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"


def _ours(files: Sequence[bytes], mode: str, threads: int):
    processor = ImageProcessor(ImageConfig(mode=mode), num_threads=threads)
    return lambda: processor(list(files), return_tensors="pt")

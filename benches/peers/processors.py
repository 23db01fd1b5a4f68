"""The image processors of transformers, and the same work by hand, for pictures as file bytes.

"crop": shortest edge to S, central square. "pad": LLaVA's way, centred on a square
of CLIP's mean colour, then scaled to S.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from benches.apart import needs
from benches.gates import EXACT, Bound
from benches.peers.by_hand import (
    SIZE,
    Process,
    decode_pillow,
    decode_torchvision,
    expand_to_square,
    kornia,
    opencv,
    pillow,
    torchcodec,
    torchvision,
)

Batch = Callable[[Sequence[bytes]], dict[str, torch.Tensor]]


@dataclass(frozen=True)
class Peer:
    """make: the process of a mode for pictures like these, with a note on what was chosen."""

    title: str
    make: Callable[[str, Sequence[bytes]], tuple[Process, str]]
    bound: Bound = EXACT


def pillow_processor(mode: str) -> Batch:
    """Pillow + `CLIPImageProcessorPil`; padding as LLaVA does it, on the Pillow image."""
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    processor = CLIPImageProcessorPil(**sizes())
    prepare = expand_to_square if mode == "pad" else (lambda image: image)

    def process(files: Sequence[bytes]) -> dict[str, torch.Tensor]:
        images = [prepare(decode_pillow(file)) for file in files]
        return dict(processor(images, return_tensors="pt"))

    return process


def torchvision_processor(mode: str, decode: Callable[[bytes], object]) -> Batch:
    """The torchvision processors: `CLIPImageProcessor`, or LLaVA's, which pads by itself."""
    if mode == "crop":
        from transformers.models.clip.image_processing_clip import CLIPImageProcessor

        processor, options = CLIPImageProcessor(**sizes()), {}
    else:
        from transformers.models.llava.image_processing_llava import LlavaImageProcessor

        processor, options = LlavaImageProcessor(**sizes()), {"do_pad": True}

    def process(files: Sequence[bytes]) -> dict[str, torch.Tensor]:
        images = [decode(file) for file in files]
        return dict(processor(images, return_tensors="pt", **options))

    return process


def faster_torchvision(mode: str, files: Sequence[bytes]) -> tuple[str, Batch]:
    """Users decode with Pillow or with torchvision: what is faster here, with its name."""
    candidates = {
        "Pillow": torchvision_processor(mode, decode_pillow),
        "torchvision": torchvision_processor(mode, decode_torchvision),
    }
    best = {
        name: min(_seconds(process, files) for _ in range(3))
        for name, process in candidates.items()
    }
    name = min(best, key=best.__getitem__)
    return name, candidates[name]


def _seconds(process: Batch, files: Sequence[bytes]) -> float:
    start = time.process_time()
    for file in files:
        process([file])
    return time.process_time() - start


def sizes() -> dict[str, dict[str, int]]:
    """The size arguments of CLIP's processors."""
    return {
        "size": {"shortest_edge": SIZE},
        "crop_size": {"height": SIZE, "width": SIZE},
    }


def batch(peer: str, mode: str, files: Sequence[bytes]) -> tuple[Batch, str]:
    """The processor of a name, `hf_pillow` or `hf_torchvision`, with a note on what was chosen."""
    if peer == "hf_pillow":
        return pillow_processor(mode), ""
    needs("torchvision.io")
    decoder, process = faster_torchvision(mode, files[:8])
    return process, f"{decoder} decodes"


def _transformers(peer: str) -> Callable[[str, Sequence[bytes]], tuple[Process, str]]:
    def make(mode: str, files: Sequence[bytes]) -> tuple[Process, str]:
        whole, note = batch(peer, mode, files)
        return lambda file: whole([file])["pixel_values"], note

    return make


def _by_hand(make: Callable[..., Process], *options: str) -> Callable:
    return lambda mode, files: (make(mode, *options), "")


# Bounds hold on noise, where a resize without antialiasing is farthest from one with it.
ANTIALIASED = Bound(2.1, 0.02)
AREA = Bound(60, 4)
ALIASED = Bound(160, 8)
PEERS = {
    "hf_pillow": Peer("transformers, CLIPImageProcessorPil", _transformers("hf_pillow")),
    "hf_torchvision": Peer(
        "transformers, torchvision processor", _transformers("hf_torchvision"), ANTIALIASED
    ),
    "pillow": Peer("Pillow + numpy", _by_hand(pillow), Bound(0.001, 0.001)),
    "torchvision": Peer("torchvision by hand", _by_hand(torchvision), ANTIALIASED),
    "torchcodec": Peer("torchcodec + torchvision by hand", _by_hand(torchcodec), ANTIALIASED),
    "opencv_area": Peer("OpenCV, area", _by_hand(opencv, "INTER_AREA"), AREA),
    "opencv_cubic": Peer(
        "OpenCV, cubic without antialiasing", _by_hand(opencv, "INTER_CUBIC"), ALIASED
    ),
    "kornia": Peer("kornia_rs, fused bilinear", _by_hand(kornia), ALIASED),
}


def pixels(result: object) -> np.ndarray:
    """(3, S, S) float32 of what a `Process` gave."""
    return np.asarray(result).reshape(3, SIZE, SIZE)


def threaded(process: Process, pool: ThreadPoolExecutor, parts: int) -> Callable:
    """`process` for every picture, over `parts` equal parts of the list at once."""

    def run(files: Sequence[bytes]) -> list[object]:
        cuts = [len(files) * part // parts for part in range(parts + 1)]
        chunks = [files[low:high] for low, high in pairwise(cuts)]
        done = pool.map(lambda chunk: [process(file) for file in chunk], chunks)
        return [result for part in done for result in part]

    return run

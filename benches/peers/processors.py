"""The image processors of transformers, from JPEG bytes to `pixel_values`.

A processor call gets the whole list of pictures at once, as transformers' documentation advises.
For more threads the list is cut into as many parts, one call each: Pillow and torch release the
GIL.
"""

import functools
import io
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import torch
from PIL import Image

SIZE = 336
BACKGROUND = (122, 116, 104)

Decode = Callable[[bytes], object]
Process = Callable[[Sequence[bytes]], dict[str, torch.Tensor]]


def pillow_processor(mode: str) -> Process:
    """Pillow + `CLIPImageProcessorPil`; padding as LLaVA does it, on the Pillow image."""
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    processor = CLIPImageProcessorPil(**_sizes())
    prepare = expand_to_square if mode == "pad" else (lambda image: image)

    def process(files: Sequence[bytes]) -> dict[str, torch.Tensor]:
        images = [prepare(decode_pillow(file)) for file in files]
        return dict(processor(images, return_tensors="pt"))

    return process


def torchvision_processor(mode: str, decode: Decode) -> Process:
    """The torchvision processors: `CLIPImageProcessor`, or LLaVA's, which pads by itself."""
    if mode == "crop":
        from transformers.models.clip.image_processing_clip import CLIPImageProcessor

        processor, options = CLIPImageProcessor(**_sizes()), {}
    else:
        from transformers.models.llava.image_processing_llava import LlavaImageProcessor

        processor, options = LlavaImageProcessor(**_sizes()), {"do_pad": True}

    def process(files: Sequence[bytes]) -> dict[str, torch.Tensor]:
        images = [decode(file) for file in files]
        return dict(processor(images, return_tensors="pt", **options))

    return process


@functools.cache
def faster_torchvision(mode: str, files: tuple[bytes, ...]) -> tuple[str, Process]:
    """Users decode with Pillow or with torchvision: what is faster here, with its name."""
    candidates = {
        "Pillow": torchvision_processor(mode, decode_pillow),
        "torchvision": torchvision_processor(mode, decode_torchvision),
    }
    best = {name: min(_seconds(candidates[name], files) for _ in range(3)) for name in candidates}
    name = min(best, key=best.__getitem__)
    return name, candidates[name]


def _seconds(process: Process, files: Sequence[bytes]) -> float:
    start = time.process_time()
    process(files)
    return time.process_time() - start


def _sizes() -> dict[str, dict[str, int]]:
    return {
        "size": {"shortest_edge": SIZE},
        "crop_size": {"height": SIZE, "width": SIZE},
    }


def decode_pillow(file: bytes) -> Image.Image:
    """RGB by Pillow."""
    return Image.open(io.BytesIO(file)).convert("RGB")


def decode_torchvision(file: bytes) -> torch.Tensor:
    """(3, H, W) uint8 RGB by torchvision."""
    from torchvision.io import ImageReadMode, decode_jpeg

    data = torch.frombuffer(bytearray(file), dtype=torch.uint8)
    return decode_jpeg(data, mode=ImageReadMode.RGB)


def expand_to_square(image: Image.Image) -> Image.Image:
    """LLaVA's padding: centred on a square of CLIP's mean colour."""
    width, height = image.size
    if width == height:
        return image
    side = max(width, height)
    square = Image.new("RGB", (side, side), BACKGROUND)
    square.paste(image, ((side - width) // 2, (side - height) // 2))
    return square


def threaded(process: Process, pool: ThreadPoolExecutor, parts: int) -> Process:
    """`process` over `parts` equal parts of the list at once."""

    def run(files: Sequence[bytes]) -> dict[str, torch.Tensor]:
        cuts = [len(files) * part // parts for part in range(parts + 1)]
        chunks = [files[low:high] for low, high in pairwise(cuts)]
        results = list(pool.map(process, chunks))
        return {"pixel_values": torch.cat([result["pixel_values"] for result in results])}

    return run

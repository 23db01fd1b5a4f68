"""Pictures for the benches: made from seeds, or from the photographs of $LLAVA_FAST_FIXTURES.

A made picture is a smooth scene (a gradient, soft shapes, texture of several scales) under
sensor-like noise, saved as 4:2:0 JPEG of quality 90 to 96. Sizes, pixels and bytes follow COCO
train2017 (0.29 million pixels, 0.5 byte per pixel), so that entropy decoding has as much to do as
with a photograph. A photograph of COCO's size is a random part of a real one, treated alike.
"""

import functools
import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

# The commonest sizes of COCO train2017 with about their frequency in percent.
SIZES = {
    (640, 480): 40,
    (480, 640): 12,
    (640, 427): 16,
    (427, 640): 6,
    (500, 375): 8,
    (375, 500): 4,
    (640, 360): 5,
    (640, 640): 5,
    (612, 612): 4,
}
LARGE = (2048, 1536)
# What one picture of a large set may have, and what makes it large.
LARGE_PIXELS = (1_000_000, 6_500_000)

Rng = np.random.Generator


@functools.cache
def jpegs(count: int, seed: int = 2017) -> tuple[bytes, ...]:
    """`count` JPEG files of COCO's sizes: of photographs if there are any, else made."""
    rng = np.random.default_rng(seed)
    photographs = _originals()
    draw = functools.partial(_part, photographs) if photographs else scene
    return tuple(_coco_like(draw, rng) for _ in range(count))


def made(count: int, seed: int = 2017, **options: object) -> tuple[bytes, ...]:
    """`count` made JPEG files of COCO's sizes; options: Pillow's, such as `progressive=True`."""
    rng = np.random.default_rng(seed)
    return tuple(_coco_like(scene, rng, **options) for _ in range(count))


def large(count: int, progressive: bool = False) -> tuple[bytes, ...]:
    """`count` camera-sized JPEG files: the photographs as they are, else made."""
    files = [file for file in _photograph_files() if _is_large(file, progressive)]
    if files:
        return tuple(files[index % len(files)] for index in range(count))
    rng = np.random.default_rng(4)
    return tuple(
        _jpeg(_noisy(scene(*LARGE, rng), rng, 8.0), 90, progressive=progressive)
        for _ in range(count)
    )


def others(count: int, kind: str, **options: object) -> tuple[bytes, ...]:
    """`count` made pictures of 640 x 480 in another format than JPEG, as Pillow writes it."""
    rng = np.random.default_rng(640)
    found = []
    for _ in range(count):
        image = _noisy(scene(640, 480, rng), rng, 4.0)
        found.append(_saved(image.quantize(256) if kind == "GIF" else image, kind, **options))
    return tuple(found)


SETS: dict[str, Callable[[int], tuple[bytes, ...]]] = {
    "coco": made,
    "photos": jpegs,
    "progressive": functools.partial(made, progressive=True),
    "restart": functools.partial(made, restart_marker_rows=1),
    "large": large,
    "large progressive": functools.partial(large, progressive=True),
    "png": functools.partial(others, kind="PNG"),
    "webp": functools.partial(others, kind="WEBP", quality=85),
    "webp lossless": functools.partial(others, kind="WEBP", lossless=True),
    "gif": functools.partial(others, kind="GIF"),
    "bmp": functools.partial(others, kind="BMP"),
}


def write(name: str, folder: Path, count: int) -> Path:
    """The files of a set, numbered, in a folder of their own; returns that folder."""
    place = folder / name.replace(" ", "-")
    place.mkdir()
    for index, file in enumerate(SETS[name](count)):
        (place / f"{index:04d}").write_bytes(file)
    return place


def read(folder: str) -> list[bytes]:
    """What `write` wrote."""
    return [path.read_bytes() for path in sorted(Path(folder).iterdir())]


def describe(files: list[bytes]) -> str:
    """Mean size of pictures and files, for the record."""
    pixels = 0
    for file in files:
        with Image.open(io.BytesIO(file)) as image:
            pixels += image.width * image.height
    size = sum(map(len, files)) / pixels
    return f"{len(files)} files, {pixels / len(files) / 1e6:.2f} MP, {size:.2f} bytes per pixel"


def has_photographs() -> bool:
    """Whether the environment names a folder of photographs."""
    return bool(os.environ.get("LLAVA_FAST_FIXTURES"))


@functools.cache
def _photograph_files() -> tuple[bytes, ...]:
    if not has_photographs():
        return ()
    folder = Path(os.environ["LLAVA_FAST_FIXTURES"]) / "images" / "photos"
    paths = sorted(path for path in folder.iterdir() if path.suffix in {".jpg", ".png"})
    if not paths:
        raise FileNotFoundError(f"{folder}: no `.jpg` or `.png` file")
    return tuple(path.read_bytes() for path in paths)


@functools.cache
def _originals() -> tuple[Image.Image, ...]:
    """The photographs in colour, scaled down to at most twice COCO's sides."""
    found = []
    for file in _photograph_files():
        with Image.open(io.BytesIO(file)) as image:
            if image.mode == "RGB" and min(image.size) >= 300:
                image.draft("RGB", (1280, 1280))
                image.thumbnail((1280, 1280), Image.Resampling.LANCZOS)
                found.append(image.convert("RGB"))
    return tuple(found)


def _is_large(file: bytes, progressive: bool) -> bool:
    with Image.open(io.BytesIO(file)) as image:
        pixels = image.width * image.height
        kind = image.format == "JPEG" and bool(image.info.get("progressive")) == progressive
    return kind and LARGE_PIXELS[0] <= pixels <= LARGE_PIXELS[1]


def _coco_like(draw: Callable[[int, int, Rng], Image.Image], rng: Rng, **options: object) -> bytes:
    sizes = list(SIZES)
    weights = np.array(list(SIZES.values()), float)
    width, height = sizes[rng.choice(len(sizes), p=weights / weights.sum())]
    image = _noisy(draw(width, height, rng), rng, rng.uniform(6.0, 14.0))
    return _jpeg(image, int(rng.integers(90, 97)), **options)


def _part(photographs: tuple[Image.Image, ...], width: int, height: int, rng: Rng) -> Image.Image:
    """A random part of a photograph, at least 45 % of its side, scaled to the size."""
    image = photographs[rng.integers(len(photographs))]
    part = min(image.width / width, image.height / height) * rng.uniform(0.45, 1.0)
    left = rng.uniform(0, image.width - part * width)
    top = rng.uniform(0, image.height - part * height)
    box = (left, top, left + part * width, top + part * height)
    return image.resize((width, height), Image.Resampling.LANCZOS, box=box)


def _jpeg(image: Image.Image, quality: int, **options: object) -> bytes:
    return _saved(image, "JPEG", quality=quality, subsampling="4:2:0", **options)


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def scene(width: int, height: int, rng: Rng) -> Image.Image:
    """One made picture, without noise."""
    pixels = _gradient(width, height, rng)
    for _ in range(6):
        _blend_ellipse(pixels, rng)
    for cell in (64, 16, 4):
        pixels += _texture(width, height, cell, rng)[..., None] * rng.uniform(4, 10)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _noisy(image: Image.Image, rng: Rng, noise: float) -> Image.Image:
    """With noise as a sensor has it: mostly of brightness, a third as much of colour."""
    pixels = np.asarray(image).astype(np.float32)
    pixels += rng.normal(0, noise, (*pixels.shape[:2], 1)) + rng.normal(0, noise / 3, pixels.shape)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _gradient(width: int, height: int, rng: Rng) -> np.ndarray:
    top, bottom = rng.uniform(30, 225, (2, 3))
    down = np.linspace(0, 1, height)[:, None, None]
    return np.broadcast_to(top + (bottom - top) * down, (height, width, 3)).copy()


def _blend_ellipse(pixels: np.ndarray, rng: Rng) -> None:
    height, width, _ = pixels.shape
    y, x = np.ogrid[:height, :width]
    centre_y, centre_x = rng.uniform(0, height), rng.uniform(0, width)
    radius_y, radius_x = rng.uniform(0.08, 0.35, 2) * min(height, width)
    distance = ((y - centre_y) / radius_y) ** 2 + ((x - centre_x) / radius_x) ** 2
    cover = np.clip((1.1 - distance) * 5, 0, 1)[..., None]
    pixels += cover * (rng.uniform(20, 235, 3) - pixels)


def _texture(width: int, height: int, cell: int, rng: Rng) -> np.ndarray:
    """Smooth noise of mean 0 whose spots are about `cell` pixels wide."""
    coarse = rng.normal(size=(height // cell + 2, width // cell + 2)).astype(np.float32)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))

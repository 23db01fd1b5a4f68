"""Pictures for the benches: made from seeds, or photographs from $LLAVA_FAST_FIXTURES.

A generated picture is a smooth scene (a gradient, soft shapes, texture of several scales) under
sensor-like noise; saved as 4:2:0 JPEG of quality 90 it takes about as many bytes per pixel as
COCO train2017 (0.5), so that entropy decoding has as much to do as with a photograph.
"""

import functools
import io
import os
from pathlib import Path

import numpy as np
from PIL import Image

# The commonest sizes of COCO train2017 with about their frequency.
SIZES = {
    (640, 480): 8,
    (480, 640): 3,
    (640, 427): 3,
    (427, 640): 1,
    (500, 375): 2,
    (640, 360): 1,
    (640, 640): 1,
    (375, 500): 1,
}
NOISE = 14.0


@functools.cache
def jpegs(count: int, seed: int = 2017) -> tuple[bytes, ...]:
    """`count` JPEG files: photographs if the environment names a folder, else generated."""
    folder = os.environ.get("LLAVA_FAST_FIXTURES")
    if folder:
        return _photographs(Path(folder) / "images" / "photos", count)
    rng = np.random.default_rng(seed)
    sizes = list(SIZES)
    weights = np.array([SIZES[size] for size in sizes], float)
    chosen = rng.choice(len(sizes), size=count, p=weights / weights.sum())
    return tuple(_jpeg(scene(*sizes[index], rng)) for index in chosen)


def _photographs(folder: Path, count: int) -> tuple[bytes, ...]:
    """The photographs of the folder in turn, scaled down to COCO's longest side of 640 pixels."""
    paths = sorted(path for path in folder.iterdir() if path.suffix in {".jpg", ".png"})
    if not paths:
        raise FileNotFoundError(f"{folder}: no `.jpg` or `.png` file")
    files = []
    for path in paths[:count]:
        image = Image.open(path).convert("RGB")
        image.thumbnail((640, 640), Image.Resampling.LANCZOS)
        files.append(_jpeg(image))
    return tuple(files[index % len(files)] for index in range(count))


def _jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90, subsampling="4:2:0")
    return buffer.getvalue()


def scene(width: int, height: int, rng: np.random.Generator) -> Image.Image:
    """One generated picture."""
    pixels = _gradient(width, height, rng)
    for _ in range(6):
        _blend_ellipse(pixels, rng)
    for cell in (64, 16, 4):
        pixels += _texture(width, height, cell, rng)[..., None] * rng.uniform(4, 10)
    noise = rng.normal(0, NOISE, (height, width, 1)) + rng.normal(0, NOISE / 3, pixels.shape)
    return Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8))


def _gradient(width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    top, bottom = rng.uniform(30, 225, (2, 3))
    down = np.linspace(0, 1, height)[:, None, None]
    return np.broadcast_to(top + (bottom - top) * down, (height, width, 3)).copy()


def _blend_ellipse(pixels: np.ndarray, rng: np.random.Generator) -> None:
    height, width, _ = pixels.shape
    y, x = np.ogrid[:height, :width]
    centre_y, centre_x = rng.uniform(0, height), rng.uniform(0, width)
    radius_y, radius_x = rng.uniform(0.08, 0.35, 2) * min(height, width)
    distance = ((y - centre_y) / radius_y) ** 2 + ((x - centre_x) / radius_x) ** 2
    cover = np.clip((1.1 - distance) * 5, 0, 1)[..., None]
    pixels += cover * (rng.uniform(20, 235, 3) - pixels)


def _texture(width: int, height: int, cell: int, rng: np.random.Generator) -> np.ndarray:
    """Smooth noise of mean 0 whose spots are about `cell` pixels wide."""
    coarse = rng.normal(size=(height // cell + 2, width // cell + 2)).astype(np.float32)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))

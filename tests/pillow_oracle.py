"""What ours is compared with: Pillow, and the formulas of transformers on top of it."""

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from tests.mutants_jpeg import pieces

MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
STD = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)

# Markers of JPEG segments that hold no pixels.
EXIF_AND_PHOTOSHOP = (b"\xff\xe1", b"\xff\xed")


def pillow_rgb(source: bytes | Path) -> np.ndarray:
    """Pillow's pixels, (H, W, 3) uint8; whatever Pillow raises goes through."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as picture:
            return np.asarray(picture.convert("RGB"))


def pillow_pixels(data: bytes) -> np.ndarray:
    """The same of a file whose texts, profiles, EXIF and further animation frames do not count:
    Pillow reads them too and gives up over a large or damaged one; ours passes over them."""
    if not data.startswith(b"\xff\xd8"):
        return pillow_rgb(_png_of_pixels(data))
    try:
        return pillow_rgb(data)
    except Exception:
        parts = pieces(data)
        return pillow_rgb(b"".join(part for part in parts if part[:2] not in EXIF_AND_PHOTOSHOP))


def _png_of_pixels(data: bytes) -> bytes:
    """A PNG with nothing but its picture; other files as they are."""
    if not data.startswith(b"\x89PNG"):
        return data
    kept, at = data[:8], 8
    while at < len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] in (b"IHDR", b"PLTE", b"IDAT", b"IEND"):
            kept += data[at:end]
        at = end
    return kept


def padded(picture: Image.Image) -> Image.Image:
    """LLaVA's `expand2square` with the CLIP mean colour."""
    side = max(picture.size)
    square = Image.new("RGB", (side, side), (122, 116, 104))
    square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return square


def fitted(rgb: np.ndarray, size: int, mode: str) -> np.ndarray:
    """(size, size, 3) uint8: the square that transformers' Pillow processors normalise."""
    picture = Image.fromarray(rgb)
    if mode == "stretch":
        return np.asarray(picture.resize((size, size), Image.Resampling.BICUBIC))
    if mode == "pad":
        picture = padded(picture)
    short = min(picture.size)
    width, height = (int(size * side / short) for side in picture.size)
    resized = np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC))
    top, left = (height - size) // 2, (width - size) // 2
    return resized[top : top + size, left : left + size]


def values(rgb: np.ndarray, size: int, mode: str) -> np.ndarray:
    """(3, size, size) float32."""
    scaled = (fitted(rgb, size, mode).astype(np.float64) * (1 / 255)).astype(np.float32)
    return ((scaled - MEAN) / STD).transpose(2, 0, 1)


def patches(rgb: np.ndarray, size: int, mode: str, side: int, row: int) -> np.ndarray:
    """(P, row) uint8: channel, row, column of each patch in reading order, then zeros."""
    grid = size // side
    whole = fitted(rgb, size, mode)[: grid * side, : grid * side]
    cut = whole.reshape(grid, side, grid, side, 3).transpose(0, 2, 4, 1, 3).reshape(grid**2, -1)
    return np.pad(cut, ((0, 0), (0, row - cut.shape[1])))

"""LLaVA-1.6's tiles with Pillow and plain Python, by the rules of its `mm_utils.py` and
`llava_arch.py`."""

import math

import numpy as np
from PIL import Image

from tests.pillow_oracle import MEAN, STD

Size = tuple[int, int]

USUAL = [(336, 672), (672, 336), (672, 672), (1008, 336), (336, 1008)]


def canvas_of(size: Size, pinpoints: list[Size]) -> Size:
    """All sizes are (width, height)."""
    best, most, least = None, 0, math.inf
    for wide, high in pinpoints:
        scale = min(wide / size[0], high / size[1])
        shrunk = int(size[0] * scale) * int(size[1] * scale)
        effective = min(shrunk, size[0] * size[1])
        wasted = wide * high - effective
        if effective > most or (effective == most and wasted < least):
            best, most, least = (wide, high), effective, wasted
    return best


def centred(picture: Image.Image, canvas: Size) -> Image.Image:
    across, down = canvas[0] / picture.width, canvas[1] / picture.height
    if across < down:
        size = canvas[0], min(math.ceil(picture.height * across), canvas[1])
    else:
        size = min(math.ceil(picture.width * down), canvas[0]), canvas[1]
    black = Image.new("RGB", canvas, (0, 0, 0))
    corner = ((canvas[0] - size[0]) // 2, (canvas[1] - size[1]) // 2)
    black.paste(picture.resize(size, Image.Resampling.BICUBIC), corner)
    return black


def squares(picture: Image.Image, side: int, pinpoints: list[Size]) -> np.ndarray:
    """(tiles, side, side, 3) uint8, the whole picture first."""
    laid = centred(picture, canvas_of(picture.size, pinpoints))
    boxes = [
        (left, top, left + side, top + side)
        for top in range(0, laid.height, side)
        for left in range(0, laid.width, side)
    ]
    whole = picture.resize((side, side), Image.Resampling.BICUBIC)
    return np.stack([np.asarray(one) for one in (whole, *(laid.crop(box) for box in boxes))])


def normalised(tiles: np.ndarray) -> np.ndarray:
    """(tiles, 3, side, side) float32."""
    scaled = (tiles.astype(np.float64) * (1 / 255)).astype(np.float32)
    return ((scaled - MEAN) / STD).transpose(0, 3, 1, 2)


def tokens(size: Size, side: int, grid: int, pinpoints: list[Size]) -> int:
    """Features of the whole picture, and of the map without padding, with one more per row."""
    canvas = canvas_of(size, pinpoints)
    columns, rows = canvas[0] // side * grid, canvas[1] // side * grid
    if size[0] / size[1] > columns / rows:
        padding = (rows - int(size[1] * (columns / size[0]))) // 2
        rows -= 2 * padding
    else:
        padding = (columns - int(size[0] * (rows / size[1]))) // 2
        columns -= 2 * padding
    return grid * grid + rows * (columns + 1)

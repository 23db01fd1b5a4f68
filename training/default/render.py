"""Draws a scene: a 96 x 96 picture with a textured background and jittered shapes."""

import io
from functools import cache
from random import Random

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .scenes import COLOURS, Scene, Thing

SIZE = 96  # pixels, side of the picture
CELL = SIZE // 3
JPEG_QUALITY = 90

Floats = NDArray[np.float32]


def render(scene: Scene, rng: Random) -> NDArray[np.uint8]:
    """The picture, (SIZE, SIZE, 3) uint8 RGB; `rng` varies place, size, colour and background."""
    noise = np.random.default_rng(rng.getrandbits(32))
    canvas = _background(noise)
    for thing in scene:
        _draw(canvas, thing, noise)
    return np.clip(canvas, 0, 255).astype(np.uint8)


def jpeg(picture: NDArray[np.uint8]) -> bytes:
    """The picture as a baseline JPEG file."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=JPEG_QUALITY)
    return file.getvalue()


def photograph(scene: Scene, rng: Random) -> NDArray[np.uint8]:
    """What a reader of the JPEG file sees: rendered, encoded and decoded again."""
    return np.asarray(Image.open(io.BytesIO(jpeg(render(scene, rng)))).convert("RGB"))


def _background(noise: np.random.Generator) -> Floats:
    textures, grains = _patterns()
    grey, tint = noise.uniform(25, 85), noise.uniform(-8, 8, 3)
    canvas = grey + tint + textures[noise.integers(len(textures))] * noise.uniform(3, 9)
    if noise.random() < 0.5:
        canvas = canvas[::-1]
    grain = np.roll(grains[noise.integers(len(grains))], noise.integers(SIZE), axis=0)
    return (canvas + 4 * grain).astype(np.float32)


def _draw(canvas: Floats, thing: Thing, noise: np.random.Generator) -> None:
    """Blends one shape into its cell, anti-aliased over one pixel at its edge."""
    radius, shift_x, shift_y = noise.uniform(8.5, 13.0), *noise.uniform(-3, 3, 2)
    y, x = np.mgrid[0:CELL, 0:CELL].astype(np.float32) + 0.5 - CELL / 2
    distance = _distance(thing.shape, x - shift_x, y - shift_y, radius)
    alpha = np.clip(0.5 - distance, 0, 1)[..., None]
    colour = np.array(COLOURS[thing.colour]) * noise.uniform(0.82, 1.05) + noise.uniform(-12, 12, 3)
    paint = colour + 5 * noise.normal(size=(CELL, CELL, 1))
    top, left = thing.row * CELL, thing.column * CELL
    cell = canvas[top : top + CELL, left : left + CELL]
    cell += alpha * (paint - cell)


def _distance(shape: str, x: Floats, y: Floats, radius: float) -> Floats:
    """Signed distance in pixels from the shape's edge, about its centre; negative inside."""
    across, down = abs(x), abs(y)
    if shape == "circle":
        return np.sqrt(x * x + y * y) - radius
    if shape == "square":
        return np.maximum(across, down) - 0.85 * radius
    if shape == "triangle":
        return np.maximum(y - 0.8 * radius, (across - (y + radius) * 0.58) * 0.87)
    arm = 0.34 * radius
    upright = np.maximum(across - arm, down - radius)
    return np.minimum(upright, np.maximum(down - arm, across - radius))


@cache
def _patterns() -> tuple[Floats, Floats]:
    """64 smooth textures and 32 fields of grain, (n, SIZE, SIZE, 3), shared by all pictures."""
    source = np.random.default_rng(7)
    textures = np.stack([_texture(source) for _ in range(64)])
    return textures, source.normal(size=(32, SIZE, SIZE, 3)).astype(np.float32)


def _texture(source: np.random.Generator) -> Floats:
    """8 x 8 random colours, bilinearly enlarged."""
    knots = source.normal(size=(8, 8, 3)) + source.normal(size=(8, 8, 1))
    at = np.linspace(0, 6.99, SIZE)
    low = at.astype(int)
    part = at - low
    rows = knots[low] * (1 - part)[:, None, None] + knots[low + 1] * part[:, None, None]
    smooth = rows[:, low] * (1 - part)[:, None] + rows[:, low + 1] * part[:, None]
    return smooth.astype(np.float32)

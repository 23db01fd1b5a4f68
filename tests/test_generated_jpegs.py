"""Thousands of JPEGs over sampling, quality, size, scans, restarts and colours: Pillow's bytes."""

import itertools
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack

import numpy as np
from PIL import Image

from tests.data.make_pictures import jpeg, scene
from tests.judge import Judge, Verdict, digest, paths
from tests.odd_jpegs import SAMPLINGS, odd_jpeg
from tests.picture_seeds import PICTURES
from tests.pillow_oracle import pillow_rgb
from tests.scale import scaled

SAMPLING = ("4:4:4", "4:2:2", "4:2:0")
SHAPES = [
    *((colour, sampling) for colour in ("YCbCr", "CMYK") for sampling in SAMPLING),
    ("gray", "4:4:4"),
    ("RGB", "4:4:4"),
]
RESTARTS = (
    {},
    {"restart_marker_blocks": 1},
    {"restart_marker_blocks": 7},
    {"restart_marker_rows": 1},
)
KINDS = list(itertools.product(SHAPES, (False, True), RESTARTS))


def test_what_pillow_writes():
    compare(written, scaled(2_000, least=2 * len(KINDS)))


def test_every_sampling():
    """Also those that no encoder of today writes."""
    compare(odd, scaled(1_000, least=4 * len(SAMPLINGS)))


def compare(make: Callable[[int], tuple[str, bytes]], count: int) -> None:
    """`count` files on every path against Pillow."""
    wrong: list[str] = []
    kinds: Counter[str] = Counter()
    with ExitStack() as stack:
        judges = [stack.enter_context(Judge(path)) for path in paths()]
        for number in range(count):
            kind, data = make(number)
            kinds[kind] += 1
            verdicts = [judge.ask(data, f"{kind} {number}", number % 4) for judge in judges]
            problem = disagreement(verdicts, digest(pillow_rgb(data)))
            if problem:
                wrong.append(f"{number}: {kind}: {problem}")
    print(f"{count} files of {len(kinds)} kinds")
    assert not wrong, f"{len(wrong)} of {count}:\n" + "\n".join(wrong[:40])


def disagreement(verdicts: list[Verdict], expected: str) -> str:
    """Empty if the pixels are the expected ones, and the model input is the same on every path."""
    for verdict in verdicts:
        if verdict.digest != expected:
            return verdict.error or "different pixels"
    return "" if len({verdict.prepared for verdict in verdicts}) == 1 else "prepared differently"


def written(number: int) -> tuple[str, bytes]:
    """A file of each kind in turn; everything else at random."""
    (colour, sampling), progressive, restart = KINDS[number % len(KINDS)]
    rng = np.random.default_rng(number)
    width, height = (int(side) for side in rng.integers(1, rng.choice([20, 70, 300]), 2))
    width, height = max(width, -(-height // 200)), max(height, -(-width // 200))
    options = {
        "quality": int(rng.choice([1, 10, 50, 75, 90, 95, 100, rng.integers(1, 101)])),
        "optimize": bool(rng.integers(2)) or bool(number % 5),
        "progressive": progressive,
        "subsampling": sampling,
    } | restart
    picture = content(rng, width, height)
    if colour == "RGB":
        options["keep_rgb"] = True
    elif colour != "YCbCr":
        picture = picture.convert({"gray": "L", "CMYK": "CMYK"}[colour])
    kind = f"{colour} {sampling} {'progressive' if progressive else 'baseline'} {restart}"
    return kind, jpeg(picture, **options)


def odd(number: int) -> tuple[str, bytes]:
    sampling = SAMPLINGS[number % len(SAMPLINGS)]
    rng = np.random.default_rng(number)
    width, height = (int(side) for side in rng.integers(1, 90, 2))
    return str(sampling), odd_jpeg(rng, sampling, width, height)


def content(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """Noise, a gradient, a scene, or a piece of a photograph-like picture."""
    which = rng.integers(4)
    if which == 0:
        return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
    if which == 1:
        y, x = np.mgrid[0:height, 0:width]
        slopes = rng.uniform(-3, 3, (2, 3))
        ramp = 128 + x[..., None] * slopes[0] + y[..., None] * slopes[1]
        return Image.fromarray(np.clip(ramp, 0, 255).astype(np.uint8))
    if which == 2:
        return scene(width, height, int(rng.integers(1 << 30)), noise=float(rng.uniform(0, 30)))
    with Image.open(PICTURES / "photo_like.jpg") as photo:
        left, top = int(rng.integers(photo.width)), int(rng.integers(photo.height))
        return photo.convert("RGB").crop((left, top, left + width, top + height))

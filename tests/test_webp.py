"""WebP: equal to libwebp as Pillow uses it, and as strict about the container."""

import numpy as np
import pytest

from llava_fast import decode_image
from tests.agreement import agree, outcome
from tests.data.make_pictures import scene
from tests.odd_files import animation, chunks_of, riff
from tests.picture_seeds import saved
from tests.scale import scaled


def test_webp_lossy_of_many_sizes_and_qualities():
    rng = np.random.default_rng(5)
    for number in range(scaled(3_000)):
        width, height = (int(side) for side in rng.integers(1, 90, 2))
        picture = scene(width, height, number, noise=float(rng.choice([0, 5, 40])))
        if rng.random() < 0.3:
            picture.putalpha(scene(width, height, number + 1).convert("L"))
        options = {"quality": int(rng.integers(0, 101)), "method": int(rng.integers(0, 7))}
        options |= {"alpha_quality": int(rng.integers(0, 101)), "exact": bool(rng.random() < 0.5)}
        assert agree(saved(picture, "WEBP", **options), (number, options))


def test_webp_lossless_of_many_sizes_and_palettes():
    rng = np.random.default_rng(6)
    for number in range(scaled(2_000)):
        width, height = (int(side) for side in rng.integers(1, 70, 2))
        picture = scene(width, height, number, noise=float(rng.choice([0, 2])))
        colours = int(rng.choice([0, 2, 3, 4, 15, 17, 200]))
        picture = picture.quantize(colours) if colours else picture
        options = {"quality": int(rng.integers(0, 101)), "method": int(rng.integers(0, 7))}
        assert agree(saved(picture, "WEBP", lossless=True, **options), (number, options))


@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize("alpha", [False, True])
def test_webp_frame_on_its_canvas(lossless: bool, alpha: bool):
    picture = scene(13, 9, 1)
    if alpha:
        picture.putalpha(scene(13, 9, 2).convert("L"))
    first = saved(picture, "WEBP", lossless=lossless)
    second = saved(scene(30, 20, 3), "WEBP", lossless=not lossless)
    for place in ((0, 0), (6, 4), (16, 10)):
        assert agree(animation((30, 20), [(place, first), ((0, 0), second)]))
    for place in ((18, 0), (0, 12)):  # outside
        assert not agree(animation((30, 20), [(place, first)]))


def test_webp_containers_that_libwebp_refuses():
    picture = scene(16, 16, 1)
    lossy, lossless = (chunks_of(saved(picture, "WEBP", lossless=k))[0] for k in (False, True))
    header = (b"VP8X", bytes([0, 0, 0, 0, 15, 0, 0, 15, 0, 0]))
    alpha = (b"ALPH", bytes(257))
    assert agree(riff(header, lossy))
    assert agree(riff(header, alpha, lossy))  # not announced, so not looked at
    assert agree(riff(lossy) + b"behind the end")
    announced = (b"VP8X", b"\x10" + header[1][1:])
    assert agree(riff(announced, alpha, lossy))
    for parts in (
        [announced, (b"ALPH", bytes(200)), lossy],
        [announced, (b"ALPH", b"\x03" + bytes(256)), lossy],
        [announced, alpha, lossless],
        [announced, lossy, alpha],
        [header],
        [header, lossy, lossy],
        [header, header, lossy],
        [(b"VP8X", bytes([1, 0, 0, 0, 15, 0, 0, 15, 0, 0])), lossy],
        [(b"VP8X", bytes([0, 0, 0, 0, 16, 0, 0, 15, 0, 0])), lossy],
        [(b"VP8X", bytes([2, 0, 0, 0, 15, 0, 0, 15, 0, 0])), lossy],
        [(b"VP8 ", lossless[1])],
        [(b"VP8L", lossy[1])],
    ):
        assert not agree(riff(*parts), parts)
    file = riff(lossy)
    for end in range(len(file) - 1):
        assert outcome(decode_image, file[:end]) is None

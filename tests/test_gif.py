"""GIF: the first frame as Pillow puts it on its canvas."""

import numpy as np
import pytest

from llava_fast import decode_image
from tests.agreement import agree, outcome
from tests.odd_files import codes, gif, transparency
from tests.pillow_oracle import pillow_rgb
from tests.scale import scaled

Rng = np.random.Generator


def random_gif(rng: Rng) -> bytes:
    """A frame anywhere on its canvas, with and without palettes, transparency and extensions."""
    bits = int(rng.choice([2, 3, 4, 8]))
    screen = tuple(int(side) for side in rng.integers(0, 24, 2))
    left, top = (int(place) for place in rng.integers(0, 12, 2))
    width, height = (int(side) for side in rng.integers(1, 24, 2))
    indices = rng.integers(0, 1 << bits, width * height)

    def palette(chance: float) -> bytes:
        colours = 2 << int(rng.integers(0, 8))
        if rng.random() > chance:
            return b""
        return levels(colours) if rng.random() < 0.2 else rng.bytes(3 * colours)

    extensions = [
        transparency(int(rng.integers(1 << bits))),
        transparency(int(rng.integers(256)), used=False),
        b"!\xfe\5hello\0",
        b"!\xff\x0bNETSCAPE2.0\3\1\0\0\0",
        b"\0",
    ]
    chosen = [extensions[int(at)] for at in rng.integers(0, 5, int(rng.integers(0, 4)))]
    return gif(
        screen,
        (left, top, width, height),
        codes(indices.tolist(), bits),
        bits=bits,
        palette=palette(0.7),
        local=palette(0.3),
        interlaced=rng.random() < 0.4,
        before=b"".join(chosen),
    )


def levels(colours: int) -> bytes:
    """The palette that Pillow takes for none."""
    return np.arange(colours, dtype=np.uint8).repeat(3).tobytes()


def test_gif_frames_anywhere():
    rng = np.random.default_rng(4)
    read = [agree(random_gif(rng), number) for number in range(scaled(20_000))]
    assert np.mean(read) > 0.9


def test_gif_transparency_keeps_the_colour_of_its_index():
    colours = bytes([10, 20, 30, 200, 100, 50, 1, 2, 3, 9, 8, 7])
    frame = codes([0, 1, 2, 3], 2)
    file = gif((4, 3), (1, 1, 2, 2), frame, bits=2, palette=colours, before=transparency(1))
    assert agree(file)
    pixels = decode_image(file)
    assert pixels[1, 2].tolist() == [200, 100, 50]  # a transparent pixel
    assert pixels[0, 0].tolist() == [200, 100, 50]  # the canvas around the frame


@pytest.mark.parametrize("bits", range(1, 13))
def test_gif_code_sizes(bits: int):
    indices = [number % min(256, 1 << bits) for number in range(60)]
    file = gif((6, 10), (0, 0, 6, 10), codes(indices, bits), bits=bits)
    ours, theirs = outcome(decode_image, file), outcome(pillow_rgb, file)
    if 1 < bits < 12:
        np.testing.assert_array_equal(ours, theirs)
    else:
        assert ours is None


def test_gif_codes_that_end_early_or_late():
    frame = (0, 0, 5, 4)
    for count, end in ((20, False), (20, True), (30, True), (19, True), (19, False), (0, True)):
        file = gif((5, 4), frame, codes([1] * count, 2, end), bits=2)
        assert agree(file, (count, end)) == (count >= 20)

"""File bytes to pixels: equal to Pillow, byte for byte."""

import hashlib
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from llava_fast import ImageError, ImageProcessor, decode_image
from tests.data.jpeg_writer import (
    AC_SYMBOLS,
    DC_SYMBOLS,
    gray_jpeg,
    random_blocks,
    random_codes,
)
from tests.data.make_pictures import PNG_KINDS, jpeg, main, random_png, scene
from tests.pillow_oracle import pillow_rgb
from tests.scale import scaled

PICTURES = Path(__file__).parent / "data" / "pictures"
INDEX = json.loads((PICTURES / "INDEX.json").read_text())


@pytest.mark.parametrize("name", INDEX)
def test_committed_pictures(name: str):
    ours = decode_image(PICTURES / name)
    assert ours.dtype == np.uint8
    assert list(ours.shape) == [*INDEX[name]["size"][::-1], 3]
    assert hashlib.sha256(ours.tobytes()).hexdigest() == INDEX[name]["rgb_sha256"]
    assert np.array_equal(ours, pillow_rgb(PICTURES / name))
    assert np.array_equal(ours, decode_image((PICTURES / name).read_bytes()))


def test_every_kind_of_source():
    data = (PICTURES / "photo_like.jpg").read_bytes()
    expected = decode_image(data)
    for source in (bytearray(data), memoryview(data), memoryview(b"x" + data)[1:]):
        assert np.array_equal(decode_image(source), expected)


def test_names_that_are_not_unicode(tmp_path: Path):
    name = os.fsdecode(bytes(tmp_path) + b"/na\xefve.jpg")
    with pytest.raises(ImageError) as error:
        decode_image(name)
    assert str(error.value).endswith("na\ufffdve.jpg`: no such file")
    Path(name).write_bytes((PICTURES / "gray.jpg").read_bytes())
    for source in (name, Path(name)):
        assert np.array_equal(decode_image(source), decode_image(PICTURES / "gray.jpg"))
        pixels = ImageProcessor()([source], "np")["pixel_values"]
        assert np.array_equal(pixels, ImageProcessor()(decode_image(source), "np")["pixel_values"])


def test_the_script_makes_the_committed_pictures(tmp_path: Path):
    main(tmp_path)
    for path in sorted(PICTURES.iterdir()):
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name


@given(
    st.integers(1, 120),
    st.integers(1, 120),
    st.sampled_from(["L", 0, 1, 2]),
    st.integers(1, 100),
    st.sampled_from([{}, {"restart_marker_blocks": 1}, {"restart_marker_blocks": 7}]),
    st.booleans(),
    st.integers(0, 1000),
)
def test_any_jpeg(width, height, kind, quality, restart, optimize, seed):
    picture = scene(width, height, seed, noise=seed % 40)
    options = {"quality": quality, "optimize": optimize} | restart
    if kind == "L":
        data = jpeg(picture.convert("L"), **options)
    else:
        data = jpeg(picture, subsampling=kind, **options)
    assert np.array_equal(decode_image(data), pillow_rgb(data))


def test_large_jpegs_with_tables_of_their_own():
    """Pictures with enough different symbols for codes of all 16 bits, in runs."""
    for seed in range(scaled(1_000)):
        rng = np.random.default_rng(seed)
        width, height = (int(v) for v in rng.integers(100, 401, 2))
        noise = float(rng.uniform(0, 40))
        picture = scene(width, height, seed, noise) if seed % 2 else flat_blocks(rng, width, height)
        options = {"quality": int(rng.integers(1, 101)), "subsampling": int(rng.integers(0, 3))}
        data = jpeg(picture, optimize=True, **options)
        assert np.array_equal(decode_image(data), pillow_rgb(data)), (seed, options)


def flat_blocks(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """Blocks of 8 x 8 with few low frequencies, and here and there the highest: long zero runs."""
    rows, columns = -(-height // 8), -(-width // 8)
    waves = np.cos((2 * np.arange(8) + 1) * np.arange(8)[:, None] * np.pi / 16)
    planes = []
    for _ in range(3):
        plane = np.kron(rng.integers(10, 245, (rows, columns)), np.ones((8, 8)))
        for u, v in ((1, 0), (0, 1), (1, 1), (2, 0)):
            strength = rng.normal(0, 6, (rows, columns))
            plane += np.kron(strength, np.outer(waves[v], waves[u]))
        rare = rng.random((rows, columns)) < 0.01
        plane += np.kron(rare * 9, np.outer(waves[7], waves[rng.integers(6, 8)]))
        planes.append(plane[:height, :width])
    return Image.fromarray(np.clip(np.stack(planes, -1), 0, 255).astype(np.uint8))


@given(
    st.integers(0, 1 << 30),
    st.sampled_from([0, 0.5, 0.99, 1]),
    st.sampled_from([0.5, 6, 40]),
    st.integers(0, 9),
)
def test_any_huffman_tables(seed, long, coefficients, interval):
    rng = np.random.default_rng(seed)
    dc, ac = (random_codes(rng, symbols, long) for symbols in (DC_SYMBOLS, AC_SYMBOLS))
    blocks = random_blocks(rng, 4 * int(rng.integers(1, 9)), coefficients)
    data = gray_jpeg(blocks, 4, dc, ac, interval)
    assert np.array_equal(decode_image(data), pillow_rgb(data))


@given(
    st.sampled_from(PNG_KINDS),
    st.integers(1, 60),
    st.integers(1, 60),
    st.booleans(),
    st.integers(0, 1000),
)
def test_any_png(kind, width, height, interlaced, seed):
    data = random_png(np.random.default_rng(seed), *kind, (width, height), interlaced=interlaced)
    assert np.array_equal(decode_image(data), pillow_rgb(data))


def test_gray_of_16_bits_is_cut_at_255():
    rng = np.random.default_rng(3)
    array = rng.integers(0, 65536, (20, 20)).astype(np.uint16)
    out = decode_image(_saved(Image.fromarray(array), "PNG"))
    assert np.array_equal(out[..., 0], np.minimum(array, 255))


def _saved(picture: Image.Image, kind: str, **options) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()

"""File bytes to pixels: equal to Pillow, byte for byte."""

import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from llava_fast import ImageError, decode_image
from tests.data.make_pictures import PNG_KINDS, jpeg, main, random_png, scene
from tests.pillow_oracle import pillow_rgb

PICTURES = Path(__file__).parent / "data" / "pictures"
INDEX = json.loads((PICTURES / "INDEX.json").read_text())

# (largest horizontal, largest vertical) over each component's own sampling that is decoded
RATIOS = {(1, 1), (2, 1), (2, 2)}


@pytest.mark.parametrize("name", INDEX)
def test_committed_pictures(name: str):
    ours = decode_image(PICTURES / name)
    assert ours.dtype == np.uint8
    assert list(ours.shape) == [*INDEX[name]["size"][::-1], 3]
    assert hashlib.sha256(ours.tobytes()).hexdigest() == INDEX[name]["rgb_sha256"]
    assert np.array_equal(ours, pillow_rgb(PICTURES / name))
    assert np.array_equal(ours, decode_image((PICTURES / name).read_bytes()))


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


def test_valid_fixtures(fixtures: Path):
    """Every undamaged file of a supported kind; every other file is refused by name."""
    folder = fixtures / "images" / "valid"
    supported = refused = 0
    for line in (folder / "INDEX.jsonl").read_text().splitlines():
        entry = json.loads(line)
        if entry["format"] in ("JPEG", "PNG") and _is_supported(entry):
            ours = decode_image(folder / entry["path"])
            assert np.array_equal(ours, pillow_rgb(folder / entry["path"])), entry["path"]
            supported += 1
        else:
            with pytest.raises(ImageError, match=r"unsupported|refused"):
                decode_image(folder / entry["path"])
            refused += 1
    assert supported > 200
    assert refused > 200


def test_photographs(fixtures: Path):
    folder = fixtures / "images" / "photos"
    for line in (folder / "INDEX.jsonl").read_text().splitlines():
        path = folder / json.loads(line)["path"]
        if b"\xff\xc2" in path.read_bytes()[:10_000]:
            with pytest.raises(ImageError, match="progressive"):
                decode_image(path)
        else:
            assert np.array_equal(decode_image(path), pillow_rgb(path)), path


def _is_supported(entry: dict) -> bool:
    width, height = entry["size"]
    if max(width, height) > 200 * min(width, height):
        return False
    if entry["format"] == "PNG":
        return True
    if entry["progressive"] or "arith" in entry["path"] or entry["mode"] == "CMYK":
        return False
    sampling = entry["sampling"]
    h, v = max(s[0] for s in sampling), max(s[1] for s in sampling)
    ratios = [(h / s[0], v / s[1]) for s in sampling]
    rgb = entry.get("adobe_transform") == 0
    return not rgb and ratios[0] == (1, 1) and set(ratios) <= RATIOS


def _saved(picture: Image.Image, kind: str, **options) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()

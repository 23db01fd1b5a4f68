"""Damaged, hostile and foreign files: a typed error, or exactly Pillow's pixels."""

import io
import json
import os
import random
import struct
import time
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from llava_fast import ImageError, decode_image
from tests.data.make_pictures import chunk, jpeg, random_png, scene
from tests.pillow_oracle import pillow_rgb
from tests.scale import scaled

PICTURES = Path(__file__).parent / "data" / "pictures"
PNG = random_png(np.random.default_rng(0), 2, 8, (20, 10))
JPEG = jpeg(scene(40, 30, 1), quality=60)


def refusal(data: bytes | Path) -> str:
    with pytest.raises(ImageError) as error:
        decode_image(data)
    assert "panicked" not in str(error.value)
    return str(error.value)


def saved(picture: Image.Image, kind: str, **options) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not an image: empty file"),
        (b"<!DOCTYPE html><title>404</title>", "not an image: looks like HTML"),
        (b'<?xml version="1.0"?><svg/>', "not an image: looks like XML or SVG"),
        (saved(scene(9, 9, 0), "WEBP"), "unsupported image: WebP; convert it to JPEG or PNG"),
        (saved(scene(9, 9, 0), "GIF"), "unsupported image: GIF; convert it to JPEG or PNG"),
        (saved(scene(9, 9, 0), "BMP"), "unsupported image: BMP; convert it to JPEG or PNG"),
        (saved(scene(9, 9, 0), "TIFF"), "unsupported image: TIFF; convert it to JPEG or PNG"),
        (jpeg(scene(9, 9, 0), progressive=True), "unsupported image: progressive JPEG"),
        (jpeg(scene(9, 9, 0).convert("CMYK")), "unsupported image: CMYK JPEG"),
        (jpeg(scene(9, 9, 0), keep_rgb=True), "unsupported image: RGB JPEG"),
        (PNG.replace(b"IDAT", b"IDBT"), "malformed PNG: wrong checksum of chunk `IDBT`"),
        (PNG[:60] + bytes([PNG[60] ^ 1]) + PNG[61:], "malformed PNG: wrong checksum of chunk"),
        (JPEG[:-2], "truncated JPEG: the file ends inside the picture data"),
        (
            jpeg(scene(402, 2, 0)),
            "image refused: 402 x 2 pixels, the sides differ by more than 200:1",
        ),
    ],
)
def test_the_message_says_what_is_wrong(data: bytes, message: str):
    assert refusal(data).startswith(message)


def test_every_cut_is_an_error():
    for data in (JPEG, PNG):
        for length in range(len(data)):
            assert refusal(data[:length])


def test_files_that_are_no_files(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name, cause in {
        "missing.jpg": "no such file",
        ".": "is a directory",
        "pipe": "not a regular file",
        "loop": "too many levels of symbolic links",
    }.items():
        path = tmp_path / name
        assert refusal(path).startswith(f"image `{path}`: {cause}")
    assert "not a regular file" in refusal(Path("/dev/zero"))


def test_a_size_that_is_only_claimed_costs_nothing():
    claims = []
    for width, height in ((60_000, 60_000), (8_192, 8_192), (2**31 - 1, 2**31 - 1), (0, 5)):
        header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        claims.append(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"x"))
        if width < 65_536:
            sof = JPEG.index(b"\xff\xc0") + 5
            claims.append(JPEG[:sof] + struct.pack(">HH", height, width) + JPEG[sof + 4 :])
    start = time.perf_counter()
    for data in claims:
        assert refusal(data)
    assert time.perf_counter() - start < 0.1


def test_bombs_in_chunks_without_pixels_are_not_opened():
    bomb = zlib.compress(bytes(200 << 20), 9)
    text = chunk(b"zTXt", b"k\0\0" + bomb) + chunk(b"iCCP", b"k\0\0" + bomb)
    plain = random_png(np.random.default_rng(0), 2, 8, (20, 10), extra=text)
    start = time.perf_counter()
    assert np.array_equal(decode_image(plain), decode_image(PNG))
    assert time.perf_counter() - start < 0.5


def test_hostile_fixtures(fixtures: Path):
    folder = fixtures / "images" / "hostile"
    outcomes: Counter[str] = Counter()
    for line in (folder / "INDEX.jsonl").read_text().splitlines():
        path = folder / json.loads(line)["path"]
        outcome = verdict(path.read_bytes())
        outcomes[outcome] += 1
        assert outcome in ("refused", "equal"), path
    assert outcomes["refused"] > 100


def test_mutated_files():
    """Thousands of files with flipped bits, lost, doubled, foreign or random bytes."""
    files = [path.read_bytes() for path in sorted(PICTURES.glob("*.[jp][pn]g"))]
    assert {verdict(data) for data in files} == {"equal"}
    campaign(files)


def test_mutated_fixtures(fixtures: Path):
    """The same for files of many other encoders."""
    files = sorted((fixtures / "images" / "valid").glob("**/*.[jp][pn]g"))
    campaign([path.read_bytes() for path in files])


def campaign(files: list[bytes]) -> None:
    originals = [data for data in files if len(data) < 50_000 and verdict(data) == "equal"]
    outcomes: Counter[str] = Counter()
    for seed in range(scaled(20_000)):
        rng = random.Random(seed)
        outcome = verdict(mutated(rng.choice(originals), rng, originals))
        outcomes[outcome] += 1
        assert outcome in ("refused", "equal"), f"seed {seed}: {outcome}"
    print(dict(outcomes))
    assert min(outcomes["refused"], outcomes["equal"]) > sum(outcomes.values()) / 10


def verdict(data: bytes) -> str:
    """How our result compares with Pillow's; any exception but `ImageError` goes through."""
    try:
        ours = decode_image(data)
    except ImageError as error:
        return "panicked" if "panicked" in str(error) else "refused"
    try:
        theirs = pillow_rgb(pixels_only(data))
    except Exception as error:
        return f"only ours, Pillow says {type(error).__name__}: {error}"
    return "equal" if np.array_equal(ours, theirs) else "different pixels"


def pixels_only(data: bytes) -> bytes:
    """A PNG with nothing but its picture: Pillow also reads texts, profiles and further animation
    frames, and gives up over a large or damaged one; ours passes over them."""
    if not data.startswith(b"\x89PNG"):
        return data
    kept, at = data[:8], 8
    while at < len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] in (b"IHDR", b"PLTE", b"IDAT", b"IEND"):
            kept += data[at:end]
        at = end
    return kept


def mutated(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """`data` after one to three accidents."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(out)) if rng.random() < 0.7 else rng.randrange(min(700, len(out)))
        length = min(rng.choice((1, 1, 2, 4, 16, 200)), len(out) - at)
        accident = rng.randrange(7)
        if accident <= 1:
            out[at] ^= 1 << rng.randrange(8)
        elif accident == 2:
            out[at : at + length] = rng.randbytes(length)
        elif accident == 3:
            del out[at : at + length]
        elif accident == 4:
            out[at:at] = out[at : at + length]
        elif accident == 5:
            other = rng.choice(others)
            start = rng.randrange(len(other))
            out[at : at + length] = other[start : start + length]
        else:
            del out[max(at, 4) :]
        if len(out) < 4:
            break
    return with_checksums(bytes(out)) if rng.random() < 0.5 else bytes(out)


def with_checksums(data: bytes) -> bytes:
    """A PNG whose chunk checksums are right again, so that damage reaches the layers below."""
    if not data.startswith(b"\x89PNG"):
        return data
    out, at = bytearray(data[:8]), 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if at + 12 + length > len(data):
            break
        out += chunk(data[at + 4 : at + 8], data[at + 8 : at + 8 + length])
        at += 12 + length
    return bytes(out + data[at:])

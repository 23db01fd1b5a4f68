"""Damaged, hostile and foreign files: a typed error, or exactly Pillow's pixels."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from llava_fast import ImageError, decode_image
from tests.data.make_pictures import jpeg, random_png, scene

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
        (
            saved(scene(9, 9, 0), "TIFF"),
            "unsupported image: TIFF, expected one of JPEG, PNG, WebP, GIF, BMP",
        ),
        (JPEG.replace(b"\xff\xc0", b"\xff\xc9", 1), "unsupported image: arithmetic-coded JPEG"),
        (JPEG.replace(b"\xff\xc0", b"\xff\xc3", 1), "unsupported image: lossless JPEG"),
        (saved(scene(9, 9, 0), "WEBP")[:-4], "truncated WebP: 114 bytes of 118"),
        (saved(scene(9, 9, 0), "GIF")[:-9], "truncated GIF: the pixel data end early"),
        (saved(scene(9, 9, 0), "BMP")[:-2], "truncated BMP: too few pixel data for its size"),
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
    progressive = jpeg(scene(40, 30, 1), progressive=True)
    others = (saved(scene(8, 8, 0), kind) for kind in ("WEBP", "BMP"))
    for data in (JPEG, progressive, PNG, *others):
        for length in range(len(data)):
            assert refusal(data[:length])

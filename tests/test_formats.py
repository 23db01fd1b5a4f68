"""All kinds of files that Pillow writes, told by their content."""

import struct
import zlib

import pytest

from llava_fast import ImageError, decode_image
from tests.agreement import agree
from tests.data.make_pictures import chunk, scene
from tests.picture_seeds import saved, seeds


def test_every_kind_that_pillow_writes():
    for kind, files in seeds().items():
        for number, data in enumerate(files):
            assert agree(data, (kind, number))


def test_the_content_decides_and_others_are_named():
    assert agree(saved(scene(9, 7, 1), "GIF"))
    for kind, name in (("TIFF", "TIFF"), ("ICO", "ICO"), ("JPEG2000", "JPEG 2000")):
        with pytest.raises(ImageError, match=f"unsupported image: {name}, expected one of JPEG"):
            decode_image(saved(scene(9, 7, 1), kind))


def test_animations_give_their_first_frame():
    frames = [scene(40, 30, seed).quantize(16) for seed in range(3)]
    for kind in ("GIF", "WEBP", "PNG"):
        for disposal in (0, 1, 2):
            options = {"disposal": disposal} if kind == "GIF" else {}
            assert agree(saved(frames[0], kind, save_all=True, append_images=frames[1:], **options))


def test_surplus_pixel_data_are_not_inflated():
    """Half a gigabyte of zeros behind the last row, in half a megabyte."""
    rows = bytes(101 * 10)
    packer = zlib.compressobj()
    packed = packer.compress(rows)
    for _ in range(500):
        packed += packer.compress(bytes(1 << 20))
    packed += packer.flush()
    head = struct.pack(">IIBBBBB", 100, 10, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    assert not decode_image(b"\x89PNG\r\n\x1a\n" + parts).any()

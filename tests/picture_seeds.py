"""Small pictures of every kind of file, for campaigns that damage, vary or fuzz them."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.data.make_pictures import chunk, jpeg, random_png, scene

PICTURES = Path(__file__).parent / "data" / "pictures"
KINDS = ("jpeg", "png", "webp", "gif", "bmp")
SUFFIXES = {".jpg": "jpeg", ".png": "png", ".webp": "webp", ".gif": "gif", ".bmp": "bmp"}
LARGEST = 20_000


def seeds() -> dict[str, list[bytes]]:
    """Files by kind: the committed ones, and what Pillow can write."""
    found: dict[str, list[bytes]] = {kind: [] for kind in KINDS}
    for path in sorted(PICTURES.rglob("*")):
        if path.suffix in SUFFIXES and path.stat().st_size <= LARGEST:
            found[SUFFIXES[path.suffix]].append(path.read_bytes())
    for make in (_jpegs, _pngs, _webps, _gifs, _bmps):
        found[make.__name__.strip("_s")] += make()
    return found


def saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    """The bytes that Pillow writes."""
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def exif(orientation: int) -> bytes:
    """EXIF with an orientation and a second directory."""
    tags = Image.Exif()
    tags[0x0112] = orientation
    tags[0x010F] = "maker"
    tags.get_ifd(0x8769)[0x9286] = b"comment"
    return tags.tobytes()


def _jpegs() -> Iterator[bytes]:
    for number, (width, height) in enumerate(((33, 17), (16, 40), (70, 50), (9, 9))):
        picture = scene(width, height, number)
        for subsampling in ("4:4:4", "4:2:2", "4:2:0"):
            yield jpeg(picture, subsampling=subsampling, progressive=True)
        yield jpeg(picture, progressive=True, restart_marker_blocks=3, quality=95)
        yield jpeg(picture, keep_rgb=True, quality=80)
        yield jpeg(picture, exif=exif(number + 5), restart_marker_rows=1)
        yield jpeg(picture.convert("L"), progressive=True, optimize=True)
        yield jpeg(picture.convert("CMYK"), progressive=bool(number % 2))


def _pngs() -> Iterator[bytes]:
    rng = np.random.default_rng(7)
    alpha = scene(20, 20, 3).convert("RGBA")
    yield saved(alpha, "PNG", exif=exif(3), compress_level=0)
    yield random_png(rng, 0, 8, (20, 9), extra=chunk(b"tRNS", b"\0\7"))
    yield random_png(rng, 2, 8, (20, 9), extra=chunk(b"tRNS", bytes(6)))
    frames = [scene(24, 24, seed) for seed in range(3)]
    yield saved(frames[0], "PNG", save_all=True, append_images=frames[1:])


def _webps() -> Iterator[bytes]:
    for number, (width, height) in enumerate(((1, 1), (37, 21), (64, 48))):
        picture = scene(width, height, number)
        alpha = picture.convert("RGBA")
        alpha.putalpha(scene(width, height, 50 + number).convert("L"))
        for options in ({}, {"lossless": True}, {"quality": 5}, {"method": 6, "quality": 95}):
            yield saved(picture, "WEBP", **options)
            yield saved(alpha, "WEBP", **options)
        yield saved(picture.quantize(5), "WEBP", lossless=True)
        yield saved(picture, "WEBP", exif=exif(6), lossless=True)
        frames = [scene(width, height, seed) for seed in range(3)]
        yield saved(alpha, "WEBP", save_all=True, append_images=frames, minimize_size=True)


def _gifs() -> Iterator[bytes]:
    for number, (width, height) in enumerate(((1, 1), (37, 21), (64, 48))):
        picture = scene(width, height, number)
        for colours in (2, 7, 64, 256):
            yield saved(picture.quantize(colours), "GIF", interlace=colours % 2)
        yield saved(picture.quantize(16), "GIF", transparency=3)
        frames = [scene(width, height, seed) for seed in range(3)]
        yield saved(picture, "GIF", save_all=True, append_images=frames, disposal=2)


def _bmps() -> Iterator[bytes]:
    for number, (width, height) in enumerate(((1, 1), (33, 21), (40, 12))):
        picture = scene(width, height, number)
        for mode in ("RGB", "L", "1", "P", "RGBA"):
            yield saved(picture.convert(mode), "BMP")
        yield bmp_rle(picture.convert("L"))


def bmp_rle(picture: Image.Image) -> bytes:
    """A gray BMP of 8 bits with run-length compression, which Pillow only reads."""
    palette = b"".join(bytes([v, v, v, 0]) for v in range(256))
    data = b""
    for row in np.asarray(picture)[::-1].tolist():
        if len(row) % 2 and len(row) > 2:
            data += bytes([0, len(row), *row, 0])
        else:
            data += b"".join(bytes([1, value]) for value in row)
        data += b"\0\0"
    data += b"\0\1"
    start = 54 + len(palette)
    fields = [
        (start + len(data), 4), (0, 4), (start, 4),
        (40, 4), (picture.width, 4), (picture.height, 4), (1, 2), (8, 2),
        (1, 4), (len(data), 4), (0, 4), (0, 4), (256, 4), (0, 4),
    ]  # fmt: skip
    header = b"".join(value.to_bytes(width, "little") for value, width in fields)
    return b"BM" + header + palette + data

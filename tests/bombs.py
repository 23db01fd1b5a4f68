"""Small files that ask for much: sizes, scans, tables, compressed surplus. (name, bytes, pixels)

pixels: how many the file may cost; 0 where its header alone must be enough to refuse it.
"""

import struct
import zlib
from collections.abc import Iterator
from functools import cache

import numpy as np
from PIL import Image

from tests.data.make_pictures import chunk, jpeg, random_png, scene
from tests.mutants import png_chunks
from tests.mutants_jpeg import DHT, DQT, EOI, SOS, pieces
from tests.picture_seeds import bmp_rle, saved

Bomb = tuple[str, bytes, int]

MAGIC = b"\x89PNG\r\n\x1a\n"
LARGE = 5_000 * 5_000  # within the limits


def bombs() -> Iterator[Bomb]:
    """All of them."""
    for make in (thin, sizes, zero_png, ancillary, surplus, many, jpeg_scans, jpeg_tables, sparse):
        yield from make()


def thin() -> Iterator[Bomb]:
    """1 x k and k x 1, whose squares and strips would be huge."""
    for long in (3_000, 10_000, 20_000, 65_535):
        for size in ((1, long), (long, 1)):
            name = f"{size[0]} x {size[1]}"
            picture = Image.new("RGB", size, (9, 99, 199))
            for kind in ("PNG", "BMP", "GIF"):
                yield f"{kind} {name}", saved(picture, kind), 0
            if long < 65_501:
                yield f"JPEG {name}", saved(picture, "JPEG"), 0
            if long < 16_384:
                yield f"WEBP {name}", saved(picture, "WEBP"), 0


def sizes() -> Iterator[Bomb]:
    """Sides that are only claimed; those within the limits may cost their pixels."""
    for width, height in ((60_000, 60_000), (2**31 - 1, 2**31 - 1), (0, 0), (0, 5), (5_000, 5_000)):
        pixels = LARGE if width == 5_000 else 0
        name = f"{width} x {height} claimed"
        yield f"PNG {name}", png_of(width, height, b"x"), pixels
        yield f"BMP {name}", _bmp_of(width, height), pixels
        yield f"BMP {name}, upside down", _bmp_of(width, -height), pixels
        if width < 65_536:
            screen = struct.pack("<HH", width, height)
            gif = saved(scene(9, 9, 0), "GIF")
            # A screen without pixels grows to its frame.
            cost = pixels if height > 5 else 81
            yield f"GIF {name}", gif[:6] + screen + gif[10:], cost
            for progressive in (False, True):
                yield f"JPEG {name} {progressive}", _jpeg_of(width, height, progressive), pixels
    webp = saved(scene(9, 9, 0), "WEBP")
    yield "WEBP 16383 x 16383 claimed", webp[:26] + b"\xff\x3f\xff\x3f" + webp[30:], 0
    lossless = saved(scene(9, 9, 0), "WEBP", lossless=True)
    claim = (16_383 | 16_383 << 14).to_bytes(4, "little")
    yield "WEBP 16384 x 16384 lossless claimed", lossless[:21] + claim + lossless[25:], 0
    for canvas in (b"\xff" * 6, b"\x87\x13\0\x87\x13\0"):
        header = b"VP8X" + struct.pack("<I", 10) + b"\2\0\0\0" + canvas
        frame = b"ANMF" + struct.pack("<I", 16 + len(webp) - 12)
        frame += b"\0" * 6 + b"\x08\0\0\x08\0\0" + b"\0" * 4 + webp[12:]
        body = b"WEBP" + header + b"ANIM" + struct.pack("<I", 6) + bytes(6) + frame
        file = b"RIFF" + struct.pack("<I", len(body)) + body
        pixels = 0 if canvas[0] == 0xFF else LARGE
        yield f"WEBP canvas {canvas.hex()}", file, pixels


def png_of(width: int, height: int, data: bytes) -> bytes:
    """An RGB picture with these compressed rows."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return MAGIC + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def _bmp_of(width: int, height: int) -> bytes:
    plain = saved(scene(9, 9, 0), "BMP")
    return plain[:18] + struct.pack("<ii", width, height) + plain[26:]


def _jpeg_of(width: int, height: int, progressive: bool) -> bytes:
    plain = jpeg(scene(9, 9, 0), progressive=progressive)
    sof = plain.index(b"\xff\xc2" if progressive else b"\xff\xc0") + 5
    return plain[:sof] + struct.pack(">HH", height, width) + plain[sof + 4 :]


def zero_png() -> Iterator[Bomb]:
    """Half a gigabyte of zeros in a few hundred kilobytes, just over the limit of pixels."""
    for side in (13_000, 9_400):
        yield f"PNG of zeros {side}", png_of(side, side, zeros(side * (side * 3 + 1))), 0


@cache
def zeros(length: int) -> bytes:
    """As many zeros compressed: one piece of a megabyte again and again."""
    packer = zlib.compressobj(1)
    head, piece = (packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH) for _ in "12")
    last = packer.compress(bytes(length % (1 << 20))) + packer.flush()
    checksum = struct.pack(">HH", length % 65_521, 1)
    return head + piece * ((length >> 20) - 1) + last[:-4] + checksum


def ancillary() -> Iterator[Bomb]:
    """Texts and profiles that unpack to 200 MB; a valid picture around them."""
    packed = zeros(200 << 20)
    for kind, head in ((b"zTXt", b"k\0\0"), (b"iCCP", b"k\0\0"), (b"iTXt", b"k\0\1\0\0\0")):
        extra = chunk(kind, head + packed)
        rng = np.random.default_rng(0)
        yield f"PNG {kind.decode()}", random_png(rng, 2, 8, (20, 10), extra=extra), 200


def surplus() -> Iterator[Bomb]:
    """Rows behind the last row, and bytes behind the end of a picture."""
    data = zeros(500 << 20)
    yield "PNG with 500 MB behind its rows", png_of(20, 20, data), 400
    for kind in ("PNG", "JPEG", "GIF", "BMP", "WEBP"):
        yield f"{kind} with 30 MB behind it", saved(scene(9, 9, 0), kind) + bytes(30 << 20), 81


def many() -> Iterator[Bomb]:
    """Hundreds of thousands of pieces without content."""
    plain = random_png(np.random.default_rng(0), 2, 8, (20, 10))
    (_, header), *rest = png_chunks(plain)
    for kind in (b"tEXt", b"IDAT", b"fdAT"):
        pieces_of = chunk(kind, b"") * 30_000
        file = MAGIC + chunk(b"IHDR", header) + pieces_of
        yield f"PNG of empty {kind.decode()}", file + b"".join(chunk(*c) for c in rest), 200
    picture = jpeg(scene(9, 9, 0))
    yield "JPEG of comments", picture[:2] + b"\xff\xfe\0\2" * 500_000 + picture[2:], 81
    yield "JPEG of fill bytes", picture[:2] + b"\xff" * (1 << 20) + picture[2:], 81
    gif = saved(scene(9, 9, 0), "GIF")
    start = 13 + 3 * (2 << (gif[10] & 7))
    yield "GIF of comments", gif[:start] + b"!\xfe\1x\0" * 500_000 + gif[start:], 81
    webp = saved(scene(9, 9, 0).convert("RGBA"), "WEBP", exif=b"Exif\0\0")
    body = webp[8:] + (b"abcd" + bytes(4)) * 300_000
    yield "WEBP of empty chunks", b"RIFF" + struct.pack("<I", len(body)) + body, 81


def jpeg_scans() -> Iterator[Bomb]:
    """The last scan again and again, and pictures whose coefficients or scans cost too much."""
    for progressive in (True, False):
        for side, counts in ((64, (100, 1_000, 5_000)), (1_000, (100, 5_000))):
            parts = pieces(jpeg(scene(side, side, 1, noise=2), progressive=progressive))
            for count in counts:
                bomb = b"".join([*parts[:-1], *(parts[-3:-1] * count), parts[-1]])
                name = f"JPEG of {count} scans, {side}², progressive {progressive}"
                yield name, bomb, side * side
    for mode in ("CMYK", "RGB"):
        picture = scene(16, 16, 0).convert(mode)
        plain = jpeg(picture, progressive=True, subsampling="4:4:4")
        sof = plain.index(b"\xff\xc2") + 5
        bomb = plain[:sof] + struct.pack(">HH", 8_190, 8_190) + plain[sof + 4 :]
        yield f"JPEG of {mode} coefficients", bomb, 0


def jpeg_tables() -> Iterator[Bomb]:
    """Every table defined again and again."""
    for progressive in (False, True):
        parts = pieces(jpeg(scene(16, 16, 0), progressive=progressive))
        for marker in (DHT, DQT):
            tables = b"".join(part for part in parts if part[1:2] == bytes([marker]))
            again = tables * (1_000_000 // len(tables))
            name = f"JPEG of tables {marker:#x}, progressive {progressive}"
            yield name, parts[0] + again + b"".join(parts[1:]), 256


def sparse() -> Iterator[Bomb]:
    """Large pictures of which nearly nothing is there."""
    rle = bmp_rle(scene(9, 9, 0).convert("L"))
    start = int.from_bytes(rle[10:14], "little")
    for codes in (b"\0\1", b"\0\2\xff\xff" * 1_000 + b"\0\1"):
        header = rle[:18] + struct.pack("<ii", 5_000, 5_000) + rle[26:start]
        yield f"BMP of {len(codes)} run lengths", header + codes, LARGE
    cut = pieces(jpeg(scene(16, 16, 0), restart_marker_blocks=1))
    sof = next(i for i, part in enumerate(cut) if part[1:2] == b"\xc0")
    cut[sof] = cut[sof][:5] + struct.pack(">HH", 5_000, 5_000) + cut[sof][9:]
    yield "JPEG of 5000² with four restarts", b"".join(cut), LARGE
    head = b"".join(part for part in cut if part[1:2] not in (bytes([SOS]), bytes([EOI])))
    yield "JPEG without a scan", head, LARGE

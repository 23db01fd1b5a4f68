"""GIF, BMP and WebP files that Pillow reads but does not write, built byte by byte."""

import struct
from collections.abc import Sequence

import numpy as np

BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)


def bmp(
    bits: int,
    size: tuple[int, int],
    data: bytes,
    *,
    header: int = 40,
    compression: int = 0,
    palette: bytes = b"",
    colours: int = 0,
    masks: Sequence[int] = (),
    offset: int | None = None,
) -> bytes:
    """A BMP; size is (width, height), with a negative height the first row comes first.

    offset: what the file header says about the place of `data`; default: the truth.
    """
    width, height = size
    if header == 12:
        info = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        info = struct.pack("<IiiHHII", header, width, height, 1, bits, compression, len(data))
        info += struct.pack("<iiII", 2835, 2835, colours, 0)
        info += b"".join(struct.pack("<I", mask) for mask in masks)
        info = info.ljust(header, b"\0")
    place = 14 + len(info) + len(palette) if offset is None else offset
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, place) + info + palette + data


def random_runs(rng: np.random.Generator, rows: int, width: int, four_bits: bool) -> bytes:
    """Runs of a compressed BMP: encoded and plain ones, jumps, rows that end early or overflow."""
    out = b""
    for _ in range(rows):
        for _ in range(int(rng.integers(0, 4))):
            kind = rng.integers(0, 10)
            if kind < 6:
                out += bytes([int(rng.integers(1, width + 3)), int(rng.integers(256))])
            elif kind < 9:
                count = int(rng.integers(3, max(4, width)))
                plain = rng.bytes((count + 1) // 2 if four_bits else count)
                out += bytes([0, count]) + plain + b"\0" * (len(plain) % 2)
            else:
                out += bytes([0, 2, int(rng.integers(0, width)), int(rng.integers(0, 2))])
        out += b"\0\0"
    return out + bytes([255, 7, 0, 0]) * int(rng.integers(0, 3 * rows)) + b"\0\1"


def codes(indices: Sequence[int], bits: int, end: bool = True) -> bytes:
    """Blocks of GIF codes, with clear codes so often that every code stands for one index."""
    clear, width = 1 << bits, bits + 1
    stream: list[int] = []
    for place, index in enumerate(indices):
        if place % max(1, clear - 2) == 0:
            stream.append(clear)
        stream.append(index)
    if end:
        stream.append(clear + 1)
    number = sum(code << width * place for place, code in enumerate(stream))
    packed = number.to_bytes((len(stream) * width + 7) // 8, "little")
    blocks = (packed[at : at + 255] for at in range(0, len(packed), 255))
    return b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"


def gif(
    screen: tuple[int, int],
    frame: tuple[int, int, int, int],
    data: bytes,
    *,
    bits: int,
    palette: bytes = b"",
    local: bytes = b"",
    interlaced: bool = False,
    before: bytes = b"",
) -> bytes:
    """A GIF of one frame, (left, top, width, height); palettes of 2, 4, .. 256 colours.

    before: extensions between the global palette and the frame.
    """

    def flags(colours: bytes) -> int:
        return 0x80 | (len(colours) // 3).bit_length() - 2 if colours else 0

    head = b"GIF89a" + struct.pack("<HHBBB", *screen, flags(palette), 3, 0) + palette
    place = b"," + struct.pack("<HHHHB", *frame, flags(local) | 64 * interlaced)
    return head + before + place + local + bytes([bits]) + data + b";"


def transparency(index: int, used: bool = True) -> bytes:
    """The extension that names the transparent index."""
    return b"!\xf9\4" + bytes([used, 0, 0, index]) + b"\0"


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    """A WebP file of these chunks, by name and payload."""
    body = b"WEBP" + b"".join(
        name + struct.pack("<I", len(payload)) + payload + b"\0" * (len(payload) % 2)
        for name, payload in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def chunks_of(webp: bytes) -> list[tuple[bytes, bytes]]:
    """Name and payload of each chunk."""
    found, at = [], 12
    while at < len(webp):
        length = int.from_bytes(webp[at + 4 : at + 8], "little")
        found.append((webp[at : at + 4], webp[at + 8 : at + 8 + length]))
        at += 8 + length + length % 2
    return found


def animation(canvas: tuple[int, int], frames: list[tuple[tuple[int, int], bytes]]) -> bytes:
    """An animated WebP; each frame is its (even) place and a WebP of one picture."""

    def three(number: int) -> bytes:
        return number.to_bytes(3, "little")

    parts = [(b"VP8X", b"\x12\0\0\0" + three(canvas[0] - 1) + three(canvas[1] - 1))]
    parts.append((b"ANIM", b"\x10\x20\x30\x40\0\0"))
    for (left, top), webp in frames:
        inner = [part for part in chunks_of(webp) if part[0] in (b"ALPH", b"VP8 ", b"VP8L")]
        # The sides of the frame are read from its own data.
        place = three(left // 2) + three(top // 2) + three(0) + three(0) + three(9) + b"\0"
        parts.append((b"ANMF", place + riff(*inner)[12:]))
    return riff(*parts)

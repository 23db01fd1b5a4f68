"""Damaged pictures: random accidents to the bytes, and edits that know the format."""

import random
import zlib
from collections.abc import Callable

from tests.data.make_pictures import chunk
from tests.mutants_jpeg import edited_jpeg

# Values that are often wrong in the field of a header.
BORDERS = (0, 1, 2, 3, 7, 8, 15, 16, 127, 128, 255, 256, 4_095, 32_767, 32_768, 65_535, 65_536)

# Offset and width of the tag, the type, the count and the value of a directory entry of EXIF.
ENTRY = ((0, 2), (2, 2), (4, 4), (8, 4))

Edit = Callable[[bytes, random.Random, list[bytes]], bytes]


def mutant(rng: random.Random, seeds: dict[str, list[bytes]]) -> tuple[str, bytes]:
    """A kind, and a file of that kind after one to three accidents or edits."""
    kind = rng.choice(sorted(seeds))
    files = seeds[kind]
    data = rng.choice(files)
    for _ in range(rng.randint(1, 3)):
        chance = rng.random()
        if chance < 0.4:
            data = accident(data, rng, files)
        elif chance < 0.45:
            data = edited_exif(data, rng)
        else:
            data = EDITS[kind](data, rng, files)
        if len(data) < 4:
            break
    if kind == "png" and rng.random() < 0.7:
        data = with_checksums(data)
    return kind, data


def accident(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """`data` with a bit flipped, or bytes replaced, lost, doubled, foreign or cut off."""
    out = bytearray(data)
    at = rng.randrange(len(out)) if rng.random() < 0.7 else rng.randrange(min(700, len(out)))
    length = min(rng.choice((1, 1, 2, 4, 16, 200)), len(out) - at)
    which = rng.randrange(7)
    if which <= 1:
        out[at] ^= 1 << rng.randrange(8)
    elif which == 2:
        out[at : at + length] = rng.randbytes(length)
    elif which == 3:
        del out[at : at + length]
    elif which == 4:
        out[at:at] = out[at : at + length]
    elif which == 5:
        other = rng.choice(others)
        start = rng.randrange(len(other))
        out[at : at + length] = other[start : start + length]
    else:
        del out[max(at, 4) :]
    return bytes(out)


def put(out: bytearray, at: int, width: int, order: str, rng: random.Random) -> None:
    """A border value, a random one or a neighbour of the present one into the field at `at`."""
    if at + width > len(out):
        return
    present = int.from_bytes(out[at : at + width], order)
    value = rng.choice((rng.choice(BORDERS), -rng.choice(BORDERS), present + rng.randint(-2, 2)))
    if rng.random() < 0.2:
        value = rng.getrandbits(8 * width)
    out[at : at + width] = (value % (1 << 8 * width)).to_bytes(width, order)


def edited_exif(data: bytes, rng: random.Random) -> bytes:
    """A field of an EXIF directory changed: counts, types, offsets that loop or lie outside."""
    at = max(data.find(b"II*\0"), data.find(b"MM\0*"))
    if at < 0:
        return data
    out = bytearray(data)
    order = "little" if data[at : at + 1] == b"I" else "big"
    fields = [(4, 4), (8, 2), *((10 + 12 * i + j, w) for i in range(4) for j, w in ENTRY)]
    offset, width = rng.choice(fields)
    put(out, at + offset, width, order, rng)
    return bytes(out)


def edited_png(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """Chunks changed, lost, doubled, moved, foreign; or other rows behind the compression."""
    chunks = png_chunks(data)
    if not chunks:
        return data
    at = rng.randrange(len(chunks))
    which = rng.randrange(9)
    if which <= 1:
        kind, payload = chunks[0]
        header = bytearray(payload)
        put(header, *rng.choice(((0, 4), (4, 4), (8, 1), (9, 1), (12, 1))), "big", rng)
        chunks[0] = (kind, bytes(header))
    elif which == 2:
        chunks = _other_rows(chunks, rng)
    elif which == 3:
        foreign = png_chunks(rng.choice(others)) or chunks
        chunks.insert(at, rng.choice(foreign))
    elif which == 4:
        del chunks[at]
    elif which == 5:
        chunks.append(chunks.pop(at))
    elif which == 6:
        chunks.insert(rng.randrange(len(chunks)), chunks[at])
    elif which == 7:
        kind, payload = chunks[at]
        cut = rng.randrange(len(payload) + 1)
        chunks[at : at + 1] = [(kind, payload[:cut]), (kind, payload[cut:])]
    else:
        kind, payload = chunks[at]
        changed = accident(payload, rng, [payload]) if payload else rng.randbytes(4)
        chunks[at] = (kind, changed)
    return data[:8] + b"".join(chunk(kind, payload) for kind, payload in chunks)


def _other_rows(chunks: list[tuple[bytes, bytes]], rng: random.Random) -> list[tuple[bytes, bytes]]:
    """The filtered rows damaged, too short or too long, and compressed again."""
    packed = b"".join(payload for kind, payload in chunks if kind == b"IDAT")
    try:
        rows = zlib.decompress(packed)
    except zlib.error:
        return chunks
    rows = accident(rows, rng, [rows]) if rows else rows
    if rng.random() < 0.2:
        rows += bytes(rng.choice((1, 100, 100_000)))
    first = next((i for i, (kind, _) in enumerate(chunks) if kind == b"IDAT"), len(chunks))
    others = [entry for entry in chunks if entry[0] != b"IDAT"]
    others.insert(min(first, len(others)), (b"IDAT", zlib.compress(rows, rng.randrange(10))))
    return others


def png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Kind and payload of every whole chunk."""
    chunks, at = [], 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if end + 4 > len(data):
            break
        chunks.append((data[at + 4 : at + 8], data[at + 8 : end]))
        at = end + 4
    return chunks


def with_checksums(data: bytes) -> bytes:
    """A PNG whose chunk checksums are right again, so that damage reaches the layers below."""
    whole = b"".join(chunk(kind, payload) for kind, payload in png_chunks(data))
    return data[:8] + whole + data[8 + len(whole) :]


def edited_webp(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """RIFF chunks changed, lost, doubled, moved or foreign; with right or wrong lengths."""
    chunks = riff_chunks(data)
    if not chunks:
        return data
    at = rng.randrange(len(chunks))
    which = rng.randrange(8)
    if which <= 3:
        kind, payload = chunks[at]
        changed = bytearray(payload)
        if changed:
            # Headers, and the code lengths of VP8L, are in the first bytes.
            place = rng.randrange(min(len(changed), rng.choice((10, 30, 80))))
            put(changed, place, rng.choice((1, 2, 3, 4)), "little", rng)
        chunks[at] = (kind, bytes(changed))
    elif which == 4:
        chunks.insert(at, rng.choice(riff_chunks(rng.choice(others)) or chunks))
    elif which == 5:
        del chunks[at]
    elif which == 6:
        chunks.append(chunks.pop(at))
    else:
        kinds = (b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"EXIF", b"ICCP")
        chunks[at] = (rng.choice(kinds), chunks[at][1])
    body = b"WEBP" + b"".join(
        kind + len(payload).to_bytes(4, "little") + payload + bytes(len(payload) % 2)
        for kind, payload in chunks
    )
    out = bytearray(b"RIFF" + len(body).to_bytes(4, "little") + body)
    if rng.random() < 0.1:
        put(out, rng.choice((4, 16)), 4, "little", rng)
    return bytes(out)


def riff_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Kind and payload of every chunk of a WebP; the last may be short."""
    chunks, at = [], 12
    while at + 8 <= len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        chunks.append((data[at : at + 4], data[at + 8 : at + 8 + length]))
        at += 8 + length + length % 2
    return chunks


def edited_gif(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """A field of the screen, of an extension, of a frame or of its codes changed."""
    out = bytearray(data)
    screen = [(6, 2), (8, 2), (10, 1), (11, 1)]
    places = [p for p in range(13, len(out) - 12) if out[p] in (0x2C, 0x21)]
    if rng.random() < 0.3 or not places:
        put(out, *rng.choice(screen), "little", rng)
        return bytes(out)
    at = rng.choice(places[:40])
    if out[at] == 0x2C:
        fields = [(1, 2), (3, 2), (5, 2), (7, 2), (9, 1), (10, 1), (11, 1), (12, 1)]
    else:
        fields = [(1, 1), (2, 1), (3, 1), (4, 2), (6, 1), (7, 1)]
    offset, width = rng.choice(fields)
    put(out, at + offset, width, "little", rng)
    return bytes(out)


def edited_bmp(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """A field of the file header or of the picture header changed, or a header of another size."""
    out = bytearray(data)
    fields = [(10, 4), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2), (30, 4), (34, 4), (46, 4)]
    if rng.random() < 0.2:
        size = rng.choice((12, 16, 40, 52, 56, 64, 108, 124))
        out[14:18] = size.to_bytes(4, "little")
        out[54:54] = rng.randbytes(max(0, size - 40))
    if rng.random() < 0.3:
        bits, compression = rng.choice(((1, 0), (4, 2), (8, 1), (16, 3), (32, 3), (24, 0), (2, 0)))
        out[28:30] = bits.to_bytes(2, "little")
        out[30:34] = compression.to_bytes(4, "little")
    else:
        put(out, *rng.choice(fields), "little", rng)
    return bytes(out)


EDITS: dict[str, Edit] = {
    "jpeg": edited_jpeg,
    "png": edited_png,
    "webp": edited_webp,
    "gif": edited_gif,
    "bmp": edited_bmp,
}

"""Edits of a JPEG that know its segments."""

import random

# Bytes of a segment: 0xFF, its marker, the length, the payload. Entropy-coded data is a piece too.
Pieces = list[bytes]

FRAMES = (0xC0, 0xC1, 0xC2)
OTHER_FRAMES = (0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD)
DHT, EOI, SOS, DQT, DNL, DRI, APP14 = 0xC4, 0xD9, 0xDA, 0xDB, 0xDC, 0xDD, 0xEE


def pieces(data: bytes) -> Pieces:
    """A JPEG cut into its start marker, its segments, its entropy-coded data and what follows."""
    found, at = [data[:2]], 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != EOI:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        found.append(data[at:end])
        if data[at + 1] == SOS:
            start, end = end, _end_of_scan(data, end)
            found.append(data[start:end])
        at = end
    return [*found, data[at:]]


def _end_of_scan(data: bytes, at: int) -> int:
    while (at := data.find(b"\xff", at)) >= 0:
        if at + 1 < len(data) and data[at + 1] and not 0xD0 <= data[at + 1] <= 0xD7:
            return at
        at += 1
    return len(data)


def edited_jpeg(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """A field of a segment changed, or segments and scans lost, doubled, moved or foreign."""
    parts = pieces(data)
    which = rng.randrange(10)
    at = rng.randrange(1, len(parts))
    if which <= 4:
        _change_a_field(parts, rng)
    elif which == 5:
        del parts[at]
    elif which == 6:
        parts.insert(rng.randrange(1, len(parts)), parts[at])
    elif which == 7:
        other = rng.randrange(1, len(parts))
        parts[at], parts[other] = parts[other], parts[at]
    elif which == 8:
        parts.insert(at, rng.choice(pieces(rng.choice(others))[1:]))
    else:
        parts.insert(at, _new_segment(rng))
    return b"".join(parts)


def _change_a_field(parts: Pieces, rng: random.Random) -> None:
    """One field of a random segment that the decoder reads."""
    read = [i for i, part in enumerate(parts) if len(part) > 4 and part[:1] == b"\xff" and i]
    if not read:
        return
    at = rng.choice(read)
    part, marker = bytearray(parts[at]), parts[at][1]
    if marker in FRAMES and rng.random() < 0.2:
        part[1] = rng.choice(FRAMES + OTHER_FRAMES)
    elif marker in FRAMES:
        _change_frame(part, rng)
    elif marker == DHT:
        _change_huffman(part, rng)
    elif marker == SOS:
        _change_scan(part, rng)
    else:
        part[rng.randrange(2, min(len(part), 40))] = rng.choice((0, 1, 2, 3, 17, 127, 255))
    parts[at] = bytes(part)


def _change_frame(part: bytearray, rng: random.Random) -> None:
    place = rng.randrange(4, len(part))
    if place in (5, 6, 7, 8):  # height and width
        place -= place % 2 == 0
        value = rng.choice((0, 1, 7, 8, 17, 255, 1_000, 65_535, rng.randrange(1, 200)))
        part[place : place + 2] = value.to_bytes(2, "big")
    elif place >= 10 and (place - 10) % 3 == 1:  # sampling factors
        part[place] = rng.randrange(5) << 4 | rng.randrange(5)
    else:
        part[place] = rng.choice((0, 1, 2, 3, 4, 8, 12, 255))


def _change_huffman(part: bytearray, rng: random.Random) -> None:
    place = rng.randrange(4, len(part))
    if place == 4:
        part[place] = rng.choice((0, 1, 2, 3, 0x10, 0x11, 0x13, 0x20, 0xFF))
    elif place < 21:  # codes per length: more, fewer, or one moved to the next length
        change = rng.choice((-1, 1, rng.randrange(256)))
        part[place] = (part[place] + change) % 256
        if place + 1 < min(21, len(part)) and rng.random() < 0.7:
            part[place + 1] = (part[place + 1] - change) % 256
    else:
        part[place] = rng.randrange(256)


def _change_scan(part: bytearray, rng: random.Random) -> None:
    place = rng.randrange(4, len(part))
    last = len(part) - 1
    if place == last:  # successive approximation
        part[place] = rng.randrange(14) << 4 | rng.randrange(14)
    elif place in (last - 1, last - 2):  # spectral selection
        part[place] = rng.choice((0, 1, 5, 62, 63, 64, 255))
    else:
        part[place] = rng.choice((0, 1, 2, 3, 4, 0x10, 0x11, 0x22, 0x33, 255))


def _new_segment(rng: random.Random) -> bytes:
    kind = rng.choice((APP14, DRI, DNL, DQT, 0xD0, 0xFF, EOI))
    if kind in (0xD0, 0xFF, EOI):
        return bytes([0xFF, kind])
    payload = {
        APP14: b"Adobe\0\x64\0\0\0\0" + bytes([rng.randrange(4)]),
        DRI: rng.choice((0, 1, 2, 65_535)).to_bytes(2, "big"),
        DNL: rng.choice((0, 1, 17, 65_535)).to_bytes(2, "big"),
        DQT: bytes([rng.choice((0, 1, 0x10, 3, 4))]) + rng.randbytes(128),
    }[kind]
    return bytes([0xFF, kind]) + (len(payload) + 2).to_bytes(2, "big") + payload

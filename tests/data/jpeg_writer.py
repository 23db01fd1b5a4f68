"""A baseline JPEG from coefficients and Huffman tables of one's own.

Encoders make tables that fit their data, so a legal file rarely has many long codes in a row; here
every symbol can have any code length that the standard allows.

Legend of shapes: B blocks, K = 64 coefficients in zigzag order.
"""

import struct
from collections.abc import Sequence

import numpy as np

# How many codes have each length 1..16, and the symbols in the order of their codes.
Codes = tuple[Sequence[int], Sequence[int]]
# The blocks of a coding unit: number of the component, and its 64 coefficients.
Unit = list[tuple[int, list[int]]]

DC_SYMBOLS = range(12)
AC_SYMBOLS = [0x00, 0xF0, *(run << 4 | size for run in range(16) for size in range(1, 11))]


def random_codes(rng: np.random.Generator, symbols: Sequence[int], long: float) -> Codes:
    """A prefix code without the code of all ones; `long` of the lengths are 16, the rest random."""
    left = (1 << 16) - 1
    lengths = []
    for others in range(len(symbols) - 1, -1, -1):
        length = 16 if rng.random() < long else int(rng.integers(1, 17))
        while 1 << (16 - length) > left - others:
            length += 1
        left -= 1 << (16 - length)
        lengths.append(length)
    order = rng.permutation(len(symbols))
    pairs = sorted(zip(lengths, (int(symbols[i]) for i in order), strict=True))
    return np.bincount(lengths, minlength=17)[1:].tolist(), [symbol for _, symbol in pairs]


def random_blocks(rng: np.random.Generator, count: int, coefficients: float) -> np.ndarray:
    """(B, K): about `coefficients` a block, anywhere, of 1..10 bits; DC steps up to 11."""
    blocks_BK = rng.integers(-1023, 1024, (count, 64)) >> rng.integers(0, 11, (count, 64))
    blocks_BK[:, 1:] *= rng.random((count, 63)) < coefficients / 63
    return blocks_BK


def gray_jpeg(
    blocks_BK: np.ndarray, columns: int, dc: Codes, ac: Codes, interval: int = 0
) -> bytes:
    """A file of B blocks, `columns` in a row, in reading order.

    interval: blocks between restart markers, 0 = none.
    """
    height, width = len(blocks_BK) // columns * 8, columns * 8
    scan = scan_data([[(0, block)] for block in blocks_BK.tolist()], (dc, ac), interval)
    return b"".join(
        (
            b"\xff\xd8",
            segment(0xDB, bytes([0]) + bytes([1] * 64)),
            segment(0xC0, struct.pack(">BHHB", 8, height, width, 1) + bytes([1, 0x11, 0])),
            segment(0xC4, bytes([0x00, *dc[0], *dc[1]])),
            segment(0xC4, bytes([0x10, *ac[0], *ac[1]])),
            segment(0xDD, struct.pack(">H", interval)),
            segment(0xDA, bytes([1, 1, 0, 0, 63, 0])),
            scan,
            b"\xff\xd9",
        )
    )


def segment(code: int, payload: bytes) -> bytes:
    return bytes([0xFF, code]) + struct.pack(">H", len(payload) + 2) + payload


def scan_data(units: Sequence[Unit], codes: tuple[Codes, Codes], interval: int) -> bytes:
    """The entropy-coded data of a scan, with a restart marker every `interval` units, 0 = none."""
    step = interval or len(units)
    parts = [_entropy(units[at : at + step], codes) for at in range(0, len(units), step)]
    marked = (part + bytes([0xFF, 0xD0 + i % 8]) for i, part in enumerate(parts[:-1]))
    return b"".join(marked) + parts[-1]


def _entropy(units: Sequence[Unit], codes: tuple[Codes, Codes]) -> bytes:
    dc_codes, ac_codes = map(_codes, codes)
    bits: list[str] = []
    last: dict[int, int] = {}
    for component, block in (entry for unit in units for entry in unit):
        size, magnitude = _magnitude(block[0] - last.get(component, 0))
        bits += [dc_codes[size], magnitude]
        last[component], run = block[0], 0
        for value in np.trim_zeros(block[1:], "b"):
            if value == 0:
                run += 1
                continue
            size, magnitude = _magnitude(value)
            bits += [ac_codes[0xF0]] * (run // 16) + [ac_codes[run % 16 << 4 | size], magnitude]
            run = 0
        if block[63] == 0:
            bits.append(ac_codes[0])
    text = "".join(bits)
    text += "1" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\x00")


def _codes(codes: Codes) -> dict[int, str]:
    """The bits of each symbol."""
    counts, symbols = codes
    table, code, index = {}, 0, 0
    for length, count in enumerate(counts, 1):
        for symbol in symbols[index : index + count]:
            table[symbol] = format(code, f"0{length}b")
            code += 1
        index += count
        code <<= 1
    return table


def _magnitude(value: int) -> tuple[int, str]:
    """How many bits, and these; of a negative number its complement."""
    size = abs(value).bit_length()
    bits = value if value > 0 else value + (1 << size) - 1
    return size, format(bits, f"0{size}b") if size else ""

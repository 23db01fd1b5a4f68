"""JPEGs of three components with any sampling factors, in one scan or in three.

Pillow writes only 4:4:4, 4:2:2 and 4:2:0, but it reads all of them.
"""

import struct

import numpy as np

from tests.data.jpeg_writer import (
    AC_SYMBOLS,
    DC_SYMBOLS,
    Codes,
    Unit,
    random_codes,
    scan_data,
    segment,
)

Sampling = tuple[tuple[int, int], ...]

# Horizontal and vertical factors of the three components; libjpeg takes at most 10 blocks at once.
SAMPLINGS: tuple[Sampling, ...] = (
    ((1, 1), (1, 1), (1, 1)),
    ((2, 1), (1, 1), (1, 1)),
    ((2, 2), (1, 1), (1, 1)),
    ((1, 2), (1, 1), (1, 1)),
    ((3, 1), (1, 1), (1, 1)),
    ((3, 2), (1, 1), (1, 1)),
    ((4, 1), (1, 1), (1, 1)),
    ((4, 2), (1, 1), (1, 1)),
    ((1, 4), (1, 1), (1, 1)),
    ((2, 4), (1, 1), (1, 1)),
    ((2, 2), (2, 1), (1, 2)),
    ((2, 2), (1, 2), (2, 1)),
    ((1, 1), (2, 2), (1, 1)),
    ((2, 1), (2, 1), (2, 1)),
    ((1, 1), (2, 1), (2, 1)),
)


def odd_jpeg(rng: np.random.Generator, sampling: Sampling, width: int, height: int) -> bytes:
    """Smooth random content, Huffman tables and restart intervals of its own."""
    h_max, v_max = max(h for h, _ in sampling), max(v for _, v in sampling)
    across, down = _ceil(width, 8 * h_max), _ceil(height, 8 * v_max)
    planes = [_plane(rng, across * h, down * v) for h, v in sampling]
    codes = random_codes(rng, DC_SYMBOLS, 0.2), random_codes(rng, AC_SYMBOLS, 0.2)
    interval = int(rng.choice([0, 0, 1, 3]))
    parts = [b"\xff\xd8", segment(0xDB, bytes([0]) + bytes(rng.integers(1, 12, 64).tolist()))]
    frame = b"".join(bytes([i + 1, h << 4 | v, 0]) for i, (h, v) in enumerate(sampling))
    parts.append(segment(0xC0, struct.pack(">BHHB", 8, height, width, 3) + frame))
    for number, (counts, symbols) in enumerate(codes):
        parts.append(segment(0xC4, bytes([number << 4, *counts, *symbols])))
    parts.append(segment(0xDD, struct.pack(">H", interval)))
    if rng.random() < 0.5:
        units = _interleaved(planes, sampling, across, down)
        parts.append(_scan((1, 2, 3), units, codes, interval))
    else:
        for index, (h, v) in enumerate(sampling):
            columns, rows = _ceil(_ceil(width * h, h_max), 8), _ceil(_ceil(height * v, v_max), 8)
            plane = planes[index][:rows, :columns].reshape(-1, 64).tolist()
            parts.append(_scan((index + 1,), [[(0, block)] for block in plane], codes, interval))
    return b"".join(parts) + b"\xff\xd9"


def _ceil(number: int, divisor: int) -> int:
    return -(-number // divisor)


def _plane(rng: np.random.Generator, columns: int, rows: int) -> np.ndarray:
    """(rows, columns, 64) coefficients in zigzag order."""
    blocks = rng.integers(-60, 61, (rows, columns, 64)) >> rng.integers(0, 6, (rows, columns, 64))
    blocks *= rng.random((rows, columns, 64)) < 1 / (1 + np.arange(64))
    blocks[..., 0] = rng.integers(-80, 81, (rows, columns))
    return blocks


def _interleaved(
    planes: list[np.ndarray], sampling: Sampling, across: int, down: int
) -> list[Unit]:
    """The blocks of each unit with the number of their component."""
    return [
        [
            (index, planes[index][y * v + j, x * h + i].tolist())
            for index, (h, v) in enumerate(sampling)
            for j in range(v)
            for i in range(h)
        ]
        for y in range(down)
        for x in range(across)
    ]


def _scan(
    components: tuple[int, ...], units: list[Unit], codes: tuple[Codes, Codes], interval: int
) -> bytes:
    header = bytes([len(components), *(b for c in components for b in (c, 0)), 0, 63, 0])
    return segment(0xDA, header) + scan_data(units, codes, interval)

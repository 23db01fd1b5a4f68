"""BMP: every variant as Pillow reads it, or refused where Pillow refuses it."""

import struct

import numpy as np
import pytest

from tests.agreement import agree
from tests.odd_files import BMP_HEADERS, bmp, random_runs
from tests.scale import scaled

Rng = np.random.Generator


def random_bmp(rng: Rng) -> bytes:
    """Any header with any depth, also such that Pillow refuses."""
    bits = int(rng.choice([1, 4, 8, 16, 24, 32, 2]))
    header = int(rng.choice(BMP_HEADERS))
    width, height = (int(side) for side in rng.integers(1, 20, 2))
    compression = int(rng.choice([0, 0, 3 if bits > 8 else 0]))
    colours = int(rng.choice([0, 1, 2, 3, 1 << min(bits, 8)])) if bits <= 8 else 0
    step = 3 if header == 12 else 4
    entries = (colours if header > 12 else 0) or 1 << min(bits, 8)
    palette = gray(entries, step) if rng.random() < 0.3 else rng.bytes(entries * step)
    stride = (width * bits + 31) // 32 * 4
    return bmp(
        bits,
        (width, height if header == 12 or rng.random() < 0.7 else -height),
        rng.bytes(stride * height - int(rng.choice([0, 0, 0, 5]))),
        header=header,
        compression=compression,
        palette=palette if bits <= 8 else b"",
        colours=colours,
        masks=MASKS[int(rng.integers(len(MASKS)))] if compression == 3 and header > 40 else (),
    )


def gray(entries: int, step: int) -> bytes:
    """A palette that Pillow takes for none."""
    levels = (0, 255) if entries == 2 else range(entries)
    return b"".join(bytes([level % 256] * 3).ljust(step, b"\0") for level in levels)


MASKS = (
    (0xFF0000, 0xFF00, 0xFF, 0),
    (0xFF000000, 0xFF0000, 0xFF00, 0),
    (0xFF000000, 0xFF00, 0xFF, 0),
    (0xFF000000, 0xFF0000, 0xFF00, 0xFF),
    (0xFF, 0xFF00, 0xFF0000, 0xFF000000),
    (0xFF0000, 0xFF00, 0xFF, 0xFF000000),
    (0xFF000000, 0xFF00, 0xFF, 0xFF0000),
    (0, 0, 0, 0),
    (0xF800, 0x7E0, 0x1F, 0),
    (0x7C00, 0x3E0, 0x1F, 0),
    (0xFF, 0xFF00, 0xFF0000, 0),
)


def test_bmp_of_every_header_and_depth():
    rng = np.random.default_rng(1)
    read = [agree(random_bmp(rng), number) for number in range(scaled(40_000))]
    assert 0.3 < np.mean(read) < 0.95


@pytest.mark.parametrize("header", [40, 52, 56, 64, 108, 124])
@pytest.mark.parametrize("bits", [16, 24, 32])
def test_bmp_bit_masks(header: int, bits: int):
    rng = np.random.default_rng(bits)
    for masks in MASKS:
        width, height = 7, 3
        data = rng.bytes((width * bits + 31) // 32 * 4 * height)
        behind = b"".join(struct.pack("<I", mask) for mask in masks[:3]) if header == 40 else b""
        agree(
            bmp(
                bits,
                (width, height),
                data,
                header=header,
                compression=3,
                masks=masks if header > 40 else (),
                palette=behind,
            )
        )


def test_bmp_five_and_six_bits_scale_down():
    levels = np.arange(65_536, dtype="<u2").tobytes()
    assert agree(bmp(16, (256, 256), levels))
    assert agree(bmp(16, (256, 256), levels, header=56, compression=3, masks=MASKS[8]))


def test_bmp_run_lengths():
    rng = np.random.default_rng(2)
    read = 0
    count = scaled(20_000)
    for number in range(count):
        bits = int(rng.choice([4, 8]))
        width, height = (int(side) for side in rng.integers(1, 24, 2))
        entries = int(rng.choice([2, 3, 1 << bits]))
        data = random_runs(rng, height, width, bits == 4)
        file = bmp(
            bits,
            (width, -height if rng.random() < 0.2 else height),
            data[: int(rng.integers(len(data)))] if rng.random() < 0.1 else data,
            compression=2 if bits == 4 else 1,
            palette=gray(entries, 4) if rng.random() < 0.2 else rng.bytes(entries * 4),
            colours=entries,
        )
        read += agree(file, number)
    assert read > count / 4


def test_bmp_whose_header_points_to_its_palette():
    rng = np.random.default_rng(3)
    for place in (54, 0):
        assert agree(bmp(8, (5, 4), rng.bytes(32), palette=rng.bytes(1024), offset=place))

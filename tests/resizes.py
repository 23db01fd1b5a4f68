"""Random resizes, and a child process that does them on one path of the processor.

    LLAVA_FAST_CPU=scalar python -m tests.resizes 20

prints a digest of the model input of each of the first 20.
"""

import os
import subprocess
import sys
from dataclasses import dataclass

import numpy as np

from llava_fast import ImageConfig, ImageProcessor
from tests.judge import ROOT, VARIABLE, digest

MODES = ("crop", "pad", "stretch")


@dataclass(frozen=True)
class Resize:
    """A picture, and the side of the square that it becomes."""

    rgb: np.ndarray
    size: int
    mode: str


def noise(width: int, height: int, seed: int) -> np.ndarray:
    """Bytes without any structure: every rounding shows."""
    rng = np.random.default_rng(seed)
    top = 2 if seed % 3 == 0 else 256
    return (rng.integers(0, top, (height, width, 3)) * (255 // (top - 1))).astype(np.uint8)


def resize(seed: int) -> Resize:
    """Up or down, from 1..1500 to 1..700 pixels a side; small and extreme ones are frequent."""
    rng = np.random.default_rng(seed)
    while True:
        width, height = (int(v) for v in np.exp(rng.uniform(0, np.log(1501), 2)))
        if rng.random() < 0.5:
            width, height = (int(v) for v in rng.integers(1, 1501, 2))
        if max(width, height) <= 200 * min(width, height):
            break
    size = int(np.exp(rng.uniform(0, np.log(701)))) if rng.random() < 0.6 else 336
    return Resize(noise(width, height, seed), size, MODES[seed // 3 % 3])


def ours(rgb: np.ndarray, size: int, mode: str) -> np.ndarray:
    """(3, size, size) float32, of `ImageProcessor`."""
    processor = ImageProcessor(ImageConfig(size=size, mode=mode, patch_size=1), num_threads=1)
    return processor(rgb, return_tensors="np")["pixel_values"][0]


def start(path: str, count: int) -> subprocess.Popen:
    """A child that prints the digests of the first resizes."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.resizes", str(count)],
        cwd=ROOT,
        env=os.environ | {VARIABLE: path},
        stdout=subprocess.PIPE,
        text=True,
    )


def main(count: int) -> None:
    for seed in range(count):
        case = resize(seed)
        print(digest(ours(case.rgb, case.size, case.mode)), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))

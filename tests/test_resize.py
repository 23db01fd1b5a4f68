"""Resizes of all kinds, equal to Pillow's on every path of the processor."""

import numpy as np

from tests.judge import digest, paths
from tests.pillow_oracle import values
from tests.resizes import resize, start
from tests.scale import scaled


def test_random_resizes_on_every_path():
    count = scaled(2000)
    children = {path: start(path, count) for path in paths()}
    for seed in range(count):
        case = resize(seed)
        expected = digest(np.ascontiguousarray(values(case.rgb, case.size, case.mode)))
        for path, child in children.items():
            found = child.stdout.readline().strip()
            assert found == expected, (path, seed, case.rgb.shape, case.size, case.mode)
    for path, child in children.items():
        assert child.wait() == 0, path

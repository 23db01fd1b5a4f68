"""Size of the test campaigns: LLAVA_FAST_TEST_SCALE, 0.01 in `make test`, 1 in `make test-long`."""

import os


def scaled(full: int, least: int = 1) -> int:
    """`full` cases at scale 1, at least `least`."""
    return max(least, round(full * float(os.environ.get("LLAVA_FAST_TEST_SCALE", "0.01"))))

"""The folder of a pixel cache, as the core takes it. No torch, no numpy."""

import os
from os import PathLike

from llava_fast.checks import integer

GIBIBYTE = 2**30
_LEAST, _MOST = 2**20, 2**63 - 1


def located(folder: str | PathLike[str] | None, size: int) -> tuple[str, int] | None:
    """Absolute path and bytes, so that a worker process finds the same folder; None without one.

    Raises ValueError for a size out of range.
    """
    size = integer("cache_bytes", size, _LEAST, _MOST)
    return None if folder is None else (os.path.abspath(folder), size)

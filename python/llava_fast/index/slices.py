"""How much of a long run is done between two looks at the keyboard."""

from collections.abc import Iterator
from time import perf_counter

# Ctrl-C is seen between slices: none takes much longer than this many seconds.
PAUSE = 0.1
LARGEST_SLICE = 4096


def slices(total: int) -> Iterator[tuple[int, int]]:
    """(start, stop) one after the other up to `total`, each as long as the ones before let expect
    to take `PAUSE` seconds of the caller."""
    start, size = 0, 16
    while start < total:
        stop = min(start + size, total)
        began = perf_counter()
        yield start, stop
        seconds = perf_counter() - began
        growth = min(2.0, PAUSE / max(seconds, 1e-9))
        start, size = stop, max(1, min(LARGEST_SLICE, int(size * growth)))

"""Cases for the processes of `benches.apart`, built by name; see test_benches.py."""

import os
import resource

import numpy as np

from benches.apart import Case, needs
from benches.gates import EXACT, Verdict, against_reference

CALLS: list[int] = []


def _nothing() -> None:
    pass


def counting() -> Case:
    """Notes how often it was built in this process, and the process."""
    CALLS.append(1)
    note = f"{len(CALLS)} {os.getpid()}"
    return Case(_nothing, _nothing, lambda: Verdict(exact=True, note=note), 1)


def absent() -> Case:
    """Needs a library that nobody has."""
    needs("surely_absent")
    raise AssertionError


def unequal() -> Case:
    """Ours differs from the reference."""
    zero, one = np.zeros(1, np.uint8), np.ones(1, np.uint8)
    return Case(_nothing, _nothing, lambda: against_reference(one, zero, zero, EXACT), 1)


def crashing() -> Case:
    """Takes its process with it."""
    os.abort()


def large_blocks() -> Case:
    """Notes the page faults of blocks that are written and freed, after a few to warm up."""
    for _ in range(3):
        _block()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        _block()
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    return Case(_nothing, _nothing, lambda: Verdict(exact=True), 1, note=str(faults))


def _block() -> bytearray:
    """Larger than the 32 MiB from which glibc always asks the kernel."""
    return bytearray(b"x") * (40 << 20)

"""Ours on another processor path: a path is chosen once per process, so in a process of its own."""

import contextlib
import hashlib
import multiprocessing
import os
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection

import numpy as np

from benches.gates import GateError, Verdict


def best_path() -> str:
    """The best path of this processor."""
    from llava_fast import _rust

    return [name for name, runs in _rust.cpu_paths() if runs][-1]


class Elsewhere:
    """One end of a pipe to a process that does the same work."""

    def __init__(self, end: Connection) -> None:
        self._end = end

    def run(self) -> None:
        """Have the work done once, and wait for it."""
        self._ask("run")

    def check(self, results: Sequence[np.ndarray]) -> Verdict:
        """The results there must be these."""
        if self._ask("digest") != _digest(results):
            raise GateError("pixels: the two processor paths differ")
        return Verdict(exact=True, error=(0.0, 0.0))

    def _ask(self, what: str) -> str:
        self._end.send(what)
        return self._end.recv()


def elsewhere(work: Callable[[], Sequence[np.ndarray]], cpu: str) -> Elsewhere:
    """`work` in a fork that takes the path `cpu`; nothing here may have chosen a path before."""
    ours, theirs = multiprocessing.Pipe()
    fork = multiprocessing.get_context("fork")
    fork.Process(target=_work, args=(work, cpu, ours, theirs), daemon=True).start()
    theirs.close()
    return Elsewhere(ours)


def _work(
    work: Callable[[], Sequence[np.ndarray]], cpu: str, inherited: Connection, end: Connection
) -> None:
    os.environ["LLAVA_FAST_CPU"] = cpu
    # The asking side is the only one left to hold it open, so its end is seen here.
    inherited.close()
    with contextlib.suppress(EOFError):
        while True:
            what = end.recv()
            end.send(_digest(work()) if what == "digest" else _done(work()))


def _done(_: Sequence[np.ndarray]) -> str:
    """Frees the results before the answer, as the side that asks does."""
    return ""


def _digest(results: Sequence[np.ndarray]) -> str:
    digest = hashlib.sha256()
    for result in results:
        digest.update(np.ascontiguousarray(result))
    return digest.hexdigest()

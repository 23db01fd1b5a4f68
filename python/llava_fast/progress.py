"""How far a long run is, for people who wait for it."""

import os
import sys
import time
from collections.abc import Callable
from typing import Self, TextIO

# Seconds between two notes: on a terminal one line is written anew, elsewhere each is a line.
ON_TERMINAL, ELSEWHERE = 0.2, 10.0
# Seconds after which somebody who did not ask for notes wants to know.
PATIENCE = 2.0


class Progress:
    """Says how many of `total` records are done, how fast and for how long still.

    On a terminal the line is gone when the block ends; elsewhere a run that is over before the
    first note is due says nothing. `stream` None: nothing is said. patience: seconds before the
    first note; by default as long as between two. doing: what the run does, written in front.
    """

    def __init__(
        self,
        total: int,
        stream: TextIO | None,
        clock: Callable[[], float] = time.monotonic,
        *,
        patience: float | None = None,
        doing: str = "",
    ) -> None:
        self._total, self._stream, self._clock, self._doing = total, stream, clock, doing
        self._terminal = stream is not None and stream.isatty()
        self._every = ON_TERMINAL if self._terminal else ELSEWHERE
        self._began = clock()
        self._due = self._began + (self._every if patience is None else patience)
        self._width = 0

    def __enter__(self) -> Self:
        return self

    def at(self, done: int, before: int = 0) -> None:
        """`done` records are over with; `before` of them were when the run began."""
        now = self._clock()
        if self._stream is None or now < self._due:
            return
        self._due = now + self._every
        line = self._doing + said(done, self._total, now - self._began, before)
        if self._terminal:
            self._stream.write("\r" + line.ljust(self._width))
            self._width = len(line)
        else:
            self._stream.write(line + "\n")
        self._stream.flush()

    def __exit__(self, *_: object) -> None:
        if self._width and self._stream is not None:
            self._stream.write("\r" + " " * self._width + "\r")
            self._stream.flush()


def said(done: int, total: int, seconds: float, before: int = 0) -> str:
    """One note; `before` records were done when the `seconds` began."""
    rate = (done - before) / max(seconds, 1e-9)
    left = (total - done) / max(rate, 1e-9)
    return f"{done:,} of {total:,} records, {rate:,.0f} records/s, {_duration(left)} left"


def asked_for(progress: bool | None) -> TextIO | None:
    """Where notes go: stderr, or nowhere. None: the first of several ranks speaks for all."""
    if progress is None:
        ranks = (os.environ.get(name, "0") for name in ("RANK", "SLURM_PROCID"))
        progress = all(rank in ("", "0") for rank in ranks)
    return sys.stderr if progress else None


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"

"""How far a long run is, for people who wait for it."""

import time
from collections.abc import Callable
from typing import Self, TextIO

# Seconds between two notes: on a terminal one line is written anew, elsewhere each is a line.
ON_TERMINAL, ELSEWHERE = 0.2, 10.0


class Progress:
    """Says how many of `total` records are done, how fast and for how long still.

    On a terminal the line is gone when the block ends; elsewhere a run that is over before the
    first note is due says nothing.
    """

    def __init__(
        self, total: int, stream: TextIO, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._total, self._stream, self._clock = total, stream, clock
        self._terminal = stream.isatty()
        self._every = ON_TERMINAL if self._terminal else ELSEWHERE
        self._began = self._last = clock()
        self._width = 0

    def __enter__(self) -> Self:
        return self

    def at(self, done: int) -> None:
        """`done` records are over with."""
        now = self._clock()
        if now - self._last < self._every:
            return
        self._last = now
        line = said(done, self._total, now - self._began)
        if self._terminal:
            self._stream.write("\r" + line.ljust(self._width))
            self._width = len(line)
        else:
            self._stream.write(line + "\n")
        self._stream.flush()

    def __exit__(self, *_: object) -> None:
        if self._width:
            self._stream.write("\r" + " " * self._width + "\r")
            self._stream.flush()


def said(done: int, total: int, seconds: float) -> str:
    """One note."""
    rate = done / max(seconds, 1e-9)
    left = (total - done) / max(rate, 1e-9)
    return f"{done:,} of {total:,} records, {rate:,.0f} records/s, {_duration(left)} left"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"

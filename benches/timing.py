"""Times two callables against each other in one run.

The samples alternate, ours, peer, ours, peer, ..., so that whatever else the machine does falls on
both. Each sample repeats its call until it lasts long enough for the clock; the cyclic garbage
collector is off inside a sample and runs between samples.

What the numbers mean. `ratio` is the median over the pairs of peer time / our time: 2.0 = ours
takes half the time; the quartiles beside it are of the same pairs. Wall time is what a user waits
for. CPU time counts all threads of this process and of its worker processes; on a busy machine the
CPU ratio is the steadier one. A ratio whose quartiles lie further apart than a quarter of it is not
`steady` and proves nothing: run it again on a quieter machine.
"""

import gc
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STEADY = 0.25


def cpu_seconds() -> float:
    """CPU time of this process and, on Linux, of its worker processes alive now (10 ms steps)."""
    return time.process_time() + sum(
        _process_seconds(child.pid) for child in multiprocessing.active_children()
    )


def _process_seconds(pid: int | None) -> float:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0.0
    # Fields 14 and 15, counted after the command name, which may hold spaces.
    user, system = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Clock:
    """Two clocks in seconds; tests replace them."""

    wall: Callable[[], float] = time.perf_counter
    cpu: Callable[[], float] = cpu_seconds


@dataclass(frozen=True)
class Sample:
    """Seconds per call, averaged over the repetitions of one sample."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Ratio:
    """Median and quartiles of peer time / our time over the pairs."""

    median: float
    low: float
    high: float

    @property
    def steady(self) -> bool:
        """Whether the middle half of the pairs agrees well enough to quote the median."""
        return self.high - self.low <= STEADY * self.median


@dataclass(frozen=True)
class Comparison:
    """`pairs` samples of each side; `ours` and `peer` are medians, in seconds per call."""

    ours: Sample
    peer: Sample
    wall: Ratio
    cpu: Ratio
    pairs: int


def from_dict(fields: dict[str, Any]) -> Comparison:
    """What `dataclasses.asdict` made of one."""
    return Comparison(
        ours=Sample(**fields["ours"]),
        peer=Sample(**fields["peer"]),
        wall=Ratio(**fields["wall"]),
        cpu=Ratio(**fields["cpu"]),
        pairs=fields["pairs"],
    )


def compare(
    ours: Callable[[], object],
    peer: Callable[[], object],
    *,
    pairs: int = 7,
    min_seconds: float = 0.1,
    warm_up: int = 1,
    clock: Clock | None = None,
) -> Comparison:
    """Time `ours` and `peer` alternately; a sample lasts at least about `min_seconds`."""
    clock = clock or Clock()
    for _ in range(warm_up):
        ours()
        peer()
    repeats = [_calibrate(call, min_seconds, clock) for call in (ours, peer)]
    samples = [
        (_sample(ours, repeats[0], clock), _sample(peer, repeats[1], clock)) for _ in range(pairs)
    ]
    return _summary(samples)


def _calibrate(call: Callable[[], object], min_seconds: float, clock: Clock) -> int:
    """Calls per sample, from one call that is warm already."""
    seconds = _sample(call, 1, clock).wall
    return 1 if seconds >= min_seconds else round(min_seconds / max(seconds, 1e-7)) + 1


def _sample(call: Callable[[], object], repeats: int, clock: Clock) -> Sample:
    gc.collect()
    enabled = gc.isenabled()
    gc.disable()
    try:
        wall, cpu = clock.wall(), clock.cpu()
        for _ in range(repeats):
            call()
        wall, cpu = clock.wall() - wall, clock.cpu() - cpu
    finally:
        if enabled:
            gc.enable()
    return Sample(wall / repeats, cpu / repeats)


def _summary(samples: list[tuple[Sample, Sample]]) -> Comparison:
    def middle(side: int) -> Sample:
        return Sample(
            statistics.median(pair[side].wall for pair in samples),
            statistics.median(pair[side].cpu for pair in samples),
        )

    return Comparison(
        ours=middle(0),
        peer=middle(1),
        wall=_ratio([(ours.wall, peer.wall) for ours, peer in samples]),
        cpu=_ratio([(ours.cpu, peer.cpu) for ours, peer in samples]),
        pairs=len(samples),
    )


def _ratio(pairs: list[tuple[float, float]]) -> Ratio:
    ratios = [peer / max(ours, 1e-12) for ours, peer in pairs]
    if len(ratios) == 1:
        return Ratio(ratios[0], ratios[0], ratios[0])
    low, _, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return Ratio(statistics.median(ratios), low, high)

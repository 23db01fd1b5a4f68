"""Figures over all records: lengths, share of supervised tokens, faults."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from llava_fast.inspect.source import Source

BINS = 10
_BAR = 40


@dataclass(frozen=True)
class Stats:
    """lengths, learned: (usable,) int64, tokens and supervised tokens of each usable record.

    faults: bad records by reason code. images: pictures of the usable records.
    """

    records: int
    lengths: np.ndarray
    learned: np.ndarray
    images: int
    faults: Counter[str]

    @property
    def shares(self) -> np.ndarray:
        """(10,) how many records have up to 10 %, 20 %, ... of their tokens supervised."""
        return np.histogram(self.learned / self.lengths, BINS, (0, 1))[0]

    @property
    def spread(self) -> dict[str, int]:
        """Tokens of the shortest, the median, the longest record and some between."""
        marks = {"least": 0, "half": 50, "90 %": 90, "99 %": 99, "most": 100}
        if not self.lengths.size:
            return {}
        values = np.percentile(self.lengths, list(marks.values()), method="nearest")
        return dict(zip(marks, values.tolist(), strict=True))

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "records": self.records,
            "usable": len(self.lengths),
            "tokens": int(self.lengths.sum()),
            "supervised": int(self.learned.sum()),
            "images": self.images,
            "lengths": self.spread,
            "supervised_share": self.shares.tolist(),
            "faults": dict(self.faults.most_common()),
        }


def measured(source: Source) -> Stats:
    """Encodes every record; no picture is decoded."""
    lengths, learned, images, faults = [], [], 0, Counter[str]()
    for number in range(len(source)):
        sizes = source.sizes(number)
        if isinstance(sizes, str):
            faults[sizes] += 1
        else:
            lengths.append(sizes[0])
            learned.append(sizes[1])
            images += sizes[2]
    counts = np.array([lengths, learned], np.int64)
    return Stats(len(source), counts[0], counts[1], images, faults)


def lines(stats: Stats, bars: bool = True) -> list[str]:
    """The figures in words; bars: with a histogram of the shares."""
    usable, tokens, learned = len(stats.lengths), stats.lengths.sum(), stats.learned.sum()
    shown = [
        f"{stats.records} records, {usable} usable, {stats.images} pictures",
        *(f"  {count:>8}  {code}" for code, count in stats.faults.most_common()),
    ]
    if usable:
        spread = ", ".join(f"{name} {value}" for name, value in stats.spread.items())
        shown += [
            f"{tokens} tokens, {learned} learned ({100 * learned / tokens:.1f} %)",
            f"tokens of a record: {spread}",
            "records by share of learned tokens:",
            *(_histogram(stats.shares) if bars else ()),
        ]
    return shown


def _histogram(counts: np.ndarray) -> list[str]:
    most = max(counts.max(), 1)
    step = 100 // len(counts)
    lines = []
    for place, count in enumerate(counts.tolist()):
        bar = "#" * -(-_BAR * count // most)
        lines.append(f"  {step * place:>3}..{step * (place + 1):>3} %  {count:>8}  {bar}")
    return lines

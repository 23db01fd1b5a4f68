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
    """lengths, text, learned: (usable,) int64 by usable record: tokens, those that are no
    picture's, supervised ones.

    faults: bad records by reason code. pictures: of the usable records.
    """

    records: int
    lengths: np.ndarray
    text: np.ndarray
    learned: np.ndarray
    pictures: int
    faults: Counter[str]

    @property
    def shares(self) -> np.ndarray:
        """(10,) how many records have up to 10 %, 20 %, ... of their text supervised."""
        bins = np.minimum(self.learned * BINS // self.text, BINS - 1)
        return np.bincount(bins, minlength=BINS)

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
            "text_tokens": int(self.text.sum()),
            "supervised": int(self.learned.sum()),
            "pictures": self.pictures,
            "lengths": self.spread,
            "supervised_share": self.shares.tolist(),
            "faults": dict(self.faults.most_common()),
        }


def measured(source: Source) -> Stats:
    """Encodes every record; no picture is decoded."""
    good, faults = [], Counter[str]()
    for number in range(len(source)):
        sizes = source.sizes(number)
        if isinstance(sizes, str):
            faults[sizes] += 1
        else:
            good.append(sizes)
    columns = np.array(good, np.int64).reshape(-1, 4).T
    return Stats(len(source), *columns[:3], int(columns[3].sum()), faults)


def lines(stats: Stats, bars: bool = True) -> list[str]:
    """The figures in words; bars: with a histogram of the shares."""
    usable, tokens, learned = len(stats.lengths), stats.lengths.sum(), stats.learned.sum()
    shown = [
        f"{stats.records} records, {usable} usable, {stats.pictures} pictures",
        *(f"  {count:>8}  {code}" for code, count in stats.faults.most_common()),
    ]
    if usable:
        spread = ", ".join(f"{name} {value}" for name, value in stats.spread.items())
        text = stats.text.sum()
        shown += [
            f"{tokens} tokens, {text} of them text, {learned} learned "
            f"({100 * learned / text:.1f} % of the text)",
            f"tokens of a record: {spread}",
            "records by learned share of their text:",
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

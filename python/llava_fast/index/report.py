"""What was found in a data set, as text and as JSON."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from llava_fast.printable import columns, escaped, one_line

CLEAN, BAD, NOTHING = 0, 1, 2
# Reasons why a record would train on nothing: nothing to answer, no answer, or no room for one.
NOTHING_CODES = ("empty_answer", "empty_conversation", "nothing_supervised", "too_long")
# Pictures that could not be read at all; all other faults are in their bytes.
ABSENT_CODES = ("missing_image", "unreadable_image")
BAR, CODE = 40, 22
MOST_SOURCES = 20


@dataclass(frozen=True)
class Findings:
    """Settings, and what is known of all records.

    found: the settings, `records`, `usable`, `faults` and `repairs` among others.
    """

    found: Mapping[str, Any]

    @property
    def nothing(self) -> int:
        """Records that would train on nothing."""
        faults = self.found["faults"]
        return sum(faults[code]["records"] for code in NOTHING_CODES if code in faults)

    @property
    def status(self) -> int:
        """Exit status: 0 all records are usable, 1 some are not, 2 some would train on nothing."""
        if self.nothing:
            return NOTHING
        return BAD if self.found["faults"] else CLEAN

    def as_json(self) -> str:
        """One JSON object: `found`, `train_on_nothing` and `status`."""
        return json.dumps({**self.found, "train_on_nothing": self.nothing, "status": self.status})

    def _head(self) -> Iterator[str]:
        found = self.found
        bad = found["records"] - found["usable"]
        yield (
            f"{escaped(found['data'])}: {_count(found['records'], 'record')}, "
            f"{found['usable']:,} usable, {bad:,} bad"
        )
        yield escaped(
            f"template {found['template']}, max_length {found['max_length']}, "
            f"pictures: {found['image_mode']}, {found['image_size']} pixels"
        )

    def _faults(self) -> Iterator[str]:
        faults = sorted(self.found["faults"].items(), key=lambda item: -item[1]["records"])
        if faults:
            yield from ("", "bad records by reason, and the first of each")
        for code, reason in faults:
            example = one_line(reason["example"]["message"])
            yield f"  {code:<{CODE}} {reason['records']:>9,}  {example}"

    def _repairs(self) -> Iterator[str]:
        repairs = sorted(self.found["repairs"].items(), key=lambda item: -item[1])
        if repairs:
            yield from ("", "usable records in which something was put right")
        for code, records in repairs:
            yield f"  {code:<{CODE}} {records:>9,}"


@dataclass(frozen=True)
class Report(Findings):
    """Settings and counts of a check.

    found: the settings, and the fields of `Tally` in rust/core/src/check/tally.rs.
    """

    def lines(self) -> Iterator[str]:
        """For people."""
        yield from self._head()
        yield from self._faults()
        yield from self._repairs()
        yield from self._training()
        yield from self._pictures()
        yield from self._ids()
        yield from self._sources()

    def _training(self) -> Iterator[str]:
        found = self.found
        yield ""
        yield f"would train on nothing: {_count(self.nothing, 'record')}"
        yield (
            f"cut at max_length: {_count(found['cut_samples'], 'sample')}, "
            f"{_count(found['cut_rounds'], 'round')} left out"
        )
        yield (
            f"tokens: {found['tokens']:,}, {found['text_tokens']:,} of them text, "
            f"{found['supervised_tokens']:,} supervised"
            f" ({_share(found['supervised_tokens'], found['text_tokens'])} of the text)"
        )
        if not found["usable"]:
            return
        yield from ("", "samples by supervised share of their text")
        shares = found["supervised_share"]
        step = 100 // len(shares)
        names = [f"{i * step} to {(i + 1) * step} %" for i in range(len(shares))]
        yield from _bars(zip(names, shares, strict=True))
        mean = found["tokens"] / found["usable"]
        yield from ("", f"samples by tokens; mean {mean:,.1f}, longest {found['longest']:,}")
        bins = found["lengths"]
        yield from _bars((f"{b['from']:,} to {b['to']:,}", b["samples"]) for b in bins)

    def _pictures(self) -> Iterator[str]:
        found = self.found["pictures"]
        yield ""
        named = f"pictures: {found['referenced']:,} named"
        if not found["looked_at"]:
            yield f"{named}, not looked at without a place for them"
            return
        absent = sum(found["faults"].get(code, 0) for code in ABSENT_CODES)
        damaged = sum(found["faults"].values()) - absent
        decoded = found["look"] == "pixels"
        how = "decoded" if decoded else "headers read; --decode looks at every pixel"
        yield (
            f"{named}, {found['looked_at']:,} looked for, {found['different']:,} different, "
            f"{absent:,} missing or not readable, {damaged:,} damaged ({how})"
        )

    def _ids(self) -> Iterator[str]:
        ids = self.found["ids"]
        yield (
            f"ids: {_count(ids['repeated'], 'id')} more than once, "
            f"{_count(ids['records'], 'record')} with the id of an earlier one"
        )
        for twice in ids["examples"]:
            places = " and ".join(self._place(twice[key]) for key in ("first", "again"))
            yield f"  `{escaped(twice['id'])}` in {places}"

    def _place(self, origin: dict[str, Any]) -> str:
        several = len(self.found["files"]) > 1
        file = f" of `{escaped(origin['file'])}`" if several else ""
        return f"record {origin['record']:,}{file}"

    def _sources(self) -> Iterator[str]:
        if len(self.found["files"]) > 1:
            yield from _sources("file", self.found["files"])
        if self.found["sources"]:
            yield from _sources("source", self.found["sources"])


@dataclass(frozen=True)
class Built(Findings):
    """Settings and counts of an index that is kept.

    found: the settings, and what `build` in build.py puts together.
    """

    def lines(self) -> Iterator[str]:
        """For people."""
        found = self.found
        yield from self._head()
        yield from self._faults()
        yield from self._repairs()
        mean = found["tokens"] / max(found["usable"], 1)
        yield ""
        yield (
            f"tokens: {found['tokens']:,}, {mean:,.1f} in the mean, {found['longest']:,} in the "
            f"longest; pictures: {found['images']:,}"
        )
        yield (
            f"opened in {found['opened_in']:.2f} s, counted in {found['counted_in']:.2f} s; "
            f"{_count(found['kept_before'], 'record')} had been counted before"
        )
        for file in found["files"]:
            yield self._kept(**file)

    def _kept(self, data: str, counts: str | None, cause: str | None) -> str:
        if counts is None:
            return f"the counts of `{escaped(data)}` are not kept: {escaped(cause or '')}"
        return f"the counts of `{escaped(data)}` are kept in `{escaped(counts)}`"


def _sources(title: str, sources: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    """A table, the largest first."""
    largest = sorted(sources.items(), key=lambda item: -item[1]["records"])
    keys = ("records", "usable", "tokens", "supervised")
    rows = [(escaped(name), *(f"{row[key]:,}" for key in keys)) for name, row in largest]
    yield ""
    yield from _table([(title, *keys), *rows[:MOST_SOURCES]])
    if len(rows) > MOST_SOURCES:
        yield f"and {len(rows) - MOST_SOURCES:,} more, see --json"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _share(part: int, whole: int) -> str:
    return f"{100 * part / max(whole, 1):.1f} %"


def _bars(rows: Iterable[tuple[str, int]]) -> Iterator[str]:
    """A line of a bar and a number for each name; a number that is not 0 shows."""
    rows = list(rows)
    most = max(number for _, number in rows)
    width = max(len(name) for name, _ in rows)
    for name, number in rows:
        bar = "█" * (max(1, round(BAR * number / most)) if number else 0)
        yield f"  {name:>{width}}  {bar}{' ' if bar else ''}{number:,}"


def _table(rows: list[tuple[str, ...]]) -> Iterator[str]:
    """Columns under each other, the first from the left and the others from the right."""
    widths = [max(map(columns, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        padding = " " * (widths[0] - columns(first))
        cells = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        yield "  ".join([first + padding, *cells])

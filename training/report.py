"""What a run tells: one JSON line per optimizer step, a console line now and then, tables."""

from __future__ import annotations

import json
import math
import os
import resource
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class StepRecord:
    """One line of metrics.jsonl.

    step: 1 for the first. loss: mean over the supervised tokens (None: nothing was supervised, or
    not finite). tokens, images, samples: what the step has seen. slots: the tokens that its packs
    could have held. seconds: since the end of the step before; wait_seconds: of these, spent
    waiting for data. memory_bytes: the most this process has held. skipped: why the weights did
    not move ("" = they did).
    """

    step: int
    loss: float | None
    lr: float
    grad_norm: float | None
    tokens: int
    supervised: int
    images: int
    samples: int
    slots: int
    seconds: float
    wait_seconds: float
    memory_bytes: int
    skipped: str = ""


def peak_memory() -> int:
    """Most resident memory of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def finite(value: float) -> float | None:
    """JSON has no NaN."""
    return value if math.isfinite(value) else None


class LinesFile:
    """A file of JSON lines that outlives a full disk."""

    def __init__(self, path: Path, size: int) -> None:
        """Keeps the first `size` bytes of the file."""
        self._name = path.name
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        self.size = min(size, os.fstat(self._handle).st_size)
        self._waiting = b""
        os.ftruncate(self._handle, self.size)

    def add(self, value: dict[str, Any]) -> None:
        """Adds a line. While the disk is full, lines wait in memory."""
        self._waiting += json.dumps(value).encode() + b"\n"
        try:
            written = os.pwrite(self._handle, self._waiting, self.size)
        except OSError:
            return
        self.size += written
        self._waiting = self._waiting[written:]

    def sync(self) -> int:
        """Forces the lines to the disk; returns the size of the file.

        Raises:
            OSError: lines still wait, the disk is full.
        """
        if self._waiting:
            raise OSError(f"{self._name}: no space left for the last lines")
        os.fsync(self._handle)
        return self.size

    def close(self) -> None:
        """Closes the file."""
        os.close(self._handle)


class MetricsFile(LinesFile):
    """metrics.jsonl, cut back to the checkpoint that the run goes on from."""

    def write(self, record: StepRecord) -> None:
        """Adds the line of a step, as `add` does."""
        self.add(asdict(record))


class Console:
    """Prints a line every `every` steps, and a progress bar between them on a terminal."""

    def __init__(self, steps: int, every: int) -> None:
        self.steps, self.every = steps, every
        self._window: list[StepRecord] = []
        self._bar = sys.stdout.isatty()

    def say(self, text: str) -> None:
        """One line of text, in place of the bar."""
        print(f"\r\x1b[K{text}" if self._bar else text, flush=True)

    def step(self, record: StepRecord) -> None:
        """Takes note of a finished step."""
        self._window.append(record)
        if record.step % self.every == 0 or record.step == self.steps:
            self.say(console_line(self._window, self.steps))
            self._window.clear()
        if self._bar:
            print(f"\r\x1b[K{_bar(record.step, self.steps)}", end="", flush=True)


def console_line(window: list[StepRecord], steps: int) -> str:
    """The figures over the last steps, computed from their metrics lines alone."""
    last, seconds = window[-1], max(1e-9, sum(r.seconds for r in window))
    tokens, slots = sum(r.tokens for r in window), sum(r.slots for r in window)
    losses = [r.loss for r in window if r.loss is not None]
    eta = (steps - last.step) * seconds / len(window)
    parts = [
        f"step {last.step:>{len(str(steps))}}/{steps}",
        f"loss {sum(losses) / len(losses):.4f}" if losses else "loss -",
        f"lr {last.lr:.2e}",
        f"{tokens / seconds:,.0f} tokens/s",
        f"{sum(r.images for r in window) / seconds:,.1f} images/s",
        f"padding {100 * (1 - tokens / max(1, slots)):.1f} %",
        f"data wait {100 * sum(r.wait_seconds for r in window) / seconds:.1f} %",
        f"memory {last.memory_bytes / 2**30:.2f} GiB",
        f"eta {clock(eta)}",
    ]
    if skipped := sum(bool(r.skipped) for r in window):
        parts.append(f"skipped {skipped}")
    return "  ".join(parts)


def totals(records: list[StepRecord], last: int) -> dict[str, Any]:
    """Sums and rates over a run; `loss` is the mean over its `last` steps, None without any."""
    losses = [r.loss for r in records[-last:] if r.loss is not None]
    seconds = sum(r.seconds for r in records)
    tokens, images = sum(r.tokens for r in records), sum(r.images for r in records)
    return {
        "steps": len(records),
        "loss": sum(losses) / len(losses) if losses else None,
        "samples": sum(r.samples for r in records),
        "images": images,
        "tokens": tokens,
        "train_seconds": seconds,
        "tokens_per_s": tokens / max(1e-9, seconds),
        "images_per_s": images / max(1e-9, seconds),
        "padding": 1 - tokens / max(1, sum(r.slots for r in records)),
        "memory_bytes": max(r.memory_bytes for r in records),
    }


def clock(seconds: float) -> str:
    """65 -> "1:05", 3700 -> "1:01:40"."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def _bar(step: int, steps: int, width: int = 40) -> str:
    full = width * step // steps
    return f"[{'#' * full}{'.' * (width - full)}] {step}/{steps}"


def accuracy_table(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Exact answers by category; one column per evaluation, the number of records beside it."""
    names = list(results)
    kinds = sorted({kind for result in results.values() for kind in result["by_category"]})
    head = ["exact answers", *(name.replace("_", " ") for name in names)]
    rows = [[kind, *(_cell(results[n]["by_category"].get(kind)) for n in names)] for kind in kinds]
    rows.append(["all", *(_cell(results[name]) for name in names)])
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = [_row(head, widths), *(_row(row, widths) for row in rows)]
    lines.insert(len(lines) - 1, "-" * len(lines[0]))
    lines.insert(1, "-" * len(lines[0]))
    return "\n".join(lines)


def _cell(score: Mapping[str, Any] | None) -> str:
    return f"{score['exact']:.3f} of {score['records']:>4}" if score else "-"


def _row(cells: list[str], widths: list[int]) -> str:
    first, *others = (f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True))
    return "  ".join([first, *others]).rstrip()

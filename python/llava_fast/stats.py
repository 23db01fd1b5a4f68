"""What loading has taken so far."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from llava_fast.bad import BadSample


class Spent(NamedTuple):
    """What one batch took, threads together: pictures and bytes that were read; seconds of reading
    and of work (encoding, decoding, resizing)."""

    pictures: int = 0
    bytes: int = 0
    read_seconds: float = 0.0
    work_seconds: float = 0.0


class Note(NamedTuple):
    """A batch on its way out: its step, samples, their tokens, the tokens it has room for, the codes
    of samples that turned out bad, what it took, hits and misses of the pixel cache."""

    step: int
    samples: int
    tokens: int
    room: int
    bad: list[str]
    spent: Spent
    cache: tuple[int, int]


class BatchOfWorker(dict[str, Any]):
    """A batch that carries to the main process what a worker process has met: the records, which of
    them were bad, what they took."""

    def __init__(
        self,
        batch: dict[str, Any],
        records: Sequence[int],
        bad: Sequence[BadSample],
        note: Note,
    ) -> None:
        super().__init__(batch)
        self.records = records
        self.bad = bad
        self.note = note

    def __reduce__(self) -> tuple[Any, ...]:
        return BatchOfWorker, (dict(self), self.records, self.bad, self.note)


class Stats:
    """Sums over the batches that were handed out."""

    def __init__(self) -> None:
        self.batches = 0
        self.samples = 0
        self.tokens = 0
        self.room = 0
        self.wait_seconds = 0.0
        self.spent = Spent()
        self.bad: Counter[str] = Counter()

    def waited(self, seconds: float) -> None:
        """The training loop waited so long for a batch."""
        self.wait_seconds += seconds

    def add(self, samples: int, tokens: int, room: int, spent: Spent, bad: Iterable[str]) -> None:
        """One batch was handed out: its samples, their tokens, the tokens of its shape, what making
        it took, and the reason codes of its bad samples."""
        self.batches += 1
        self.samples += samples
        self.tokens += tokens
        self.room += room
        self.spent = Spent(*(a + b for a, b in zip(self.spent, spent, strict=True)))
        self.bad.update(bad)

    def report(self) -> dict[str, Any]:
        """JSON-serialisable."""
        return {
            "batches": self.batches,
            "samples": self.samples,
            "tokens": self.tokens,
            "padding": 1 - self.tokens / self.room if self.room else 0.0,
            "wait_seconds": self.wait_seconds,
            **self.spent._asdict(),
            "bad": dict(self.bad),
        }

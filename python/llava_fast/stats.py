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
    """A batch on its way out: its step, samples, their tokens, the tokens it has room for, the
    codes of samples that turned out bad, what it took, hits and misses of the pixel cache."""

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
    """Sums over the batches that a loader has handed out."""

    def __init__(self) -> None:
        self._batches = self._samples = self._tokens = self._room = 0
        self._wait = 0.0
        self._spent = Spent()
        self._cache = (0, 0)
        self._bad: Counter[str] = Counter()

    def add(self, waited: float, note: Note) -> None:
        """One batch was handed out; the training loop waited so many seconds for it."""
        self._batches += 1
        self._samples += note.samples
        self._tokens += note.tokens
        self._room += note.room
        self._wait += waited
        self._spent = Spent(*(a + b for a, b in zip(self._spent, note.spent, strict=True)))
        self._cache = (self._cache[0] + note.cache[0], self._cache[1] + note.cache[1])
        self._bad.update(note.bad)

    def report(self) -> dict[str, Any]:
        """JSON-serialisable, see `DataLoader.stats`."""
        hits, misses = self._cache
        return {
            "batches": self._batches,
            "samples": self._samples,
            "tokens": self._tokens,
            "padding": 1 - self._tokens / self._room if self._room else 0.0,
            "wait_seconds": self._wait,
            **self._spent._asdict(),
            "cache_hits": hits,
            "cache_misses": misses,
            "bad": dict(self._bad),
        }

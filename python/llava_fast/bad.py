"""Samples that cannot be used: which, how many are too many, and the file that lists them."""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any, NamedTuple

from llava_fast.checks import LARGEST_COUNT, integer
from llava_fast.errors import DataError

# A share of a small data set would be less than one sample: so many are always let through.
LEAST_BUDGET = 100
# So many in a row are no bad luck: a disk is gone, or the folder of the pictures is the wrong one.
MOST_IN_A_ROW = 100
EXAMPLES = 3
LOCK_SECONDS = 1.0
BEGINNING = b'{"record": '
KEYS = {"file", "number", "id", "code", "message"}

Budget = int | float
# What `LlavaDataset.describe` gives of a record.
Describe = Callable[[int], dict[str, Any]]


class BadSample(NamedTuple):
    """A record that cannot be used: its number, a short reason code, the whole message."""

    record: int
    code: str
    message: str


def checked_budget(max_bad: Budget) -> Budget:
    """`max_bad` of `LlavaDataset` if it is one."""
    if isinstance(max_bad, float):
        if not 0 <= max_bad <= 1:
            raise ValueError(f"max_bad: got {max_bad}, expected a share of 0..1 or a whole number")
        return max_bad
    return integer("max_bad", max_bad, 0, LARGEST_COUNT)


class BadSamples:
    """The samples found to be bad so far, each once, held against a budget.

    It holds no open file, so that it may be copied into worker processes.
    """

    def __init__(self, name: str, records: int, max_bad: Budget, ledger: "Ledger | None") -> None:
        """name, records: of the data set. max_bad: a number, or a share of the records."""
        self._name, self._records, self._max_bad = name, records, max_bad
        self._ledger = ledger
        self._found: dict[int, BadSample] = {}
        self._in_a_row = 0

    @property
    def found(self) -> list[BadSample]:
        """In the order in which they were found."""
        return list(self._found.values())

    @property
    def most(self) -> int:
        """How many are let through."""
        if isinstance(self._max_bad, int):
            return self._max_bad
        return max(LEAST_BUDGET, int(self._max_bad * self._records))

    def recall(self, describe: Describe) -> None:
        """Takes over what the ledger lists of these records: a budget is for all restarts of a run
        together."""
        for line in self._ledger.lines() if self._ledger else ():
            record = line["record"]
            if record < self._records and _place(describe(record)) == _place(line):
                self._found.setdefault(record, BadSample(record, line["code"], line["message"]))

    def add(self, bad: Sequence[BadSample], describe: Describe) -> None:
        """Takes note of samples that are bad.

        Raises DataError if there are too many, each time anew.
        """
        new = [sample for sample in bad if sample.record not in self._found]
        self._found.update((sample.record, sample) for sample in new)
        if new and self._ledger:
            self._ledger.add([_line(sample, describe(sample.record)) for sample in new])
        if len(self._found) > self.most:
            raise self._too_many(
                f"{len(self._found):,} of {self._records:,} records are bad, more than the "
                f"{self.most:,} that `max_bad={self._max_bad}` lets through",
                self.found,
            )

    def follow(self, records: Sequence[int], bad: Sequence[BadSample]) -> None:
        """A batch of `records` is handed out, of which these were bad.

        Raises DataError if too many in a row were.
        """
        faults = {sample.record: sample for sample in bad}
        for record in records:
            self._in_a_row = self._in_a_row + 1 if record in faults else 0
            # With 1.0 any number is let through.
            if self._in_a_row >= MOST_IN_A_ROW and self._max_bad != 1.0:
                self._in_a_row = 0
                text = f"{MOST_IN_A_ROW} samples in a row are bad (`max_bad=1.0` lets that through)"
                raise self._too_many(text, list(faults.values()))

    def _too_many(self, what: str, samples: list[BadSample]) -> DataError:
        reasons = Counter(sample.code for sample in samples).most_common()
        counted = ", ".join(f"{count:,} {code}" for code, count in reasons)
        first = "; ".join(sample.message for sample in samples[:EXAMPLES])
        listed = f"; all in `{self._ledger.path}`" if self._ledger else ""
        return DataError(f"`{self._name}`: {what}: {counted}: {first}{listed}", "too_many_bad")


class Ledger:
    """A file with one JSON line for each bad sample: record, file, number (of the record in its
    file), id, image (None: no picture is to blame), code, message.

    All ranks, worker processes and restarts of a run may share it: a record of a file is listed
    once. The file exists once there is something to list.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Raises ValueError if there is no folder to write it in."""
        self.path = Path(path).absolute()
        if not self.path.parent.is_dir():
            raise ValueError(f"ledger: no such folder: `{self.path.parent}`")
        self._waiting: list[dict[str, Any]] = []
        # What is known of the file: which one it is, so much of it, the places in there.
        self._inode = 0
        self._size = 0
        self._known: set[tuple[str, int, str]] = set()

    def lines(self) -> list[dict[str, Any]]:
        """What is listed; a last line that was cut short does not count."""
        content = self.path.read_bytes() if self.path.exists() else b""
        return _parsed(content, self.path)

    def add(self, lines: list[dict[str, Any]]) -> None:
        """Lists what is not listed yet. While the disk is full, or the file cannot be written, the
        lines wait in memory for the next call: a list is no reason to lose a run."""
        self._waiting += lines
        with suppress(OSError), _locked(self.path) as handle:
            self._catch_up(handle)
            while self._waiting and self._append(handle, self._waiting[0]):
                del self._waiting[0]

    def _catch_up(self, handle: int) -> None:
        """Learns what others have listed, and cuts off half a line of one that was killed."""
        status = os.fstat(handle)
        if status.st_ino != self._inode or status.st_size < self._size:
            self._inode, self._size, self._known = status.st_ino, 0, set()
        content = os.pread(handle, status.st_size - self._size, self._size)
        self._known.update(_place(line) for line in _parsed(content, self.path))
        self._size += content.rfind(b"\n") + 1
        if self._size < status.st_size:
            os.ftruncate(handle, self._size)

    def _append(self, handle: int, line: dict[str, Any]) -> bool:
        """Whether it is listed now."""
        if _place(line) in self._known:
            return True
        data = json.dumps(line).encode() + b"\n"
        if os.write(handle, data) < len(data):
            return False
        self._known.add(_place(line))
        self._size += len(data)
        return True


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """The file, open for reading and appending; nobody else appends meanwhile.

    Raises OSError if it cannot be opened, or somebody holds it too long.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        _lock(handle)
        yield handle
    finally:
        os.close(handle)


def _lock(handle: int) -> None:
    try:
        import fcntl
    except ImportError:  # Windows
        return
    give_up = monotonic() + LOCK_SECONDS
    while True:
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if monotonic() > give_up:
                raise
            sleep(0.01)


def _parsed(content: bytes, path: Path) -> list[dict[str, Any]]:
    """The whole lines. Raises DataError if these, or the half one after them, are not ours."""
    *whole, rest = content.split(b"\n")
    lines = [_checked(line, number, path) for number, line in enumerate(whole, 1)]
    if rest[: len(BEGINNING)] != BEGINNING[: len(rest)]:
        raise _foreign(path, len(whole) + 1)
    return lines


def _checked(line: bytes, number: int, path: Path) -> dict[str, Any]:
    try:
        value = json.loads(line)
        if isinstance(value["record"], int) and value.keys() >= KEYS:
            return value
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    raise _foreign(path, number)


def _foreign(path: Path, number: int) -> DataError:
    return DataError(f"`{path}`: line {number} is none of a list of bad samples")


def _place(line: dict[str, Any]) -> tuple[str, int, str]:
    return line["file"], line["number"], line["id"]


def _line(sample: BadSample, where: dict[str, Any]) -> dict[str, Any]:
    image = next((path for path in where["images"] if f"image `{path}`: " in sample.message), None)
    return {
        "record": sample.record,
        "file": where["file"],
        "number": where["number"],
        "id": where["id"],
        "image": image,
        "code": sample.code,
        "message": sample.message,
    }

"""Files judged on every path of the processor and compared with Pillow, in batches."""

from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from tests.judge import Judge, Verdict, digest, paths
from tests.pillow_oracle import pillow_pixels

BATCH = 64
# So many culprits are enough.
ENOUGH = 20
# What may come out of a damaged file beside an error or Pillow's pixels, by the beginning of the
# file; all of it lies in the crate that decodes WebP, and only in streams that no encoder writes:
# - a VP8 partition may end one byte early, where libwebp gives up;
# - coefficients beyond 16 bits are kept, where libwebp's vector code wraps or saturates them;
# - a simple VP8L code of two symbols is taken in the order of the file, not of the symbols.
TOLERATED = {(b"RIFF", "failed to read next frame"), (b"RIFF", "different pixels")}
# Of all files of a kind; the files that a fuzzer keeps are the odd ones.
TOLERATED_SHARE, TOLERATED_SHARE_OF_FUZZED = 0.01, 0.1
PEAK = 400 * 2**20
# CPU seconds of one picture through decoding and preparing.
SLOWEST = 1.0


@dataclass(frozen=True)
class File:
    """Something to judge."""

    name: str
    kind: str
    data: bytes


@dataclass
class Outcomes:
    """What became of many files."""

    counts: Counter[str] = field(default_factory=Counter)
    """by kind and outcome"""
    culprits: list[str] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")
    """CPU seconds of a call, and the file and the path"""
    peak: int = 0

    def check(self, folder: Path, share: float = TOLERATED_SHARE) -> None:
        """No culprit, and within the limits of time and memory."""
        print(f"{dict(self.counts)}, slowest {self.slowest}, peak {self.peak >> 20} MiB")
        assert not self.culprits, "\n".join([str(folder), *self.culprits])
        assert self.peak <= PEAK
        assert self.slowest[0] <= SLOWEST, self.slowest
        for kind in {outcome.split()[0] for outcome in self.counts}:
            of_kind = sum(n for outcome, n in self.counts.items() if outcome.startswith(kind))
            assert self.counts[f"{kind} tolerated"] <= share * of_kind + 1, kind


def campaign(files: Iterable[File], folder: Path) -> Outcomes:
    """Judges all files; the first culprits are left in the folder."""
    outcomes = Outcomes()
    with ExitStack() as stack:
        judges = [stack.enter_context(Judge(path)) for path in paths()]
        pool = stack.enter_context(ThreadPoolExecutor(len(judges)))
        for batch in _batches(files):
            asked = [pool.submit(_ask_all, judge, batch) for judge in judges]
            verdicts = zip(*(answer.result() for answer in asked), strict=True)
            for file, judged in zip(batch, verdicts, strict=True):
                _count(outcomes, file, judged, folder)
            if len(outcomes.culprits) >= ENOUGH:
                return outcomes
        outcomes.peak = max(judge.close() for judge in judges)
    return outcomes


def _batches(files: Iterable[File]) -> Iterator[list[File]]:
    rest = iter(files)
    while batch := list(islice(rest, BATCH)):
        yield batch


def _ask_all(judge: Judge, files: list[File]) -> list[Verdict]:
    return [judge.ask(file.data, file.name, index) for index, file in enumerate(files)]


def _count(outcomes: Outcomes, file: File, verdicts: tuple[Verdict, ...], folder: Path) -> None:
    outcome = outcome_of(file.data, verdicts)
    if outcome not in ("refused", "equal", "tolerated"):
        (folder / f"{file.name.replace(' ', '-')}.{file.kind}").write_bytes(file.data)
        outcomes.culprits.append(f"{file.name} ({file.kind}): {outcome}")
        outcome = "wrong"
    outcomes.counts[f"{file.kind} {outcome}"] += 1
    seconds, path = max((verdict.cpu, verdict.path) for verdict in verdicts)
    outcomes.slowest = max(outcomes.slowest, (seconds, f"{file.name} ({file.kind}) on {path}"))


def outcome_of(data: bytes, verdicts: tuple[Verdict, ...]) -> str:
    """How the paths compare with each other, and their pixels with Pillow's."""
    first = verdicts[0]
    if len({(verdict.digest, verdict.prepared, verdict.error) for verdict in verdicts}) > 1:
        return f"the paths differ: {verdicts}"
    if first.error is not None:
        return first.error if "panicked" in first.error else "refused"
    try:
        theirs = digest(pillow_pixels(data))
    except Exception as error:
        problem = str(error)
        full = f"only ours, Pillow says {type(error).__name__}: {error}"
    else:
        if theirs == first.digest:
            return "equal"
        problem = full = "different pixels"
    return "tolerated" if (data[:4], problem) in TOLERATED else full

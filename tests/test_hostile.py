"""Hundreds of thousands of damaged pictures through decoding and preparing, in child processes.

No process ends, nothing but `ImageError` comes out, all paths of the processor agree, and a file is
either refused or gives exactly Pillow's pixels.
"""

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from tests.judge import Judge, Verdict, digest, paths
from tests.mutants import mutant
from tests.picture_seeds import SUFFIXES, seeds
from tests.pillow_oracle import pillow_rgb, pixels_only
from tests.scale import scaled

MUTANTS = 200_000
BATCH = 64
PEAK = 400 * 2**20
SLOWEST = 1.0


def test_generated_seeds(tmp_path: Path):
    campaign(seeds(), scaled(MUTANTS), "generated", tmp_path)


def test_seeds_of_other_encoders(fixtures: Path, tmp_path: Path):
    found: dict[str, list[bytes]] = {}
    for path in sorted((fixtures / "images" / "valid").rglob("*")):
        kind = SUFFIXES.get(path.suffix)
        if kind and path.stat().st_size < 50_000:
            found.setdefault(kind, []).append(path.read_bytes())
    campaign(found, scaled(MUTANTS // 4), "fixtures", tmp_path)


def campaign(files: dict[str, list[bytes]], count: int, name: str, folder: Path) -> None:
    """`count` mutants of the files, judged on every path; the first culprits stay in the folder."""
    outcomes: Counter[str] = Counter()
    culprits: list[str] = []
    slowest = 0.0
    with ExitStack() as stack:
        judges = [stack.enter_context(Judge(path)) for path in paths()]
        pool = stack.enter_context(ThreadPoolExecutor(len(judges)))
        for start in range(0, count, BATCH):
            names = [f"{name} {number}" for number in range(start, min(start + BATCH, count))]
            mutants = [mutant(random.Random(one), files) for one in names]
            asked = [pool.submit(_ask_all, judge, names, mutants) for judge in judges]
            rows = zip(*(answer.result() for answer in asked), strict=True)
            for one, (kind, data), verdicts in zip(names, mutants, rows, strict=True):
                outcome = judged(data, verdicts)
                if outcome not in ("refused", "equal"):
                    (folder / f"{one.replace(' ', '-')}.{kind}").write_bytes(data)
                    culprits.append(f"{one} ({kind}): {outcome}")
                    outcome = "wrong"
                outcomes[f"{kind} {outcome}"] += 1
                slowest = max(slowest, *(verdict.cpu for verdict in verdicts))
            assert len(culprits) < 20, "\n".join([str(folder), *culprits])
        peak = max(judge.close() for judge in judges)
    print(f"{name}: {dict(outcomes)}, slowest {slowest:.3f} s, peak {peak >> 20} MiB")
    assert not culprits, "\n".join([str(folder), *culprits])
    assert peak <= PEAK
    assert slowest <= SLOWEST
    for kind in files:
        least = min(outcomes[f"{kind} refused"], outcomes[f"{kind} equal"])
        assert least > count / len(files) / 20, (kind, outcomes)


def _ask_all(judge: Judge, names: list[str], mutants: list[tuple[str, bytes]]) -> list[Verdict]:
    files = zip(names, mutants, strict=True)
    return [judge.ask(data, name, i) for i, (name, (_, data)) in enumerate(files)]


def judged(data: bytes, verdicts: tuple[Verdict, ...]) -> str:
    """How the paths compare with each other, and their pixels with Pillow's."""
    first = verdicts[0]
    if any(
        (v.digest, v.prepared, v.error) != (first.digest, first.prepared, first.error)
        for v in verdicts
    ):
        return f"the paths differ: {verdicts}"
    if first.error is not None:
        return first.error if "panicked" in first.error else "refused"
    try:
        theirs = pillow_rgb(pixels_only(data))
    except Exception as error:
        return f"only ours, Pillow says {type(error).__name__}: {error}"
    return "equal" if digest(theirs) == first.digest else "different pixels"

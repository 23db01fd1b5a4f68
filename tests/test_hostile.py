"""Hundreds of thousands of damaged pictures through decoding and preparing, in child processes.

No process ends, nothing but `ImageError` comes out, all paths of the processor agree, and a file is
either refused or gives exactly Pillow's pixels.
"""

import random
from collections.abc import Iterator
from pathlib import Path

from tests.campaign import File, campaign
from tests.mutants import mutant
from tests.picture_seeds import LARGEST, SUFFIXES, seeds
from tests.scale import scaled

# Fixtures are larger files: the same number of them would take as long again.
GENERATED, FOREIGN = 200_000, 50_000


def test_mutants_of_generated_pictures(tmp_path: Path):
    run("generated", seeds(), scaled(GENERATED), tmp_path)


def test_mutants_of_pictures_of_other_encoders(fixtures: Path, tmp_path: Path):
    files: dict[str, list[bytes]] = {}
    for path in sorted((fixtures / "images" / "valid").rglob("*")):
        kind = SUFFIXES.get(path.suffix)
        if kind and path.stat().st_size <= 2 * LARGEST:
            files.setdefault(kind, []).append(path.read_bytes())
    run("foreign", files, scaled(FOREIGN), tmp_path)


def run(name: str, files: dict[str, list[bytes]], count: int, folder: Path) -> None:
    outcomes = campaign(mutants(name, files, count), folder)
    outcomes.check(folder)
    for kind in files:
        both = outcomes.counts[f"{kind} refused"], outcomes.counts[f"{kind} equal"]
        assert min(both) > count / len(files) / 20, (kind, both)


def mutants(name: str, files: dict[str, list[bytes]], count: int) -> Iterator[File]:
    for number in range(count):
        yield File(f"{name} {number}", *mutant(random.Random(f"{name} {number}"), files))


def test_files_that_were_once_wrong(data: Path, tmp_path: Path):
    """Found by these campaigns; all made from generated pictures."""
    paths = sorted((data / "regressions").iterdir())
    found = (File(path.name, SUFFIXES[path.suffix], path.read_bytes()) for path in paths)
    campaign(found, tmp_path).check(tmp_path)

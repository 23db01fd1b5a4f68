"""From the command to the first batch, for a file of 665,298 conversations that lies in the page
cache.

Ours and each peer open it in processes of their own.
"""

import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from benches import mixture
from benches.conftest import Figure
from benches.peers.openers import OPENERS
from benches.results import ROOT

THREADS = 2
ROOM = 4096


@pytest.fixture
def runs(quick: bool) -> range:
    """Of each side, for the medians."""
    return range(1 if quick else 3)


def _run(module: str, *words: object) -> dict[str, float]:
    command = [sys.executable, "-m", module, *map(str, words)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def _medians(runs: list[dict[str, float]]) -> dict[str, float]:
    return {key: float(np.median([run[key] for run in runs])) for key in runs[0]}


def bench_open(figure: Figure, mixture_file: Path, runs: range) -> None:
    """The first time, and later times."""
    side_files = mixture_file.parent / ".llava_fast"
    first, again = [], []
    for _ in runs:
        shutil.rmtree(side_files, ignore_errors=True)
        first.append(_run("benches.startup", mixture_file, THREADS, ROOM))
        again.append(_run("benches.startup", mixture_file, THREADS, ROOM))
    ours, later = _medians(first), _medians(again)
    figure("structural index", ours["index"], "s")
    figure("token counts, 2 threads", ours["counts"], "s")
    figure("opened again", later["index"] + later["counts"], "s")
    figure("plan of an epoch", later["plan"], "s")
    figure("memory when opened", later["memory"], "MB")
    figure("most memory while opening", ours["most"], "MB")


def bench_open_peers(figure: Figure, mixture_file: Path, tmp_path: Path) -> None:
    """Each that is installed, once, as they take so much longer; `datasets` has a second time."""
    cache = tmp_path / "arrow"
    found = {
        name: _run("benches.peers.openers", name, mixture_file, *_cache(name, cache))
        for name, (_, modules) in OPENERS.items()
        if all(find_spec(module.partition(".")[0]) for module in modules)
    }
    if "datasets" in found:
        found["datasets, cached"] = _run("benches.peers.openers", "datasets", mixture_file, cache)
        shutil.rmtree(cache)
    for name, run in found.items():
        figure("opened", run["seconds"], "s", side=name)
        figure("memory when opened", run["after"] - run["before"], "MB", side=name)
        figure("most memory while opening", run["most"] - run["before"], "MB", side=name)


def _cache(name: str, cache: Path) -> list[Path]:
    return [cache] if name == "datasets" else []


def bench_workers(figure: Figure, mixture_file: Path, tmp_path: Path) -> None:
    """What each forked worker process adds, and what of that the number of records."""
    few = mixture.write(tmp_path / "few.json", 2_000)
    small, large = (
        _run("benches.startup_workers", path, ROOM, "fork")["each"] for path in (few, mixture_file)
    )
    case = "memory of each of 2 workers"
    figure(case, large, "MB")
    figure(case, large - small, "MB", side="ours, more than with 2,000 records")


def bench_resume(figure: Figure, mixture_file: Path, tmp_path: Path, runs: range) -> None:
    """The first batch after 99 % of an epoch, in a new process."""
    module = "benches.startup_resume"
    _run(module, "prepare", mixture_file, tmp_path)
    found = [_run(module, "resume", mixture_file, tmp_path) for _ in runs]
    # Nobody would notice a skipped one if none at all were.
    assert all(one["opened"] for one in found)
    figure("first batch after a resume at 99 %", _medians(found)["seconds"], "s")
    figure("skipped files opened", max(one["skipped"] for one in found), "files")

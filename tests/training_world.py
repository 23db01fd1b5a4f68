"""A small world on disk and the command line of a short run on it, both stages."""

import os
import subprocess
import sys
from pathlib import Path

from llava_fast.training.default.world import write_world
from tests.repository import ROOT

SHORT = ["stage1.steps=4", "stage2.steps=6", "save_every=2", "log_every=1", "threads=1"]
ACCUMULATING = ["batch=12", "pack_tokens=512"]


def make_run(out: Path, seed: int = 0) -> Path:
    """`out` with a world of few pictures where the default would write its own."""
    out.mkdir(parents=True)
    write_world(out / "data", seed, scenes=60, held_out=6)
    return out


def command(out: Path, *changes: str) -> list[str]:
    """The default's command line for a short run in `out`."""
    words = [*SHORT, *ACCUMULATING, f"out={out}", *changes]
    return [sys.executable, "-m", "llava_fast.training.run", *words]


def start(out: Path, *changes: str) -> subprocess.Popen[str]:
    """The command as a process; output of both kinds in one stream."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command(out, *changes),
        cwd=ROOT,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def finish(out: Path, *changes: str) -> str:
    """Runs the command to its end; its output."""
    process = start(out, *changes)
    text, _ = process.communicate(timeout=600)
    assert process.returncode == 0, text
    return text

"""Short runs of the default on a small world, each in a process of its own.

Processes are forked from a server that has imported torch already: a start takes milliseconds.
"""

import importlib
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import time
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from llava_fast.training.default.world import write_world
from llava_fast.training.recipes import DEFAULT

BACKBONES = DEFAULT / "backbones"

# Two packs a step in stage 1 (two steps an epoch), three in stage 2 (six steps an epoch).
SHORT = [
    "stage1.steps=5",
    "stage2.steps=7",
    "save_every=2",
    "log_every=1",
    "threads=1",
    "batch=12",
    "pack_tokens=512",
]

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["llava_fast.training.engine", "torch._dynamo", __name__])


def write_small_world(folder: Path) -> Path:
    write_world(folder, seed=0, scenes=40, held_out=4)
    return folder


def new_run(out: Path, world: Path) -> Path:
    """`out` with a copy of `world` where the default would write its own."""
    shutil.copytree(world, out / "data")
    return out


def stage(world: Path, out: Path, **changes) -> list[str]:
    """A short stage 1 on the small world."""
    values = {
        "recipe": "pretrain",
        "vision": BACKBONES / "vision",
        "llm": BACKBONES / "lm",
        "data": world / "stage1.json",
        "images": world / "images",
        "out": out,
        "steps": 3,
        "batch": 4,
        "max_length": 512,
        "threads": 1,
        "save_every": 1,
        "log_every": 1,
    }
    return [f"{key}={value}" for key, value in (values | changes).items()]


def start(
    arguments: list[str], log: Path, cut: tuple[str, int] | None = None, limit: int | None = None
) -> ForkServerProcess:
    """`python -m training.run` with these arguments; what it says goes to `log`.

    cut: (`module:function`, n): the process is killed as it enters the function for the n-th time.
    limit: no file may grow beyond so many bytes, as on a full disk.
    """
    process = _processes.Process(target=_run, args=(arguments, str(log), cut, limit))
    process.start()
    return process


def finish(
    arguments: list[str],
    log: Path,
    *,
    cut: tuple[str, int] | None = None,
    limit: int | None = None,
    kill_after: float | None = None,
) -> int:
    """The exit code of the command, negative for a signal; SIGKILL after some seconds if asked."""
    process = start(arguments, log, cut, limit)
    process.join(600 if kill_after is None else kill_after)
    if process.exitcode is None:
        process.kill()
        process.join()
    return process.exitcode


def _run(arguments: list[str], log: str, cut: tuple[str, int] | None, limit: int | None) -> None:
    from llava_fast.training.run import main

    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    if limit is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    if cut is not None:
        _die_in(*cut)
    try:
        main(arguments)
    finally:
        sys.stdout.flush()


def _die_in(place: str, count: int) -> None:
    module = importlib.import_module(place.partition(":")[0])
    name = place.partition(":")[2]
    function, calls = getattr(module, name), [0]

    def counted(*args, **kwargs):
        calls[0] += 1
        if calls[0] == count:
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60)
        return function(*args, **kwargs)

    setattr(module, name, counted)

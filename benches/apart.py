"""Runs each case in a fresh process.

What a process allocated before, how its heap is set and which processor path it chose all change
what is measured, and some peers hang or crash in a process that has used another. So one server
per heap mode imports every library once and forks for each case; the fork builds the case, checks
it, times it and sends what it found as JSON.

Heap modes. *default* is what users get: glibc hands every large array back to the kernel, and each
new one costs a page fault per 4 KiB. *warm* keeps memory, so that faults go to zero: the fair mode
to compare algorithms.
"""

import contextlib
import gc
import importlib
import json
import os
import platform
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from benches import timing
from benches.gates import GateError, Verdict
from benches.results import ROOT

HEAPS = {
    "default": {},
    "warm": {
        "MALLOC_MMAP_MAX_": "0",
        "MALLOC_TRIM_THRESHOLD_": "4294967295",
        "MALLOC_TOP_PAD_": "67108864",
    },
}
# Imported once by each server; a library that is absent is the business of the case that needs it.
PRELOAD = (
    "torch",
    "torchvision.io",
    "torchvision.transforms.v2",
    "transformers.models.clip.image_processing_clip",
    "transformers.models.clip.image_processing_pil_clip",
    "transformers.models.llava.image_processing_llava",
    "transformers.models.llava.processing_llava",
    "benches.bench_decode",
    "benches.bench_preprocess",
    "benches.bench_processor",
)
# A peer that hangs must not hold up the rest.
PATIENCE = 120.0


class MissingError(Exception):
    """What a case needs is not here; the message says what."""


@dataclass(frozen=True)
class Case:
    """Two sides of a race over `items` pictures; `check` compares what they return."""

    ours: Callable[[], object]
    peer: Callable[[], object]
    check: Callable[[], Verdict]
    items: int
    note: str = ""


def needs(name: str) -> Any:
    """The module of that name.

    Raises:
        MissingError: with the reason, when it cannot be imported.
    """
    try:
        return importlib.import_module(name)
    except (ImportError, OSError, RuntimeError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise MissingError(f"{name.partition('.')[0]}: {reason[0]}") from error


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    """Build, check and time the case of a request, in this process.

    The keys: make, `module:function` that builds a `Case`; arguments, for that function; cpu, a
    processor path to force; cores, to stay on; pairs, samples of each side.
    """
    _stay_on(request["cores"])
    module, function = request["make"].split(":")
    try:
        _force(request["cpu"])
        case = getattr(importlib.import_module(module), function)(**request["arguments"])
        verdict = case.check()
    except MissingError as error:
        return {"missing": str(error)}
    except GateError as error:
        return {"failed": str(error)}
    except ValueError as error:
        # Our own refusals (`ImageError`) and those of most peers.
        return {"failed": f"{type(error).__name__}: {error}"}
    measured = timing.compare(case.ours, case.peer, pairs=request["pairs"])
    notes = [note for note in (case.note, verdict.note) if note]
    return {
        "measured": asdict(measured),
        "verdict": asdict(verdict),
        "items": case.items,
        "note": ", ".join(notes),
        "path": _path(),
    }


def _path() -> str:
    from llava_fast import _rust

    return _rust.cpu_path()


def _force(cpu: str | None) -> None:
    from llava_fast import _rust

    if cpu and not dict(_rust.cpu_paths())[cpu]:
        raise MissingError(f"this processor lacks {cpu}")
    if cpu:
        os.environ["LLAVA_FAST_CPU"] = cpu


def _stay_on(cores: int) -> None:
    if hasattr(os, "sched_setaffinity"):
        usable = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, usable[-cores:])


class Server:
    """The parent's end of a server process with one heap mode."""

    def __init__(self, heap: str) -> None:
        if heap != "default" and platform.libc_ver()[0] != "glibc":
            raise MissingError("the warm heap is a setting of glibc")
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from benches.apart import serve; serve()"],
            cwd=ROOT,
            env=os.environ | HEAPS[heap],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The answer of a fresh process to a request."""
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the server ended with {self._process.wait()}")
        return json.loads(line)

    def close(self) -> None:
        """Let it end."""
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def serve() -> None:
    """Answer the requests on stdin, one line each, until it closes."""
    # What libraries print must not end up between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for name in PRELOAD:
        with contextlib.suppress(MissingError):
            needs(name)
    gc.collect()
    # The collector would touch, and so copy, every inherited page.
    gc.freeze()
    for line in sys.stdin:
        print(_in_a_fork(json.loads(line)), file=answers, flush=True)
    # Some libraries complain at length about an ordinary end.
    os._exit(0)


def _in_a_fork(request: Mapping[str, Any]) -> str:
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(ours)
        _reply(theirs, request)
    os.close(theirs)
    late = not select.select([ours], [], [], PATIENCE)[0]
    if late:
        os.kill(pid, signal.SIGKILL)
    with os.fdopen(ours) as file:
        text = file.read()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if late:
        return json.dumps({"failed": f"no answer within {PATIENCE:g} s"})
    return text or json.dumps({"failed": f"the process ended with {status}, see stderr"})


def _reply(pipe: int, request: Mapping[str, Any]) -> None:
    """Never returns: the fork must not go on as a second server."""
    status = 1
    try:
        with os.fdopen(pipe, "w") as file:
            file.write(json.dumps(answer(request)))
        status = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(status)

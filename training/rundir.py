"""The run directory: one process at a time, small files replaced in one step, half-written ones
removed.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..files import sync

MADE = ".llava_fast-made.json"

# Every name under which this project writes or deletes something in a run directory.
_TEMPORARY = re.compile(
    rf"\.(config\.json|summary\.json|{re.escape(MADE)}|model|checkpoints|step-\d+|data|vision|lm)"
    r"\.(tmp|old)-\d+-[0-9a-f]{8}"
)
_HOLDER = re.compile(r"(process \d+ on .*)?", re.DOTALL)
_SUMMARY: dict[str, Any] = {
    **dict.fromkeys(("stage", "table", "model", "ask", "bad_list"), str),
    **dict.fromkeys(("steps", "bad_records"), int),
    **dict.fromkeys(("tokens_per_s", "seconds"), (int, float)),
    "loss": (int, float, type(None)),
}


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds `folder` for this process; the system frees it when the process ends, however it ends.

    Raises:
        ValueError: another process holds it (the message names process and host), or a file `lock`
            in it is not a run's.
    """
    import fcntl

    with open(folder / "lock", "a+", encoding="utf-8", errors="replace") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read() or "another process"
            raise ValueError(f"out: `{folder}` is in use by {holder}") from None
        file.seek(0)
        if not _HOLDER.fullmatch(file.read(1024)):
            raise ValueError(f"out: `{folder / 'lock'}` is not a run's, expected another `out=DIR`")
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield


def read_json(path: Path) -> dict[str, Any] | None:
    """The JSON object in a file; None if there is no such file or it holds something else."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def read_summary(folder: Path) -> dict[str, Any] | None:
    """`summary.json` of a finished run; None if there is none or it is something else."""
    value = read_json(folder / "summary.json")
    if value is None or not all(isinstance(value.get(k, ...), t) for k, t in _SUMMARY.items()):
        return None
    return value


def made(folder: Path) -> set[str]:
    """Names in `folder` that a recipe has put there before its stages, and may delete again."""
    names = (read_json(folder / MADE) or {}).get("made")
    return {name for name in names if isinstance(name, str)} if isinstance(names, list) else set()


def note_made(folder: Path, names: Iterable[str]) -> None:
    """Remembers what a recipe is about to put into `folder`."""
    write_text(folder / MADE, json.dumps({"made": sorted(made(folder).union(names))}) + "\n")


def write_text(path: Path, text: str) -> None:
    """Replaces a file in one step."""
    temporary = _beside(path, "tmp")
    temporary.write_text(text, encoding="utf-8")
    sync(temporary)
    temporary.replace(path)
    sync(path.parent)


def remove(path: Path) -> None:
    """Deletes a file, a directory or a link, not what the link leads to; a directory that is
    half-deleted no longer carries its name."""
    if path.is_dir() and not path.is_symlink():
        gone = _beside(path, "old")
        path.rename(gone)
        shutil.rmtree(gone)
    else:
        path.unlink(missing_ok=True)


def clean(folder: Path) -> None:
    """Deletes what a cut process has left half-written or half-deleted in `folder`, known by its
    exact name."""
    for path in list(folder.iterdir()):
        if not _TEMPORARY.fullmatch(path.name):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _beside(path: Path, kind: str) -> Path:
    return path.with_name(f".{path.name}.{kind}-{os.getpid()}-{secrets.token_hex(4)}")

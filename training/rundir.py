"""The run directory: one process at a time, small files replaced in one step, leftovers removed."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..files import sync


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds `folder` for this process; the system frees it when the process ends, however it ends.

    Raises:
        ValueError: another process holds it; the message names process and host.
    """
    import fcntl

    with open(folder / "lock", "a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read() or "another process"
            raise ValueError(f"out: `{folder}` is in use by {holder}") from None
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


def write_text(path: Path, text: str) -> None:
    """Replaces a file in one step."""
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    sync(temporary)
    temporary.replace(path)
    sync(path.parent)


def remove(path: Path) -> None:
    """Deletes a directory; half-deleted, it no longer carries its name."""
    gone = path.with_name(f".{path.name}.old-{os.getpid()}")
    path.rename(gone)
    shutil.rmtree(gone)


def clean(folder: Path) -> None:
    """Deletes what a cut process has left half-written or half-deleted in `folder`."""
    for path in [*folder.glob(".*.tmp-*"), *folder.glob(".*.old-*")]:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()

"""The list of records that a run has left out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..dataset import BadSample, LlavaDataset
from .report import LinesFile

SHOWN = 10


class BadList:
    """`bad.jsonl`: one line {"file", "record", "code", "message"} for each record left out.

    `file` is the key of the settings that names the record file: data, held_out, ...

    The file exists once there is one.
    """

    def __init__(self, path: Path, goes_on: bool, say: Callable[[str], None]) -> None:
        """goes_on: the run goes on, so the file does; `say` gets a line for each new record."""
        self.path, self._say = path, say
        self._file: LinesFile | None = None
        if not goes_on:
            path.unlink(missing_ok=True)
        lines, self._size = _whole_lines(path)
        self._known = {(line["file"], line["record"]): line for line in lines}

    @property
    def count(self) -> int:
        """Records in the list."""
        return len(self._known)

    def recall(self, file: str, dataset: LlavaDataset) -> None:
        """Tells `dataset` what it had found to be bad before the run was cut."""
        lines = (line for (name, _), line in self._known.items() if name == file)
        dataset.note_bad([BadSample(x["record"], x["code"], x["message"]) for x in lines])

    def note(self, file: str, dataset: LlavaDataset) -> None:
        """Adds what `dataset` has newly found to be bad."""
        new = [bad for bad in dataset.bad if (file, bad.record) not in self._known]
        for number, bad in enumerate(new):
            line = {"file": file, **bad._asdict()}
            self._known[file, bad.record] = line
            self._open().add(line)
            if number < SHOWN:
                self._say(f"left out: {bad.message}")
        if len(new) > SHOWN:
            self._say(f"left out: {len(new) - SHOWN:,} more, see `{self.path}`")

    def close(self) -> None:
        """Closes the file."""
        if self._file:
            self._file.close()

    def _open(self) -> LinesFile:
        if self._file is None:
            self._file = LinesFile(self.path, self._size)
        return self._file


def _whole_lines(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The lines of the file and their bytes; a last one that was cut does not count."""
    content = path.read_bytes() if path.exists() else b""
    size = content.rfind(b"\n") + 1
    return [json.loads(line) for line in content[:size].splitlines()], size

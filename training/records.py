"""What the trainer itself reads in record files: kinds of questions, names for messages, a question
to ask.

The loader's own reader decides which records are good. This one must take whatever that one takes,
bad records included.
"""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .. import _rust
from ..mixture import mixture
from .config import TrainConfig
from .loop import Batch


class Records:
    """The records of a `data=` setting, read one by one; one that is no JSON object comes as {}.

    Raises:
        DataError: a file is no list of records; names the file.
    """

    def __init__(self, data: str) -> None:
        self.mixture = mixture(data)
        self._core = _rust.Records(self.mixture.parts, self.mixture.seed)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[index] for index in range(len(self._core)))

    def __getitem__(self, index: int) -> dict[str, Any]:
        try:
            record = json.loads(self._core.json(index))
        except (ValueError, RecursionError):
            return {}
        return record if isinstance(record, dict) else {}

    def place(self, index: int) -> str:
        """`record 7 (id ...)`, with the file where there are several."""
        _, name, number = self._core.origin(index)
        place = f"record {number} (id `{self[index].get('id')}`)"
        return place if len(self.mixture.parts) == 1 else f"{place} in `{name}`"

    def folder(self, index: int, shared: str) -> Path | None:
        """What holds the pictures of a record; None if that is not one place."""
        part, _, _ = self._core.origin(index)
        places = self.mixture.images(shared)[part]
        return Path(places[0]) if places and len(places) == 1 else None


def categories(data: str) -> list[str]:
    """The `category` of every record ("other" without one)."""
    return [str(record.get("category") or "other") for record in Records(data)]


def places(data: str, packs: list[Batch]) -> Iterator[str]:
    """`record 7 (id ...)` for every record in the packs."""
    records = Records(data)
    for pack in packs:
        for index in pack["records"][pack["records"] >= 0].tolist():
            yield records.place(index)


def ask_command(config: TrainConfig) -> str:
    """A command that asks the new model about the first picture of the held-out records; "" if no
    record has a picture and a question, or the pictures are no files but entries of an archive."""
    if config.template == "plain":
        return ""
    records = Records(config.held_out or config.data)
    for index, record in enumerate(records):
        picture, question = _picture(record), _question(record)
        if picture and question:
            folder = records.folder(index, config.images)
            if folder is None or not (folder / picture).is_file():
                return ""
            model, picture = str(config.folder / "model"), str(folder / picture)
            words = [model, "--image", picture, "--prompt", question]
            return f"{_program()} generate {shlex.join(words)}"
    return ""


def _picture(record: dict[str, Any]) -> str:
    image = record.get("image")
    first = image[0] if isinstance(image, list) and image else image
    return first if isinstance(first, str) else ""


def _question(record: dict[str, Any]) -> str:
    """The first human turn; a system turn may stand before it."""
    turns = record.get("conversations")
    for turn in turns if isinstance(turns, list) else ():
        if isinstance(turn, dict) and turn.get("from") == "human":
            return str(turn.get("value", "")).replace("<image>", "").strip()
    return ""


def _program() -> str:
    """How the shell finds `llava-fast`: by name if it is on the PATH, else beside this Python."""
    beside = Path(sys.executable).with_name("llava-fast")
    if shutil.which("llava-fast") or not beside.exists():
        return "llava-fast"
    here = Path.cwd()
    return shlex.quote(str(beside.relative_to(here) if beside.is_relative_to(here) else beside))

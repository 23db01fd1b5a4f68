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

from .config import TrainConfig
from .loop import Batch


def read_records(path: Path) -> list[dict[str, Any]]:
    """The records of a LLaVA JSON file; one that is no object comes as {}.

    Raises:
        ValueError: not a JSON list; names the file.
    """
    try:
        # A byte order mark is what Windows editors write.
        records = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"`{path}`: {error}") from None
    if not isinstance(records, list):
        raise ValueError(f"`{path}`: got {type(records).__name__}, expected a list of records")
    return [record if isinstance(record, dict) else {} for record in records]


def categories(path: Path) -> list[str]:
    """The `category` of every record ("other" without one)."""
    return [str(record.get("category") or "other") for record in read_records(path)]


def places(path: str, packs: list[Batch]) -> Iterator[str]:
    """`record 7 (id ...)` for every record in the packs."""
    records = read_records(Path(path))
    for pack in packs:
        for index in pack["records"][pack["records"] >= 0].tolist():
            yield f"record {index} (id `{records[index].get('id')}`)"


def ask_command(config: TrainConfig) -> str:
    """A command that asks the new model about the first picture of the held-out records; "" if no
    record has a picture and a question, or the pictures are no files but entries of an archive."""
    if config.template == "plain" or not Path(config.images).is_dir():
        return ""
    for record in read_records(Path(config.held_out or config.data)):
        picture, question = _picture(record), _question(record)
        if picture and question:
            picture = str(Path(config.images) / picture)
            words = [str(config.folder / "model"), "--image", picture, "--prompt", question]
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

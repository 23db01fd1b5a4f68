"""What can be checked before a model is loaded: files, folders, free space."""

from __future__ import annotations

import json
import shutil
import struct
import tempfile
from collections.abc import Set
from pathlib import Path
from tarfile import is_tarfile
from typing import Any
from zipfile import is_zipfile

from ..braces import places
from ..mixture import mixture
from .config import TrainConfig

ADAM_BYTES = 3 * 4  # float32 weight and two moments per parameter that learns
LLAMA_LIMIT = 2048  # transformers' default where `config.json` is silent
MOST_TOKENS = 2048  # LLaVA-1.5's `model_max_length`
HEADER_LIMIT = 100 << 20  # safetensors' own limit


def check_inputs(config: TrainConfig, but: Set[str] = frozenset()) -> None:
    """Files and folders the run reads from, except the paths `but`, which it makes itself.

    Raises:
        ValueError: one is missing or of the wrong kind, the message names key and path; or
            `max_length` is more than the model can read.
    """
    for key, name in config.inputs.items():
        path = Path(name)
        if name in but:
            continue
        if key in ("model", "vision", "llm"):
            _model_directory(key, path)
        elif key == "images":
            _pictures(key, name)
        else:
            _record_files(key, name)
    if (config.model or config.llm) not in but:
        record_limit(config)


def record_limit(config: TrainConfig) -> int:
    """Most tokens of a record: `max_length`, or for 0 the model's limit, at most 2048.

    Raises:
        ValueError: `max_length` is above the model's limit; names both.
    """
    path = Path(config.model or config.llm) / "config.json"
    values = _object(path, path.read_bytes())
    text = values.get("text_config") or values
    limit = text.get("max_position_embeddings", LLAMA_LIMIT) if isinstance(text, dict) else None
    if not isinstance(limit, int) or limit < 1:
        raise ValueError(f"`{path}`: max_position_embeddings: got {limit!r}, expected 1 or more")
    if config.max_length > limit:
        raise ValueError(
            f"max_length: got {config.max_length}, expected at most {limit}, the model's "
            f"`max_position_embeddings` in `{path}`"
        )
    return config.max_length or min(MOST_TOKENS, limit)


def _model_directory(key: str, path: Path) -> None:
    if not path.is_dir():
        raise ValueError(f"{key}: `{path}` is {_kind(path)}, expected a model directory")
    if not (path / "config.json").is_file():
        raise ValueError(f"{key}: `{path}` has no `config.json`")
    if not any(path.glob("*.safetensors")):
        raise ValueError(f"{key}: `{path}` has no `.safetensors` file")


def _pictures(key: str, images: str) -> None:
    for path in map(Path, places(images) or ()):
        if not (path.is_dir() or (path.is_file() and (is_zipfile(path) or is_tarfile(path)))):
            raise ValueError(f"{key}: `{path}` is {_kind(path)}, expected a folder, a zip or a tar")


def _record_files(key: str, data: str) -> None:
    for part in mixture(data).parts:
        path = Path(part.path)
        if not path.is_file():
            raise ValueError(f"{key}: `{path}` is {_kind(path)}, expected a file")
        if missing := [place for place in part.images or () if not Path(place).exists()]:
            raise ValueError(f"{key}: images `{missing[0]}` of `{path}` are missing")


def _kind(path: Path) -> str:
    if path.is_dir():
        return "a folder"
    return "something else" if path.exists() else "missing"


def check_writable(folder: Path) -> None:
    """Makes the run directory and writes a small file into it.

    Raises:
        ValueError: it cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
            file.flush()
    except OSError as error:
        raise ValueError(f"out: cannot write to `{folder}`: {error.strerror}") from None


def check_space(config: TrainConfig) -> None:
    """Compares the free space of the run directory's disk with what the run will write.

    Raises:
        ValueError: less is free than 1.2 x (kept checkpoints + 1) x their size, and the model.
    """
    need, free = space_needed(config), shutil.disk_usage(config.folder).free
    if free < need:
        raise ValueError(
            f"out: {free / 2**20:,.0f} MiB free at `{config.folder}`, expected at least "
            f"{need / 2**20:,.0f} MiB for checkpoints and model"
        )


def space_needed(config: TrainConfig) -> int:
    """Bytes for the checkpoints and the exported model, from the safetensors headers alone."""
    vision, projector, llm = 0, 0, 0
    for directory in filter(None, (config.model, config.vision, config.llm)):
        for name, count in _parameters(Path(directory)).items():
            if "projector" in name:
                projector += count
            elif directory == config.vision or "vision" in name:
                vision += count
            else:
                llm += count
    projector = projector or _new_projector(config)
    sizes = {"vision": vision, "projector": projector, "llm": llm}
    state = ADAM_BYTES * sum(sizes[part] for part in config.parts)
    return int(1.2 * (config.keep + 1) * state) + 4 * sum(sizes.values())


def _new_projector(config: TrainConfig) -> int:
    inner = _json(Path(config.vision) / "config.json").get("hidden_size", 1024)
    outer = _json(Path(config.llm) / "config.json").get("hidden_size", 4096)
    return outer * (inner + 1) + outer * (outer + 1)


def _parameters(directory: Path) -> dict[str, int]:
    """Elements per tensor of the safetensors files in `directory`."""
    sizes = {}
    for path in sorted(directory.glob("*.safetensors")):
        with open(path, "rb") as file:
            start = file.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else HEADER_LIMIT + 1
            if length > HEADER_LIMIT:
                raise ValueError(f"`{path}` is not a safetensors file")
            header = _object(path, file.read(length))
        for name, entry in header.items():
            if name != "__metadata__":
                sizes[name] = _product(entry["shape"])
    return sizes


def _json(path: Path) -> dict[str, Any]:
    values = _object(path, path.read_bytes())
    return values.get("vision_config", values)


def _object(path: Path, content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except ValueError as error:
        raise ValueError(f"`{path}`: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"`{path}`: got {type(value).__name__}, expected a JSON object")
    return value


def _product(shape: list[int]) -> int:
    count = 1
    for side in shape:
        count *= side
    return count

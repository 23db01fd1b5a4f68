"""Reading and writing model directories: bounded reads, and writes that are whole or absent.

A directory is written under a temporary name beside its place, every file is synced to disk, and
the directory takes its place by one rename.
"""

import ctypes
import json
import os
import re
import secrets
import shutil
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    import torch

MAX_SMALL_FILE = 64 << 20

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
SHARD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\.safetensors")

Tensors = dict[str, "torch.Tensor"]


def read_small(path: Path) -> bytes:
    """Content of a regular file of at most 64 MiB; ValueError naming the file otherwise."""
    try:
        # Opened without waiting: a named pipe in a hostile directory must not block.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        raise ValueError(f"{path}: {_cause(error)}") from None
    with open(descriptor, "rb") as file:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode):
            raise ValueError(f"{path}: not a regular file")
        if info.st_size > MAX_SMALL_FILE:
            raise ValueError(f"{path}: got {info.st_size} bytes, expected at most {MAX_SMALL_FILE}")
        return file.read(MAX_SMALL_FILE)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; ValueError naming file and place otherwise."""
    return parse_json(read_small(path), path)


def parse_json(content: bytes, path: Path | str) -> dict[str, Any]:
    """The JSON object in `content`; `path` is for the message."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{path}: got {type(value).__name__}, expected a JSON object")
    return value


def read_tensors(directory: Path) -> Tensors:
    """All tensors of a directory, from `model.safetensors` or the shards its index names.

    They are views of the mapped files: copy what is kept. Raises ValueError naming the file.
    """
    if (directory / INDEX).exists():
        shards = _shards(directory)
    elif (directory / WEIGHTS).exists():
        shards = [WEIGHTS]
    else:
        pickles = sorted(path.name for path in directory.glob("*.bin"))
        if pickles:
            raise ValueError(
                f"{directory / pickles[0]}: pickled weights are not read; convert them to "
                "safetensors (`from_pretrained` and `save_pretrained` of transformers do it)"
            )
        raise ValueError(f"{directory}: no `{WEIGHTS}` and no `{INDEX}`")
    tensors: Tensors = {}
    for shard in shards:
        part = _read_shard(directory / shard)
        twice = sorted(tensors.keys() & part.keys())
        if twice:
            raise ValueError(f"{directory / shard}: `{twice[0]}` is in another shard too")
        tensors |= part
    return tensors


def _shards(directory: Path) -> list[str]:
    """Shard names of the index: plain file names, nothing that leads out of the directory."""
    table = read_json(directory / INDEX).get("weight_map")
    if not isinstance(table, dict) or not table:
        raise ValueError(f"{directory / INDEX}: `weight_map`: expected a table of shards")
    names = sorted({str(name) for name in table.values()})
    for name in names:
        if not SHARD.fullmatch(name):
            raise ValueError(f"{directory / INDEX}: shard `{name}`: expected a plain file name")
    return names


def _read_shard(path: Path) -> Tensors:
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path}: {error}") from None


def json_bytes(value: dict[str, Any]) -> bytes:
    """The bytes that are written for a JSON object; the same value gives the same bytes."""
    return (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def write_file(path: Path, content: bytes) -> None:
    """Write a new file and sync it."""
    with open(path, "xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def write_tensors(path: Path, tensors: Tensors) -> None:
    """Write a safetensors file and sync it, with the mode that any new file of the user has."""
    from safetensors.torch import save_file

    write_file(path, b"")  # the umask decides its mode; safetensors itself always makes 0600
    mode = stat.S_IMODE(path.stat().st_mode)
    save_file(tensors, path, metadata={"format": "pt"})
    os.chmod(path, mode)
    sync(path)


def sync(path: Path) -> None:
    """Have a file's or a directory's content on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def new_directory(final: Path) -> Iterator[Path]:
    """A directory to write into that becomes `final` when the block ends, and vanishes if it
    fails.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    _sweep(final)
    temporary = final.parent / f".{final.name}.tmp-{os.getpid()}-{secrets.token_hex(4)}"
    temporary.mkdir()
    try:
        yield temporary
        publish_directory(temporary, final)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def new_file(final: Path, inputs: Iterable[str | os.PathLike[str]] = ()) -> Iterator[TextIO]:
    """A text file to write into that becomes `final` when the block ends, and vanishes if it
    fails. ValueError before anything is written where `final` cannot be a file, is a device or a
    pipe, or is one of the `inputs`.
    """
    folder = final.absolute().parent
    if final.exists() and not (final.is_file() or final.is_dir()):
        raise ValueError(f"{final}: is no regular file")
    for path in map(Path, inputs):
        if final.exists() and path.exists() and final.samefile(path):
            raise ValueError(f"{final}: is what is read, it would be lost")
    if final.is_dir() or not folder.is_dir():
        raise ValueError(f"{final}: {'is a directory' if final.is_dir() else 'no such directory'}")
    temporary = folder / f".{final.name}.tmp-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        with open(temporary, "x", encoding="utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, final)
        sync(folder)
    finally:
        temporary.unlink(missing_ok=True)


def publish_directory(temporary: Path, final: Path) -> None:
    """Give a finished directory its name; one that was there before is replaced and removed.

    At no moment does `final` name a part of a directory. The files in `temporary` are synced
    already.
    """
    for folder, _, _ in os.walk(temporary):
        sync(Path(folder))
    if final.is_dir() and _exchange(temporary, final):
        sync(final.parent)
        shutil.rmtree(temporary)
        return
    old = final.parent / f".{final.name}.old-{os.getpid()}-{secrets.token_hex(4)}"
    if final.exists():
        # Without an exchanging rename `final` is absent for an instant, never half-written.
        os.rename(final, old)
    os.rename(temporary, final)
    sync(final.parent)
    shutil.rmtree(old, ignore_errors=True)


def _sweep(final: Path) -> None:
    """Remove what killed processes left beside `final`."""
    pattern = re.compile(re.escape(f".{final.name}.") + r"(tmp|old)-(\d+)-[0-9a-f]{8}")
    for path in final.parent.iterdir():
        match = pattern.fullmatch(path.name)
        if match and not _alive(int(match[2])):
            shutil.rmtree(path, ignore_errors=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _exchange(a: Path, b: Path) -> bool:
    """Swap two names in one step, where the system can (Linux)."""
    if sys.platform != "linux":
        return False
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return rename is not None and rename(here, os.fsencode(a), here, os.fsencode(b), exchange) == 0


def _cause(error: OSError) -> str:
    return (error.strerror or str(error)).lower()

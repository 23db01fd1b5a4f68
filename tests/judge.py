"""A child process that decodes and prepares the files it is given, on one path of the processor.

It answers each file before it reads the next, so that whoever asks knows which file ended it.
A file comes as its length (4 bytes) and which setting prepares it (1 byte), then its bytes; the
answer is a line of JSON. After the last file one more line tells the peak of the memory.

    LLAVA_FAST_CPU=scalar python -m tests.judge
"""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from llava_fast import ImageConfig, ImageError, ImageProcessor, decode_image

VARIABLE = "LLAVA_FAST_CPU"
# Bytes of pixels up to which a picture is prepared again from its pixels.
SMALL = 1 << 20
ROOT = Path(__file__).resolve().parent.parent

CONFIGS = (
    ImageConfig(size=28, mode="crop"),
    ImageConfig(size=56, mode="pad", output="pixel_patches"),
    ImageConfig(size=336, mode="crop", output="pixel_patches"),
    ImageConfig(size=30, mode="pad"),
)


@dataclass(frozen=True)
class Verdict:
    """What became of one file."""

    path: str
    """of the processor"""
    digest: str | None
    """of the pixels and their shape; None if the file was refused"""
    prepared: str | None
    """of the model input"""
    error: str | None
    """the message of the refusal"""
    cpu: float
    """seconds of processor time of the longest call"""
    grown: int
    """bytes by which the resident memory grew at its peak"""


def digest(array: np.ndarray) -> str:
    """Tells arrays of other shapes or values apart."""
    shape = str(array.shape).encode()
    return hashlib.blake2b(array.data, key=shape, digest_size=12).hexdigest()


class Judge:
    """The parent's side of a child on one path."""

    def __init__(self, path: str) -> None:
        self.path = path
        command = [sys.executable, "-m", "tests.judge"]
        self._child = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | {VARIABLE: path, "MALLOC_MMAP_THRESHOLD_": "131072"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def ask(self, data: bytes, name: str, setting: int = 0) -> Verdict:
        """Fails if the child dies of the file, or if an exception but `ImageError` came out."""
        child = self._child
        try:
            child.stdin.write(len(data).to_bytes(4, "little") + bytes([setting]) + data)
            child.stdin.flush()
            line = child.stdout.readline()
        except BrokenPipeError:
            line = b""
        if not line:
            raise AssertionError(f"{self.path}: {name} ended the process with {child.wait()}")
        answer = json.loads(line)
        assert "escaped" not in answer, f"{self.path}: {name}: {answer['escaped']}"
        return Verdict(self.path, **answer)

    def close(self) -> int:
        """The peak of the child's resident memory in bytes."""
        out, _ = self._child.communicate(timeout=60)
        assert self._child.returncode == 0
        return json.loads(out)["peak"]

    def __enter__(self) -> "Judge":
        return self

    def __exit__(self, *_: object) -> None:
        self._child.kill()
        self._child.communicate()


def paths() -> list[str]:
    """The paths that this machine's processor has, simplest first."""
    code = "import llava_fast as l; l.decode_image(open({!r}, 'rb').read())".format(
        str(ROOT / "tests/data/pictures/gray.jpg")
    )

    def works(path: str) -> bool:
        env = os.environ | {VARIABLE: path}
        child = subprocess.run([sys.executable, "-c", code], env=env, cwd=ROOT, capture_output=True)
        return child.returncode == 0

    return ["scalar", *(path for path in ("avx2", "avx512") if works(path))]


def main(source: BinaryIO) -> None:
    """Answers until the source ends."""
    processors = [ImageProcessor(config, num_threads=1) for config in CONFIGS]
    peak = 0
    while head := source.read(5):
        data = source.read(int.from_bytes(head[:4], "little"))
        _say(_answer(data, processors[head[4] % len(processors)]))
        peak = max(peak, _resident("VmHWM"))
    _say({"peak": peak})


def _answer(data: bytes, processor: ImageProcessor) -> dict[str, Any]:
    before = _resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again
    clock = _Clock()
    pixels = prepared = error = None
    small = None
    try:
        decoded = clock.time(lambda: decode_image(data))
        pixels = digest(decoded)
        small = decoded if decoded.size < SMALL else None
        del decoded
    except ImageError as refusal:
        error = str(refusal)
    except BaseException as escaped:
        return {"escaped": repr(escaped)}
    try:
        prepared = _digest_of(clock.time(lambda: processor([data], "np")))
        if small is not None and _digest_of(processor([small], "np")) != prepared:
            return {"escaped": "the file is prepared differently from its pixels"}
    except ImageError as refusal:
        if str(refusal) != f"image `images[0]`: {error}":
            return {"escaped": f"prepared as `{refusal}`, decoded as `{error}`"}
    except BaseException as escaped:
        return {"escaped": repr(escaped)}
    return {
        "digest": pixels,
        "prepared": prepared,
        "error": error,
        "cpu": clock.longest,
        "grown": _resident("VmHWM") - before,
    }


class _Clock:
    """CPU seconds of the longest call."""

    longest = 0.0

    def time(self, call: Callable[[], Any]) -> Any:
        start = time.process_time()
        try:
            return call()
        finally:
            self.longest = max(self.longest, time.process_time() - start)


def _digest_of(features: Mapping[str, np.ndarray]) -> str:
    return " ".join(digest(array) for array in features.values())


def _resident(which: str) -> int:
    """Bytes of resident memory now (`VmRSS`) or at the peak (`VmHWM`)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(which))


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.stdin.buffer)

"""Decodes and prepares a few pictures and compares the results with hashes stored beside them.

The hashes are those of Pillow 13 and of the arithmetic of `CLIPImageProcessorPil`. A processor path
is tested in a process of its own: `python -m llava_fast.selftest`.
"""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

from llava_fast.files import read_json

PICTURES = Path(__file__).with_name("pictures")
# Sides of the model input in the stored hashes, and of the plain resize.
SIZE, PATCH, RESIZED = 112, 14, (56, 40)
SECONDS = 60


def expected() -> dict[str, dict[str, str]]:
    """File name -> SHA-256 of its `rgb`, of `crop` and `pad` values, and `resized` by Pillow."""
    return read_json(PICTURES / "INDEX.json")


def problems() -> list[str]:
    """What differs from the stored hashes in this process; empty when all is well."""
    return [line for name, hashes in expected().items() for line in _compare(name, hashes)]


def _compare(name: str, hashes: dict[str, str]) -> list[str]:
    try:
        found = _ours(PICTURES / name)
    except (ValueError, OSError) as error:
        return [f"{name}: {error}"]
    return [f"{name}: {kind} differs" for kind, value in found.items() if hashes[kind] != value]


def _ours(path: Path) -> dict[str, str]:
    from llava_fast import ImageConfig, ImageProcessor, decode_image

    data = path.read_bytes()
    found = {"rgb": digest(decode_image(data))}
    for mode in ("crop", "pad"):
        config = ImageConfig(size=SIZE, mode=mode, patch_size=PATCH)
        batch = ImageProcessor(config, num_threads=1)(data, return_tensors="np")
        found[mode] = digest(batch["pixel_values"])
    return found


def digest(array: object) -> str:
    """SHA-256 of the bytes of a contiguous array."""
    return hashlib.sha256(array).hexdigest()


def problems_on(path: str) -> list[str]:
    """`problems` of a process that is forced to the processor path `path`."""
    home = str(Path(__file__).resolve().parents[2])
    search = os.pathsep.join(filter(None, [home, os.environ.get("PYTHONPATH")]))
    try:
        done = subprocess.run(
            [sys.executable, "-m", "llava_fast.selftest"],
            env=os.environ | {"LLAVA_FAST_CPU": path, "PYTHONPATH": search},
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        return [f"no answer within {SECONDS} s"]
    if done.returncode < 0:
        return [f"the process ended with signal {-done.returncode}"]
    if done.returncode > 0:
        return done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
    return json.loads(done.stdout)

"""Ten minutes of libFuzzer on each format and on preparing, under AddressSanitizer.

`make test-long PART=fuzz` runs it; FUZZ_SECONDS is the time of one target. Afterwards every file
that libFuzzer kept is judged like the other hostile ones: on all paths, and against Pillow.
"""

import io
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests import fuzzing
from tests.campaign import TOLERATED_SHARE_OF_FUZZED, File, campaign
from tests.mutants import with_checksums
from tests.picture_seeds import seeds
from tests.scale import scaled

SECONDS = int(os.environ.get("FUZZ_SECONDS", scaled(600)))
# Building the targets takes minutes.
WANTED = SECONDS >= 60 or "FUZZ_SECONDS" in os.environ

MAGIC = {
    "jpeg": ((0, b"\xff\xd8\xff"),),
    "png": ((0, b"\x89PNG\r\n\x1a\n"),),
    "webp": ((0, b"RIFF"), (8, b"WEBP")),
    "gif": ((0, b"GIF89a"),),
    "bmp": ((0, b"BM"),),
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[fuzzing.Run]]]:
    """All targets, two at a time."""
    if not WANTED:
        pytest.skip("runs as `make test-long PART=fuzz`, or with FUZZ_SECONDS")
    programs = fuzzing.build()
    files = seeds() | {"prepare": [bytes(range(256)), bytes(40) + b"\xff" * 40]}
    with ThreadPoolExecutor(2) as pool:
        yield {
            target: pool.submit(_fuzz, programs, tmp_path_factory.mktemp(target), files[target])
            for target in fuzzing.TARGETS
        }


def _fuzz(programs: Path, folder: Path, files: list[bytes]) -> tuple[fuzzing.Run, Path]:
    target = folder.name.rstrip("0123456789")
    corpus, start = folder / "corpus", folder / "seeds"
    corpus.mkdir()
    start.mkdir()
    for number, data in enumerate(files):
        (start / str(number)).write_bytes(data)
    return fuzzing.run(programs / target, corpus, start, SECONDS), folder


@pytest.mark.parametrize("target", fuzzing.TARGETS)
def test_target(running: dict[str, Future], target: str, tmp_path: Path):
    run, folder = running[target].result()
    assert run.code == 0, f"{folder}\n{run.output[-6000:]}"
    corpus = sorted((folder / "corpus").iterdir())
    print(f"{target}: {run.executions} executions, {len(corpus)} files kept")
    assert run.executions > 5 * SECONDS
    found = (File(path.name, target, picture(target, path.read_bytes())) for path in corpus)
    campaign(found, tmp_path).check(tmp_path, TOLERATED_SHARE_OF_FUZZED)


def picture(target: str, data: bytes) -> bytes:
    """The file that the target made of the fuzzer's bytes."""
    if target == "prepare":
        return _pixels(data)
    out = bytearray(data)
    for at, magic in MAGIC[target]:
        if at + len(magic) <= len(out):
            out[at : at + len(magic)] = magic
    return with_checksums(bytes(out)) if target == "png" else bytes(out)


def _pixels(data: bytes) -> bytes:
    """A BMP of the pixels that `prepare` reads."""
    width, height = (side + 1 for side in (data + b"\0\0")[:2])
    samples = np.resize(np.frombuffer(data[4:] + b"\0", np.uint8), (height, width, 3))
    out = io.BytesIO()
    Image.fromarray(samples).save(out, "BMP")
    return out.getvalue()

"""Whole runs: cases in processes of their own, gates that hold, peers that are missing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benches import apart, results
from llava_fast import _rust


def ask(server: apart.Server, make: str, **arguments) -> dict:
    request = {"make": f"tests.bench_cases:{make}", "arguments": arguments}
    return server.ask(request | {"cpu": None, "cores": 1, "pairs": 2})


@pytest.fixture(scope="module")
def server():
    server = apart.Server("default")
    yield server
    server.close()


def test_a_case_runs_in_a_process_of_its_own(server: apart.Server):
    first, second = (ask(server, "counting")["verdict"]["note"] for _ in range(2))
    # Nothing of the first run is left in the second.
    assert first.split()[0] == second.split()[0] == "1"
    assert first.split()[1] != second.split()[1]


def test_a_case_reports_how_it_failed_and_the_server_goes_on(server: apart.Server):
    assert ask(server, "absent") == {"missing": "surely_absent: No module named 'surely_absent'"}
    assert ask(server, "unequal") == {"failed": "pixels: 1 of 1 values differ from the peer's"}
    assert ask(server, "crashing")["failed"].startswith("the process ended with -6")
    assert ask(server, "counting")["path"] == _rust.cpu_path()


def test_a_path_is_forced_and_named(server: apart.Server):
    request = {"make": "tests.bench_cases:counting", "arguments": {}, "cores": 1, "pairs": 1}
    assert server.ask(request | {"cpu": "scalar"})["path"] == "scalar"


def test_the_warm_heap_keeps_its_pages():
    default, warm = apart.Server("default"), apart.Server("warm")
    try:
        faults = [int(ask(server, "large_blocks")["note"]) for server in (default, warm)]
    finally:
        default.close()
        warm.close()
    # Even huge pages make at least twenty of each block.
    assert faults[0] >= 100
    assert faults[1] < 20


# Loaded by every Python that the bench starts: our functions return a shifted result, and the timer
# says if it ran.
BROKEN = """
import pathlib
import benches.timing, llava_fast.data, llava_fast.images, llava_fast.text

def timed(*arguments, **options):
    pathlib.Path({flag!r}).touch()
    raise AssertionError("timed in spite of the gate")

benches.timing.compare = timed
real_decode = llava_fast.images.decode_image
real_process = llava_fast.images.ImageProcessor.__call__
real_encode = llava_fast.text.encode
real_iter = llava_fast.data.DataLoader.__iter__

def decode(*arguments, **options):
    return real_decode(*arguments, **options)[::-1]

def process(self, *arguments, **options):
    batch = real_process(self, *arguments, **options)
    batch["pixel_values"] = batch["pixel_values"].roll(1, -1)
    return batch

def encode(*arguments, **options):
    sample = real_encode(*arguments, **options)
    sample.labels[:] = sample.labels.take(range(-1, len(sample.labels) - 1))
    return sample

def batches(self):
    for batch in real_iter(self):
        yield batch | {{"labels": batch["labels"].roll(1, -1)}}

llava_fast.images.decode_image = decode
llava_fast.images.ImageProcessor.__call__ = process
llava_fast.text.encode = encode
llava_fast.data.DataLoader.__iter__ = batches
"""


SMALL = {
    "decode": "coco and default and pillow and not path",
    "preprocess": "one_core and coco and crop and default and hf_pillow",
    "processor": "drop_in and images and default and hf_pillow",
    "loader": "epoch and not torchvision",
    "tokenize": "bench",
}


@pytest.mark.parametrize("bench", list(SMALL))
def test_a_bench_fails_untimed_when_its_gate_is_broken(bench: str, tmp_path: Path):
    flag = tmp_path / "timed"
    (tmp_path / "sitecustomize.py").write_text(BROKEN.format(flag=str(flag)))
    done = _bench(bench, tmp_path, "-k", SMALL[bench])
    assert done.returncode == 1, done.stdout + done.stderr
    assert "nothing was timed" in done.stdout
    assert " passed" not in done.stdout
    assert not flag.exists()
    assert not list(tmp_path.glob("*.json"))


@pytest.mark.parametrize("library", ["simplejpeg", "cv2"])
def test_a_peer_that_is_not_installed_is_reported(library: str, tmp_path: Path):
    hide = f"import sys; sys.modules[{library!r}] = None"
    (tmp_path / "sitecustomize.py").write_text(hide)
    peer = {"cv2": "opencv"}.get(library, library)
    done = _bench("decode", tmp_path, "-k", f"coco and default and {peer} and not path")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"missing: {library}" in done.stdout
    assert "1 skipped" in done.stdout
    row = results.read(tmp_path / "decode.json")[0]
    assert isinstance(row, results.Missing)
    assert row.setting["peer"] == peer


def test_the_start_is_measured_and_skipped_pictures_are_watched(tmp_path: Path):
    done = _bench("startup", tmp_path, "-k", "open or resume")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = results.read(tmp_path / "startup.json")
    ours = {row.case: row for row in rows if row.side == "ours"}
    assert ours["skipped files opened"].figure == 0
    kept = [row for row in ours.values() if row.bound is not None]
    assert len(kept) == 8
    assert all(results.bound_text(row).endswith("met") for row in kept)
    peers = {row.side for row in rows} - {"ours"}
    assert peers >= {"json.load", "datasets", "datasets, cached"}


def test_waits_and_memory_of_the_loader_are_measured(tmp_path: Path):
    done = _bench("loader", tmp_path, "-k", "(wait and padded) or (memory and threads)")
    assert done.returncode == 0, done.stdout + done.stderr
    wait, memory = results.read(tmp_path / "loader.json")
    assert (wait.side, wait.unit, memory.side, memory.unit) == (
        "ours, padded",
        "%",
        "ours, threads",
        "MB",
    )
    assert 0 <= wait.figure < 100
    assert 0 < memory.figure <= memory.bound == 400


def _bench(bench: str, folder: Path, *options: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "pytest", f"benches/bench_{bench}.py", "--quick", "--pairs=1"]
    command += [f"--results={folder}", "-p", "no:cacheprovider", *options]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), str(results.ROOT)])}
    environment.pop("LLAVA_FAST_FIXTURES", None)
    return subprocess.run(
        command, cwd=results.ROOT, env=environment, capture_output=True, text=True, timeout=600
    )

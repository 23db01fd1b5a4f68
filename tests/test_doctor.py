"""`llava-fast doctor`: what it finds, how it ends, what it loads."""

import json
import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from llava_fast import _rust, doctor, selftest
from llava_fast.doctor import Line, versions
from tests import tiny_data
from tests.data import make_selftest
from tests.repository import ROOT

PATHS = [name for name, runs in _rust.cpu_paths() if runs]


def run(*words: str, home: Path = ROOT / "python", **environment: str):
    """`llava-fast doctor` in a fresh process, with the package in `home`."""
    command = [sys.executable, "-m", "llava_fast", "doctor", *words]
    settings = os.environ | {"PYTHONPATH": str(home)} | environment
    return subprocess.run(command, env=settings, capture_output=True, text=True, timeout=300)


def lines(done: subprocess.CompletedProcess) -> dict[str, dict]:
    assert done.stderr == ""
    return {line["name"]: line for line in json.loads(done.stdout)["lines"]}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder with the package in it, to break."""
    shutil.copytree(
        ROOT / "python", tmp_path / "home", ignore=shutil.ignore_patterns("__pycache__")
    )
    return tmp_path / "home"


def test_a_sound_installation_passes():
    found = lines(run("--fast", "--json", LLAVA_FAST_CPU=""))
    tested = {name: line for name, line in found.items() if name.startswith("self-test")}
    assert list(tested) == [f"self-test {path}" for path in PATHS]
    assert {line["status"] for line in tested.values()} == {"ok"}
    assert found["processor"]["text"].endswith(f"{PATHS[-1]} chosen")
    assert found["agreement"]["status"] == "ok"
    assert found["numpy"]["text"] == metadata.version("numpy")


def test_the_stored_hashes_are_pillows(tmp_path: Path):
    make_selftest.main(tmp_path)
    stored = sorted(path.name for path in selftest.PICTURES.iterdir())
    assert stored == sorted(path.name for path in tmp_path.iterdir())
    for name in stored:
        assert (tmp_path / name).read_bytes() == (selftest.PICTURES / name).read_bytes(), name


def test_everything_includes_what_torch_sees():
    done = run(LLAVA_FAST_CPU="")
    assert "CUDA" in done.stdout
    assert done.returncode in (0, 1)


@pytest.mark.parametrize("words", [["--help"], ["doctor", "--help"], ["doctor", "--fast"]])
def test_neither_torch_nor_transformers_is_loaded(words: list[str]):
    code = (
        "import sys; from llava_fast.cli import main\n"
        f"try: main({words!r})\n"
        "finally: print('loaded', sorted({'torch', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.stdout.splitlines()[-1] == "loaded []", done.stderr


def test_a_wrong_hash_is_a_failure(copy: Path):
    index = copy / "llava_fast" / "selftest" / "pictures" / "INDEX.json"
    hashes = json.loads(index.read_text())
    hashes["tall.jpg"]["crop"] = "0" * 64
    index.write_text(json.dumps(hashes))
    done = run("--fast", "--json", home=copy)
    assert done.returncode == 2
    found = lines(done)
    for path in PATHS:
        line = found[f"self-test {path}"]
        assert (line["status"], line["text"]) == ("failed", "tall.jpg: crop differs")
        assert "install llava-fast again" in line["advice"]


def test_a_damaged_picture_is_a_failure_and_named(copy: Path):
    picture = copy / "llava_fast" / "selftest" / "pictures" / "baseline.jpg"
    picture.write_bytes(picture.read_bytes()[:2000])
    done = run("--fast", home=copy)
    assert done.returncode == 2
    assert f"{len(PATHS)} failed" in done.stdout.splitlines()[-1]
    assert "baseline.jpg: " in done.stdout
    assert done.stdout.count("-> ") >= len(PATHS)


def test_pictures_that_are_gone_are_a_failure(copy: Path):
    shutil.rmtree(copy / "llava_fast" / "selftest" / "pictures")
    done = run("--fast", "--json", home=copy)
    assert done.returncode == 2
    assert "INDEX.json" in lines(done)["self-test"]["text"]


def test_a_process_that_dies_is_a_failure(copy: Path):
    (copy / "llava_fast" / "selftest" / "__main__.py").write_text("import os; os.abort()")
    done = run("--fast", home=copy)
    assert done.returncode == 2
    assert "the process ended with signal 6" in done.stdout


def test_a_path_that_no_processor_has_is_named():
    done = run("--fast", "--json", LLAVA_FAST_CPU="mmx")
    assert done.returncode == 2
    line = lines(done)["processor"]
    assert line["status"] == "failed"
    assert "LLAVA_FAST_CPU: got `mmx`, expected one of scalar, avx2, avx512" in line["text"]
    assert line["advice"].startswith("unset LLAVA_FAST_CPU")


@pytest.mark.skipif(len(PATHS) == 1, reason="one path")
def test_a_forced_slower_path_is_a_warning():
    done = run("--fast", LLAVA_FAST_CPU="scalar")
    assert done.returncode == 1
    assert "scalar chosen by LLAVA_FAST_CPU" in done.stdout
    assert done.stdout.splitlines()[-1] == "1 warning"


def test_without_pillow_nothing_is_compared(tmp_path: Path):
    (tmp_path / "PIL.py").write_text("raise ImportError('hidden')")
    search = os.pathsep.join([str(tmp_path), str(ROOT / "python")])
    found = lines(run("--fast", "--json", PYTHONPATH=search))
    assert "agreement" not in found
    assert found[f"self-test {PATHS[-1]}"]["status"] == "ok"


@pytest.mark.parametrize(
    ("name", "version", "status"),
    [
        ("numpy", "2.0", "ok"),
        ("numpy", "1.26.4", "warning"),
        ("numpy", None, "failed"),
        ("torch", None, "warning"),
        ("torch", "2.10.0", "warning"),
        ("torch", "2.11.0+cpu", "ok"),
        ("transformers", "6.0.0", "warning"),
    ],
)
def test_versions_are_held_against_the_metadata(name, version, status, monkeypatch):
    def look_up(asked: str) -> str:
        if version is None:
            raise metadata.PackageNotFoundError(asked)
        return version

    monkeypatch.setattr(versions.metadata, "version", look_up)
    line = doctor._package(versions.installed(name))
    assert line.status == status
    assert (f"pip install '{name}" in line.advice) == (status != "ok")


@pytest.mark.parametrize(("statuses", "code"), [("ok ok", 0), ("ok warning", 1), ("failed ok", 2)])
def test_the_exit_status_is_the_worst_line(statuses, code, monkeypatch):
    found = [Line("x", status, "said") for status in statuses.split()]
    monkeypatch.setattr(doctor, "examine", lambda fast: iter(found))
    for as_json in (False, True):
        text, ended = doctor.report(fast=True, as_json=as_json)
        assert ended == code
        assert text.count("said") == 2


def test_no_argument_is_taken_yet():
    assert run("MODEL").returncode == 2


@pytest.mark.parametrize(
    "call",
    [
        "decode_image(sys.argv[1])",
        "ImageProcessor()",
        "ImageProcessor()(sys.argv[1], return_tensors='np')",
    ],
)
def test_a_wrong_path_is_an_error_where_it_is_first_needed(call: str):
    picture = str(selftest.PICTURES / "baseline.jpg")
    done = subprocess.run(
        [sys.executable, "-c", f"import llava_fast, sys; llava_fast.{call}", picture],
        env=os.environ | {"LLAVA_FAST_CPU": "mmx"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "ValueError: " in done.stderr
    assert "LLAVA_FAST_CPU: got `mmx`" in done.stderr


def test_a_wrong_path_makes_no_sample_a_bad_one(tmp_path: Path):
    tiny_data.write(tmp_path, 3)
    code = (
        "import pathlib, sys; from tests import tiny_data\n"
        "tiny_data.dataset(pathlib.Path(sys.argv[1]), on_bad_sample='skip')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"LLAVA_FAST_CPU": "mmx"},
        capture_output=True,
        text=True,
    )
    assert "ValueError: LLAVA_FAST_CPU: got `mmx`" in done.stderr

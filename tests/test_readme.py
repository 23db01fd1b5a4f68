"""README.md does what it says: its Python blocks and commands run, in order, in an empty folder."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from benches import readme_table
from tests.repository import ROOT
from tests.small_default import train_small_default

README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def commands() -> list[list[str]]:
    """The words of every command line in the shell blocks."""
    lines = "".join(blocks("sh")).replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As the repository is after `make run`, with pictures and records of a user beside it."""
    place = tmp_path_factory.mktemp("readme")
    (place / "training").symlink_to(ROOT / "training")
    train_small_default(place, sys.executable)
    data = place / "runs" / "tiny" / "data"
    (place / "photos").symlink_to(data / "images")
    (place / "captions.json").symlink_to(data / "stage1.json")
    (place / "dialogues.json").symlink_to(data / "stage2.json")
    picture = min((data / "images").rglob("*.jpg"))
    (data / "images" / "1.jpg").write_bytes(picture.read_bytes())
    [module] = [code for code in blocks("python") if code.startswith("# data.py\n")]
    (place / "data.py").write_text(module)
    return place


def run(folder: Path, *command: str) -> None:
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.strip()


@pytest.mark.parametrize("code", blocks("python"))
def test_python_blocks_run(code: str, folder: Path):
    assert len(code.strip().splitlines()) <= 20
    run(folder, sys.executable, "-c", code)


def test_commands_run(folder: Path):
    ours = {".venv/bin/python": [], ".venv/bin/llava-fast": ["-m", "llava_fast"]}
    for program, *words in commands():
        if program in ours and "pytest" not in words:
            run(folder, sys.executable, *ours[program], *words)


def test_make_targets_and_benches_exist():
    targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for program, *words in commands():
        if program == "make":
            assert set(words) <= set(targets)
        elif "pytest" in words:
            assert all((ROOT / word).exists() for word in words if "/" in word)
        else:
            assert program in (".venv/bin/python", ".venv/bin/llava-fast")


def test_linked_files_exist():
    for name in re.findall(r"\b[A-Z_]+\.md\b", README):
        assert (ROOT / name).exists()


def test_the_table_comes_from_the_results():
    assert readme_table.with_table(README) == README

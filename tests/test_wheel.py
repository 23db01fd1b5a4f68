"""The wheel and the sdist hold what git holds, and the wheel works away from the repository.

A build follows the links `llava_fast/kernels` and `llava_fast/training` only by the `include` lines
of pyproject.toml; without them it succeeds and ships neither. So the files are counted.
"""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.repository import ROOT, files
from tests.small_default import train_small_default

TOP = "Cargo.toml Cargo.lock LICENSE README.md THIRD_PARTY.md pyproject.toml"
LINKED = ("kernels", "training")


def build(source: Path, out: Path, *options: str) -> Path:
    """The file that `maturin build` leaves in `out` for the tree `source`."""
    command = [sys.executable, "-m", "maturin", "build", "--release", "--locked", "--quiet"]
    # One target folder for all trees: the crates of others are compiled once.
    environment = os.environ | {"CARGO_TARGET_DIR": str(ROOT / "target")}
    environment.pop("CONDA_PREFIX", None)
    result = subprocess.run(
        [*command, "--out", str(out), *options],
        cwd=source,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return next(out.glob("*.whl"))


def package_files() -> set[str]:
    """Paths inside the installed package `llava_fast`, from git."""
    names = {str(path.relative_to("python")) for path in files("python/*")}
    for top in LINKED:
        names |= {f"llava_fast/{path}" for path in files(f"{top}/*")}
    return {name for name in names if not (ROOT / "python" / name).is_dir()}


def wheel_files(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    metadata = {name for name in names if ".dist-info/" in name}
    assert any(name.endswith("licenses/LICENSE") for name in metadata)
    assert any(name.endswith("licenses/THIRD_PARTY.md") for name in metadata)
    extension = {name for name in names if name.startswith("llava_fast/_rust.")} - package_files()
    assert len(extension) == 1
    return names - metadata - extension


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel and the sdist of the working tree."""
    out = tmp_path_factory.mktemp("dist")
    wheel = build(ROOT, out, "--sdist")
    return wheel, next(out.glob("*.tar.gz"))


def test_the_wheel_holds_what_git_holds(built: tuple[Path, Path]):
    assert wheel_files(built[0]) == package_files()
    assert "-abi3-" in built[0].name


def test_the_sdist_holds_what_git_holds(built: tuple[Path, Path]):
    with tarfile.open(built[1]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    rust = {str(path) for path in files("rust/*")}
    python = {f"python/{name}" for name in package_files()}
    assert names == {"PKG-INFO", *TOP.split()} | rust | python


def test_a_wheel_built_from_the_sdist_is_the_same(built: tuple[Path, Path], tmp_path: Path):
    # A fixed folder and the dates of the originals: cargo compiles again what has changed, no more.
    with tarfile.open(built[1]) as archive:
        for member in archive.getmembers():
            original = ROOT / member.name.partition("/")[2]
            member.mtime = original.stat().st_mtime if original.is_file() else member.mtime
        archive.extractall(ROOT / "target", filter="data")
        tree = ROOT / "target" / archive.getnames()[0].partition("/")[0]
    assert wheel_files(build(tree, tmp_path)) == package_files()


@pytest.fixture(scope="module")
def installed(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a fresh environment with the wheel; dependencies come from this one."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--offline", "--no-deps"]
    subprocess.run([*command, "--python", python, built[0]], check=True)
    # A path entry, not a site folder: the editable install of the repository stays invisible.
    site = next(folder.glob("lib/python*/site-packages"))
    (site / "dependencies.pth").write_text(f"{next(p for p in sys.path if 'site-packages' in p)}\n")
    return folder / "bin"


def run(cwd: Path, *command: str | Path) -> str:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    result = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_the_installed_package_is_the_one_imported(installed: Path, tmp_path: Path):
    code = "import llava_fast; print(llava_fast.__file__, llava_fast.__version__)"
    place, version = run(tmp_path, installed / "python", "-c", code).split()
    assert Path(place).is_relative_to(installed.parent)
    assert run(tmp_path, installed / "llava-fast", "--version").strip().endswith(version)


def test_the_installed_package_trains(installed: Path, tmp_path: Path):
    out = train_small_default(tmp_path, installed / "python")
    assert (out / "summary.json").exists()
    assert (out / "stage2" / "model" / "model.safetensors").exists()

"""Builds and runs the libFuzzer targets in `fuzz/` with the stable compiler.

The compiler ships AddressSanitizer and LLVM's coverage pass; RUSTC_BOOTSTRAP lets it use them.
libFuzzer itself comes with the crate `libfuzzer-sys` as C++ source.
"""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TARGETS = ("jpeg", "png", "webp", "gif", "bmp", "prepare")
OUT = ROOT / "target" / "fuzz"

COVERAGE = ("level=4", "inline-8bit-counters", "pc-table", "trace-compares")
FLAGS = ["-Zsanitizer=address", "-Cpasses=sancov-module", "-Cdebug-assertions"] + [
    f"-Cllvm-args=-sanitizer-coverage-{option}" for option in COVERAGE
]
# Of the sanitizer too, which needs about as much as the program again.
MEMORY_MB = 2_000
# A file may claim 64 million pixels, which are decoded twice and prepared four times, ten times as
# slow as without the sanitizer; how long a call may take is asked elsewhere.
SECONDS_PER_FILE = 60


@dataclass(frozen=True)
class Run:
    """What libFuzzer said in the end."""

    code: int
    output: str

    @property
    def executions(self) -> int:
        """How many files it tried."""
        found = re.search(r"stat::number_of_executed_units:\s*(\d+)", self.output)
        return int(found[1]) if found else 0


def build() -> Path:
    """The folder of the programs; fails with what to install."""
    compiler = os.environ.get("CXX", "c++")
    if shutil.which(compiler) is None:
        pytest.fail(
            f"libFuzzer is built with a C++ compiler, and there is no `{compiler}`: "
            "install g++ or clang++, or name one in CXX"
        )
    version = subprocess.run(["rustc", "-vV"], capture_output=True, text=True, check=True).stdout
    host = re.search(r"host: (\S+)", version)[1]
    command = ["cargo", "build", "--release", "--quiet", "--target", host]
    place = ["--manifest-path", str(ROOT / "fuzz" / "Cargo.toml"), "--target-dir", str(OUT)]
    env = os.environ | {"RUSTC_BOOTSTRAP": "1", "RUSTFLAGS": " ".join(FLAGS)}
    subprocess.run([*command, *place], env=env, check=True)
    return OUT / host / "release"


def run(program: Path, corpus: Path, seeds: Path, seconds: int) -> Run:
    """Fuzzes for so long; what it finds stays beside the corpus, a culprit with it."""
    options = [
        f"-max_total_time={seconds}",
        f"-rss_limit_mb={MEMORY_MB}",
        f"-timeout={SECONDS_PER_FILE}",
        f"-artifact_prefix={corpus.parent}/",
        "-max_len=8192",
        "-print_final_stats=1",
    ]
    child = subprocess.run(
        [program, *options, corpus, seeds], capture_output=True, text=True, errors="replace"
    )
    return Run(child.returncode, child.stderr)

"""`_rust.pyi` says what the extension has: no more, no less, with the same signatures."""

import subprocess
import sys

from tests.repository import ROOT


def test_the_stub_matches_the_extension():
    result = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "llava_fast._rust"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr

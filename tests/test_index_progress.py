"""How `llava-fast index --check` tells how far it is, and how Ctrl-C ends it."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path

import pytest

from llava_fast.index import slices as module
from llava_fast.progress import Progress, said
from tests.test_index_check import GOOD, TOKENIZER


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def shown(stream: StringIO, seconds: list[float]) -> str:
    """What is written when record 100, 200, ... of 1,000 is done at those times."""
    times = iter([0.0, *seconds])
    with Progress(1000, stream, lambda: next(times)) as progress:
        for number in range(1, len(seconds) + 1):
            progress.at(100 * number)
    return stream.getvalue()


def test_a_pipe_gets_a_line_every_ten_seconds() -> None:
    assert shown(StringIO(), [1, 5, 9.9]) == ""
    assert shown(StringIO(), [1, 10, 11, 19, 21]).splitlines() == [
        "200 of 1,000 records, 20 records/s, 40 s left",
        "500 of 1,000 records, 24 records/s, 21 s left",
    ]


def test_a_terminal_has_one_line_that_goes_away() -> None:
    written = shown(Terminal(), [0.1, 0.5, 0.6, 50, 50.1])
    lines = written.split("\r")
    assert lines[1] == "200 of 1,000 records, 400 records/s, 2 s left"
    # The second is as long as the first, which it covers.
    assert lines[2] == "400 of 1,000 records, 8 records/s, 1 min 15 s left"
    assert lines[3].strip() == lines[4] == ""
    assert len(lines[3]) == len(lines[2])
    assert "\n" not in written


def test_hours_are_said_as_such() -> None:
    assert said(1, 10_001, 1.0).endswith("2 h 46 min left")
    assert said(0, 10, 0.0).endswith("left")


@pytest.mark.parametrize("cost", [1e-7, 1e-4, 0.02, 3.0])
def test_slices_take_about_a_tenth_of_a_second(monkeypatch, cost: float) -> None:
    now = 0.0
    monkeypatch.setattr(module, "perf_counter", lambda: now)
    slices = []
    for start, stop in module.slices(20_000 if cost < 1 else 40):
        slices.append((start, stop))
        now += cost * (stop - start)
    borders = [start for start, _ in slices] + [slices[-1][1]]
    assert borders == [0, *(stop for _, stop in slices)]
    # The first few find out how long a record takes.
    longest = max(stop - start for start, stop in slices[5:])
    assert longest * cost <= 0.11 or longest == 1
    assert longest * cost >= 0.05 or longest == 4096
    assert list(module.slices(0)) == []


def test_a_record_that_takes_long_makes_the_next_slices_short(monkeypatch) -> None:
    now, sizes = 0.0, []
    monkeypatch.setattr(module, "perf_counter", lambda: now)
    for start, stop in module.slices(60_000):
        sizes.append(stop - start)
        now += (stop - start) * (1e-5 if stop < 30_000 else 1e-2)
    assert max(sizes) == 4096
    assert sizes[-1] <= 10


def test_ctrl_c_ends_it_at_once_and_leaves_nothing(tmp_path: Path) -> None:
    data = tmp_path / "train.json"
    data.write_text(json.dumps([GOOD | {"id": str(n)} for n in range(400_000)]))
    words = [str(data), "--check", "--tokenizer", str(TOKENIZER), "--threads", "1"]
    words += ["--bad-list", str(tmp_path / "bad.jsonl")]
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "llava_fast", "index", *words],
        stdout=subprocess.PIPE,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    line = os.read(ours, 1000)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    # Python's own end takes most of it.
    assert time.monotonic() - began < 3
    assert b"records/s" in line
    assert (process.returncode, out) == (130, b"")
    os.close(ours)
    assert [path.name for path in tmp_path.glob("[!.]*")] == ["train.json"]


def test_it_loads_neither_torch_nor_transformers(tmp_path: Path) -> None:
    (tmp_path / "train.json").write_text(json.dumps([GOOD]))
    words = ["index", str(tmp_path / "train.json"), "--check", "--tokenizer", str(TOKENIZER)]
    code = (
        "import sys; from llava_fast.cli import main\n"
        f"try: main({words!r})\n"
        "finally: assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")

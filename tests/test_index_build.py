"""`llava-fast index DATA`: what it says and keeps, and what is left of a run that is broken off."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from llava_fast.cli import main
from llava_fast.progress import Progress, asked_for
from tests.scale import scaled
from tests.test_counts import counted, counts, made, save
from tests.test_index_check import EMPTY, GOOD, TOKENIZER

RECORDS = 400_000


@pytest.fixture
def run(capsys):
    def call(data: Path, *words: object) -> tuple[int, str, str]:
        command = ["index", data, "--tokenizer", TOKENIZER, "--image-size", 28, *words]
        with pytest.raises(SystemExit) as end:
            main([str(word) for word in command])
        captured = capsys.readouterr()
        return end.value.code or 0, captured.out, captured.err

    return call


def test_what_is_kept_is_said(run, tmp_path: Path) -> None:
    data = save(tmp_path / "train.jsonl", [GOOD, 3, EMPTY, EMPTY])
    code, out, err = run(data)
    assert (code, err) == (2, "")
    lines = out.splitlines()
    assert lines[0] == f"{data}: 4 records, 1 usable, 3 bad"
    assert lines[1] == "template v1, max_length 2048, pictures: crop, 28 pixels"
    assert lines[4].split()[:2] == ["empty_answer", "2"]
    assert lines[5].split()[:2] == ["malformed_record", "1"]
    (path,) = tmp_path.glob(".llava_fast/*.counts")
    assert lines[-1] == f"the counts of `{data}` are kept in `{path}`"
    assert lines[-2].endswith("; 0 records had been counted before")
    assert run(data)[1].splitlines()[-2].endswith("; 4 records had been counted before")
    assert run(data, "--fresh")[1].splitlines()[-2].endswith("; 0 records had been counted before")


def test_json_has_the_figures_of_a_check(run, tmp_path: Path) -> None:
    data = save(tmp_path / "train.jsonl", made(500, 7))
    code, out, _ = run(data, "--json", "--max-length", 128)
    built = json.loads(out)
    checked = json.loads(run(data, "--json", "--max-length", 128, "--check")[1])
    assert code == checked["status"]
    same = ("data", "template", "max_length", "image_mode", "image_size", "records", "usable")
    for key in (*same, "tokens", "longest", "faults", "train_on_nothing", "status"):
        assert built[key] == checked[key], key
    shortened = built["repairs"].pop("shortened", 0)
    assert (built["repairs"], shortened) == (checked["repairs"], checked["cut_samples"])
    assert built["files"][0]["data"] == str(data)
    assert Path(built["files"][0]["counts"]).exists()


def test_where_nothing_can_be_kept_it_says_so(run, tmp_path: Path, monkeypatch) -> None:
    data = save(tmp_path / "train.jsonl", [GOOD])
    (tmp_path / "file").write_text("")
    code, out, _ = run(data, "--index-dir", tmp_path / "file")
    assert code == 0
    assert out.splitlines()[-1].startswith(f"the counts of `{data}` are not kept: ")


def started(data: Path, stderr: int) -> subprocess.Popen[bytes]:
    words = [str(data), "--tokenizer", str(TOKENIZER), "--threads", "1", "--image-size", "28"]
    return subprocess.Popen(
        [sys.executable, "-m", "llava_fast", "index", *words],
        stdout=subprocess.PIPE,
        stderr=stderr,
        start_new_session=True,
        # What the background of a script starts is told to ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    records = [GOOD | {"id": str(number)} for number in range(RECORDS)]
    return save(tmp_path_factory.mktemp("many") / "train.jsonl", records)


def remove_counts(data: Path) -> None:
    for path in data.parent.glob(".llava_fast/*.counts"):
        path.unlink()


def test_ctrl_c_ends_it_at_once_and_the_next_run_goes_on(many: Path) -> None:
    # On a busy machine the run may be over before the signal is sent.
    for _ in range(5):
        remove_counts(many)
        ours, theirs = pty.openpty()
        process = started(many, theirs)
        os.close(theirs)
        assert b" of 400,000 records" in os.read(ours, 1000)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
        seconds = time.monotonic() - began
        os.close(ours)
        if process.returncode:
            break
    assert (process.returncode, out) == (130, b"")
    assert seconds < 5 * 0.2
    again = counts(many, max_length=2048)
    lengths, *_ = counted(again)
    assert 0 < again.found < again.total == RECORDS
    assert set(lengths) == {lengths[0]}
    assert lengths[0] > 0


def test_a_run_that_is_killed_is_gone_on_with(many: Path) -> None:
    counted(counts(many, max_length=2048, fresh=True))
    (path,) = many.parent.glob(".llava_fast/*.counts")
    whole = path.read_bytes()
    found = 0
    for attempt in range(scaled(100, least=3)):
        remove_counts(many)
        ours, theirs = pty.openpty()
        process = started(many, theirs)
        os.close(theirs)
        os.read(ours, 1000)
        time.sleep(0.01 * (attempt % 30))
        process.kill()
        process.communicate()
        os.close(ours)
        again = counts(many, max_length=2048)
        counted(again)
        found += again.found
        assert path.read_bytes() == whole
    assert found > 0


class Terminal:
    """Notes what is written to it."""

    def __init__(self) -> None:
        self.text = ""

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None:
        pass


def test_nothing_is_said_before_somebody_waits() -> None:
    times = iter([0.0, 1.9, 2.1, 2.2, 2.4])
    terminal = Terminal()
    notes = Progress(100, terminal, lambda: next(times), patience=2.0, doing="counting: ")
    for done in (10, 40, 50, 60):
        notes.at(done, before=8)
    assert terminal.text.split("\r")[1:] == [
        "counting: 40 of 100 records, 15 records/s, 4 s left",
        "counting: 60 of 100 records, 22 records/s, 2 s left",
    ]
    silent = Progress(100, None)
    silent.at(50)


def test_one_of_several_ranks_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    assert asked_for(None) is sys.stderr
    assert asked_for(False) is None
    monkeypatch.setenv("RANK", "0")
    assert asked_for(None) is sys.stderr
    monkeypatch.setenv("RANK", "3")
    assert asked_for(None) is None
    assert asked_for(True) is sys.stderr

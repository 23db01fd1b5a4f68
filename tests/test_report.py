"""Console figures are nothing but the lines of metrics.jsonl, summed up."""

import json
import re
import time
from dataclasses import asdict

import pytest

from llava_fast.training.report import (
    Console,
    MetricsFile,
    StepRecord,
    accuracy_table,
    clock,
    console_line,
    totals,
)
from tests.training_packs import document, run, small_model


def record(step: int, **changes) -> StepRecord:
    values = {
        "step": step,
        "loss": 2.0,
        "lr": 1e-3,
        "grad_norm": 1.0,
        "tokens": 900,
        "supervised": 300,
        "images": 6,
        "samples": 7,
        "slots": 1000,
        "seconds": 0.5,
        "wait_seconds": 0.1,
        "memory_bytes": 2**30,
    }
    return StepRecord(**values | changes)


def figures(line: str) -> dict[str, float]:
    """The numbers of a console line, by their unit or name."""
    patterns = {
        "step": r"step +(\d+)/",
        "loss": r"loss ([\d.]+)",
        "lr": r"lr (\S+)",
        "tokens/s": r"([\d,]+) tokens/s",
        "images/s": r"([\d,.]+) images/s",
        "padding": r"padding ([\d.]+) %",
        "wait": r"data wait ([\d.]+) %",
        "memory": r"memory ([\d.]+) GiB",
    }
    found = {name: re.search(pattern, line) for name, pattern in patterns.items()}
    return {name: float(hit.group(1).replace(",", "")) for name, hit in found.items() if hit}


def test_one_line():
    window = [record(1), record(2, loss=1.0, tokens=700, seconds=1.5)]
    line = console_line(window, steps=12)
    assert figures(line) == {
        "step": 2,
        "loss": 1.5,
        "lr": 1e-3,
        "tokens/s": 800,
        "images/s": 6,
        "padding": 20,
        "wait": 10,
        "memory": 1,
    }
    assert line.endswith("eta 0:10")


def test_a_skipped_step_is_seen():
    line = console_line([record(1, loss=None, skipped="not finite")], steps=1)
    assert "loss -" in line
    assert line.endswith("skipped 1")


@pytest.mark.parametrize(("seconds", "text"), [(5, "0:05"), (65.4, "1:05"), (3700, "1:01:40")])
def test_clock(seconds, text):
    assert clock(seconds) == text


def test_console_figures_follow_from_the_metrics_of_a_slowed_loader(tmp_path, capsys):
    """30 ms for every pack: the wait shows, and all figures can be recomputed from the file."""

    def slowed(packs):
        for pack in packs:
            time.sleep(0.03)
            yield pack

    metrics, console = MetricsFile(tmp_path / "metrics.jsonl", 0), Console(8, 4)
    packs = [document(i, 20 + i, image=i % 3 > 0) for i in range(8)]
    run(small_model(), None, slowed(packs), steps=8, done=[metrics.write, console.step])
    metrics.close()
    lines = [json.loads(text) for text in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    shown = [figures(line) for line in capsys.readouterr().out.splitlines()]
    assert [f["step"] for f in shown] == [4, 8]
    for window, seen in zip((lines[:4], lines[4:]), shown, strict=True):
        total = {k: sum(x[k] for x in window) for k in ("seconds", "tokens", "slots", "images")}
        waited = sum(x["wait_seconds"] for x in window)
        assert waited >= 4 * 0.03
        assert seen["wait"] == pytest.approx(100 * waited / total["seconds"], abs=0.06)
        assert seen["tokens/s"] == pytest.approx(total["tokens"] / total["seconds"], abs=0.6)
        assert seen["images/s"] == pytest.approx(total["images"] / total["seconds"], abs=0.06)
        assert seen["padding"] == pytest.approx(
            100 - 100 * total["tokens"] / total["slots"], abs=0.06
        )
        assert seen["loss"] == pytest.approx(sum(x["loss"] for x in window) / 4, abs=6e-5)


def test_no_bar_without_a_terminal(capsys):
    console = Console(10, 5)
    for step in range(1, 6):
        console.step(record(step))
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert "\r" not in out


def test_a_bar_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    console = Console(10, 5)
    console.step(record(1))
    out = capsys.readouterr().out
    assert out.startswith("\r")
    assert "] 1/10" in out


def test_metrics_are_cut_back_to_the_checkpoint(tmp_path):
    path = tmp_path / "metrics.jsonl"
    metrics = MetricsFile(path, 0)
    metrics.write(record(1))
    size = metrics.sync()
    metrics.write(record(2))
    metrics.close()
    again = MetricsFile(path, size)
    again.write(record(2, loss=5.0))
    again.close()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines == [asdict(record(1)), asdict(record(2, loss=5.0))]


def test_metrics_wait_in_memory_while_the_disk_is_full(tmp_path, monkeypatch):
    path = tmp_path / "metrics.jsonl"
    metrics = MetricsFile(path, 0)
    metrics.write(record(1))

    def full(*_):
        raise OSError(28, "no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.pwrite", full)
        metrics.write(record(2))
        with pytest.raises(OSError, match="no space left"):
            metrics.sync()
    metrics.write(record(3))
    metrics.sync()
    metrics.close()
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [1, 2, 3]


def test_totals():
    out = totals([record(1), record(2, loss=None), record(3, loss=4.0)], last=2)
    assert (out["steps"], out["loss"], out["tokens"], out["images"]) == (3, 4.0, 2700, 18)
    assert out["tokens_per_s"] == 1800
    assert out["padding"] == pytest.approx(0.1)


def test_table():
    score = {"exact": 0.5, "records": 4}
    results = {
        "before": score | {"by_category": {"count": score}},
        "held_out": {"exact": 1.0, "records": 8, "by_category": {"count": score, "shape": score}},
    }
    table = accuracy_table(results).splitlines()
    assert table[0].split() == ["exact", "answers", "before", "held", "out"]
    assert table[2].split() == ["count", "0.500", "of", "4", "0.500", "of", "4"]
    assert table[3].split() == ["shape", "-", "0.500", "of", "4"]
    assert table[-1].split() == ["all", "0.500", "of", "4", "1.000", "of", "8"]

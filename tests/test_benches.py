"""The benches themselves: arithmetic of the timer, form of the results, and gates that hold."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from benches import gpu_check, results, timing
from benches.gates import GateError, identical, within_grey_levels
from llava_fast.config import CLIP_STD


class FakeMachine:
    """Calls that take the listed seconds in turn; CPU time is half of it."""

    def __init__(self, **durations: list[float]) -> None:
        self.now = 0.0
        self.order: list[str] = []
        self.left = {name: iter(seconds) for name, seconds in durations.items()}
        self.clock = timing.Clock(wall=lambda: self.now, cpu=lambda: self.now / 2)

    def call(self, name: str):
        def run() -> None:
            self.order.append(name)
            self.now += next(self.left[name])

        return run

    def compare(self, **options) -> timing.Comparison:
        return timing.compare(self.call("ours"), self.call("peer"), clock=self.clock, **options)


def test_ratio_is_the_median_over_pairs_not_of_medians():
    # Both sides slow down together in the third pair: the ratio of that pair stays what it is.
    machine = FakeMachine(ours=[9, 1, 1, 1, 10, 1, 1], peer=[9, 1, 2, 2, 20, 4, 3])
    measured = machine.compare(pairs=5, min_seconds=0.5)
    assert measured.wall.median == 2
    assert (measured.wall.low, measured.wall.high) == (2, 3)
    assert measured.cpu == measured.wall
    assert measured.ours == timing.Sample(wall=1, cpu=0.5)
    assert measured.peer == timing.Sample(wall=3, cpu=1.5)


def test_samples_alternate_after_warm_up():
    machine = FakeMachine(ours=[1] * 9, peer=[1] * 9)
    machine.compare(pairs=3, min_seconds=0.5, warm_up=2)
    assert machine.order == ["ours", "peer"] * 6


def test_short_calls_are_repeated_until_the_sample_is_long_enough():
    machine = FakeMachine(ours=[0.01] * 100, peer=[0.1] * 100)
    measured = machine.compare(pairs=2, min_seconds=0.2, warm_up=0)
    # One call to calibrate; then 2 samples of each side, of at least 0.2 s.
    assert machine.order.count("ours") == pytest.approx(1 + 2 * 21, abs=2)
    assert machine.order.count("peer") == pytest.approx(1 + 2 * 3, abs=2)
    assert measured.wall.median == pytest.approx(10)


def test_a_wide_spread_is_not_steady():
    assert timing.Ratio(2.0, 1.9, 2.2).steady
    assert not timing.Ratio(2.0, 1.5, 2.5).steady


def test_garbage_collector_is_off_inside_a_sample_and_back_on_after_an_error():
    import gc

    seen = []
    timing.compare(lambda: seen.append(gc.isenabled()), lambda: None, pairs=1, min_seconds=0)
    assert seen[-1] is False
    with pytest.raises(ZeroDivisionError):
        timing._sample(lambda: 1 / 0, 1, timing.Clock())
    assert gc.isenabled()


def test_cpu_time_counts_worker_processes():
    code = (
        "import multiprocessing, time\n"
        "from benches.timing import cpu_seconds\n"
        "def spin(queue):\n"
        "    end = time.process_time() + 0.3\n"
        "    while time.process_time() < end: pass\n"
        "    queue.put(1); time.sleep(5)\n"
        "context = multiprocessing.get_context('fork')\n"
        "queue = context.Queue()\n"
        "before = cpu_seconds()\n"
        "worker = context.Process(target=spin, args=(queue,), daemon=True); worker.start()\n"
        "queue.get(); print(cpu_seconds() - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=results.ROOT, capture_output=True, text=True, check=True
    )
    assert float(done.stdout) >= 0.25


KEYS = {"bench", "case", "ours", "peer", "ratio", "spread", "exact", "unit", "path", "machine"}
KEYS |= {"versions", "commit"}


def entry(**changes) -> results.Entry:
    plain = {
        "bench": "preprocess",
        "case": "crop",
        "ours": 1.0,
        "peer": 3.0,
        "ratio": 3.0,
        "spread": (2.9, 3.1),
        "cpu_ratio": 3.0,
        "exact": True,
        "unit": "ms/image",
        "path": "scalar",
    }
    return results.Entry(**plain | changes)


def test_results_have_the_published_keys(tmp_path: Path):
    path = results.write(tmp_path, "preprocess", [entry(), entry(case="pad", exact=False)])
    stored = json.loads(path.read_text())
    assert [row["case"] for row in stored] == ["crop", "pad"]
    assert stored[0].keys() > KEYS
    assert results.Entry(**stored[0]).ratio == 3.0
    assert stored[0]["versions"]["numpy"] == np.__version__


def test_committed_results_follow_the_schema():
    for path in results.RESULTS.glob("*.json"):
        stored = json.loads(path.read_text())
        rows = stored if isinstance(stored, list) else stored["results"]
        for row in rows:
            assert asdict(results.Entry(**row)).keys() == row.keys()
            assert row["spread"][0] <= row["ratio"] <= row["spread"][1]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path):
    path = tmp_path / "x.json"
    results.write_json(path, [1])
    with pytest.raises(TypeError):
        results.write_json(path, [object()])
    assert json.loads(path.read_text()) == [1]
    assert [file.name for file in tmp_path.iterdir()] == ["x.json"]


def test_table_shows_ratio_and_quartiles():
    head, row = results.table([entry()]).splitlines()
    assert head.split()[:4] == ["bench", "case", "ours", "peer"]
    shown = "preprocess crop 1.000 3.000 ms/image 3.00 2.90-3.10 3.00 yes"
    assert " ".join(row.split()) == shown


def test_identical_is_about_bytes_dtype_and_shape():
    array = np.zeros((2, 3), np.float32)
    assert identical({"a": array}, {"a": array.copy()}).exact
    for other in (array - 0.0 * -1, array + 1e-7, array.astype(np.float64), array.reshape(3, 2)):
        changed = other if other.tobytes() != array.tobytes() else other.astype(np.int32)
        with pytest.raises(GateError):
            identical({"a": changed}, {"a": array})
    with pytest.raises(GateError, match="expected"):
        identical({}, {"a": array})


def grey(level: int, share: float) -> dict[str, np.ndarray]:
    """Normalised pixels of which `share` lie `level` grey levels above 0."""
    pixels = np.zeros((1, 3, 10, 100), np.float32)
    flat = pixels.reshape(3, -1)
    flat[:, : round(flat.shape[1] * share)] = level / 255 / np.array(CLIP_STD)[:, None]
    return {"pixel_values": pixels}


def test_grey_level_gate_states_what_it_measured():
    gate = within_grey_levels(most=2, share=0.01)
    verdict = gate(grey(2, 0.01), grey(0, 0))
    assert not verdict.exact
    assert verdict.note == "1.00% of the values differ, by up to 2 grey levels"
    assert gate(grey(1, 0.5), grey(1, 0.5)).exact
    for ours in (grey(3, 0.001), grey(1, 0.02)):
        with pytest.raises(GateError, match="grey levels"):
            gate(ours, grey(0, 0))


# A plugin for pytest: our functions return a shifted result, and the timer says if it ran.
BROKEN = """
import pathlib
import benches.timing, llava_fast.data, llava_fast.images, llava_fast.text

def timed(*arguments, **options):
    pathlib.Path({flag!r}).touch()
    raise AssertionError("timed in spite of the gate")

benches.timing.compare = timed
real_process = llava_fast.images.ImageProcessor.__call__
real_encode = llava_fast.text.encode
real_iter = llava_fast.data.DataLoader.__iter__

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

llava_fast.images.ImageProcessor.__call__ = process
llava_fast.text.encode = encode
llava_fast.data.DataLoader.__iter__ = batches
"""


@pytest.mark.parametrize("bench", ["preprocess", "loader", "tokenize"])
def test_a_bench_fails_untimed_when_its_gate_is_broken(bench: str, tmp_path: Path):
    flag = tmp_path / "timed"
    (tmp_path / "broken.py").write_text(BROKEN.format(flag=str(flag)))
    done = _bench(bench, tmp_path, "-p", "broken", "-k", "not torchvision")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "nothing was timed" in done.stdout
    assert " passed" not in done.stdout
    assert not flag.exists()
    assert not list(tmp_path.glob("*.json"))


def _bench(bench: str, folder: Path, *options: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "pytest", f"benches/bench_{bench}.py", "--quick", "--pairs=1"]
    command += [f"--results={folder}", "-p", "no:cacheprovider", *options]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), str(results.ROOT)])}
    environment.pop("LLAVA_FAST_FIXTURES", None)
    return subprocess.run(
        command, cwd=results.ROOT, env=environment, capture_output=True, text=True, timeout=600
    )


def python(code: str, name: str, seconds: float = 20.0) -> gpu_check.Step:
    return gpu_check.Step(name, seconds, [sys.executable, "-c", code])


def test_gpu_check_writes_its_report_after_every_step(tmp_path: Path):
    report = tmp_path / "report.json"
    setting = gpu_check.Setting("cpu", None, tmp_path)
    look = f"import json; print(len(json.load(open({str(report)!r}))['steps']), 'before')"
    plan = [
        python("print('first')", "good"),
        python("import sys; sys.exit('broken')", "bad"),
        python("import time; time.sleep(60)", "slow", seconds=0.5),
        python(look, "look"),
    ]
    outcomes = gpu_check.run(plan, setting, report)
    assert [o.status for o in outcomes] == ["passed", "failed", "late", "passed"]
    assert [o.detail for o in outcomes] == ["first", "broken", "over 1.5 s", "3 before"]
    stored = json.loads(report.read_text())
    assert [step["step"] for step in stored["steps"]] == ["good", "bad", "slow", "look"]
    assert stored["commit"] == results.commit()


def test_gpu_check_ends_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gpu_check, "TOTAL_SECONDS", 0.0)
    setting = gpu_check.Setting("cpu", None, tmp_path)
    outcomes = gpu_check.run([python("print()", "any")], setting, tmp_path / "report.json")
    assert [o.status for o in outcomes] == ["late"]


@pytest.mark.parametrize(
    ("counts", "passed"),
    [((3, 0, 0, 0), True), ((3, 0, 0, 1), False), ((3, 1, 0, 0), False), ((0, 0, 0, 0), False)],
)
def test_gpu_check_counts_a_skipped_check_as_not_run(counts: tuple, passed: bool, tmp_path: Path):
    path = tmp_path / "junit.xml"
    path.write_text(
        '<testsuites><testsuite tests="{}" failures="{}" errors="{}" skipped="{}"/></testsuites>'
        "".format(*counts)
    )
    assert gpu_check.read_junit(path)[0] is passed


def test_gpu_check_dry_run_passes():
    command = [sys.executable, "-m", "benches.gpu_check", "--dry-run"]
    done = subprocess.run(command, cwd=results.ROOT, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    for bench in ("preprocess", "loader", "tokenize"):
        assert any(line.startswith(f"{bench} ") for line in lines)
    passed, _, total, *rest = lines[-1].split()
    assert (passed, rest) == (total, ["steps", "passed"])

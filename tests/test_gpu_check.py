"""`make gpu-check` without a GPU: deadlines, the report, what counts as passed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benches import gpu_check, results


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

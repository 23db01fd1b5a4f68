"""Checks and benches on a machine with a GPU: `python -m benches.gpu_check`.

Uses the Python it is started with and no network. The package is the wheel (`--wheel FILE`),
unpacked into a temporary folder, or else this tree with the extension built in it. Every step has a
deadline, all of them together end within nine minutes, and the report is written again after each
step, so that a machine that goes away leaves what it measured. Exit status 0: all ran and passed.

`--dry-run` takes the same steps on the CPU with small inputs and leaves no report in the tree.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from benches import results

TOTAL_SECONDS = 530.0
# A rehearsal has no machine to give back in time, and may share its processor.
DRY_PATIENCE = 3.0
REPORT = results.RESULTS / "h200.json"


@dataclass(frozen=True)
class Outcome:
    """One finished step: `status` is "passed", "failed" or "late"."""

    step: str
    status: str
    seconds: float
    detail: str


@dataclass(frozen=True)
class Setting:
    """Where the run takes place."""

    device: str
    wheel: Path | None
    scratch: Path

    @property
    def patience(self) -> float:
        """Factor of all deadlines."""
        return DRY_PATIENCE if self.device == "cpu" else 1.0

    @property
    def site(self) -> Path:
        """The folder that holds the package."""
        return self.scratch / "site" if self.wheel else results.ROOT / "python"

    def environment(self) -> dict[str, str]:
        """For the steps: this package first, one check device, no network."""
        path = os.pathsep.join([str(self.site), str(results.ROOT)])
        return os.environ | {
            "PYTHONPATH": path,
            "LLAVA_FAST_CHECK_DEVICE": self.device,
            "HF_HUB_OFFLINE": "1",
            "TOKENIZERS_PARALLELISM": "false",
        }


@dataclass(frozen=True)
class Step:
    """A command with its deadline in seconds; `read` turns a finished one into (passed, detail)."""

    name: str
    seconds: float
    command: list[str]
    read: Callable[[str], tuple[bool, str]] = lambda output: (True, _last_line(output))


def main(arguments: list[str] | None = None) -> int:
    """Run every step, write the report, print the table; 0 if all passed."""
    parser = argparse.ArgumentParser(prog="gpu-check", description=__doc__.splitlines()[0])
    parser.add_argument("--wheel", type=Path, help="check this wheel instead of the tree")
    parser.add_argument("--dry-run", action="store_true", help="on the CPU, with small inputs")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="gpu-check-") as folder:
        scratch = Path(folder)
        device = "cpu" if options.dry_run else "cuda"
        setting = Setting(device, options.wheel and options.wheel.resolve(), scratch)
        report = scratch / "report.json" if options.dry_run else REPORT
        outcomes = run(steps(setting), setting, report)
        print(results.table(_entries(scratch)))
    print(_table(outcomes))
    return 0 if all(outcome.status == "passed" for outcome in outcomes) else 1


def steps(setting: Setting) -> list[Step]:
    """The steps in order: what later ones need comes first, cheap ones before dear ones."""
    found = [_package(setting), _device(setting)]
    if setting.wheel:
        found.insert(0, _install(setting))
    found += [_tests(setting, name, seconds) for name, seconds in TESTS.items()]
    found += [_bench(setting, name, seconds) for name, seconds in BENCHES.items()]
    return found


TESTS = {"model": 90.0, "generate": 60.0, "training": 100.0}
BENCHES = {"preprocess": 90.0, "loader": 80.0, "tokenize": 40.0}
# Small inputs.
DRY = ["--quick", "--pairs=1"]
# Only the peers that every installation has: a comparison that is missing counts as failed.
SELECTED = {"preprocess": "hf_pillow and coco", "loader": "not torchvision"}


def _install(setting: Setting) -> Step:
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--quiet"]
    return Step("install", 40.0, [*pip, "--target", str(setting.site), str(setting.wheel)])


def _package(setting: Setting) -> Step:
    code = (
        "import llava_fast, pathlib, sys;"
        "home = pathlib.Path(llava_fast.__file__).parent;"
        "assert home.parent == pathlib.Path(sys.argv[1]), f'imported from {home}';"
        "llava_fast.decode_image;"
        "print('llava_fast', llava_fast.__version__)"
    )
    return Step("package", 30.0, [sys.executable, "-c", code, str(setting.site)])


def _device(setting: Setting) -> Step:
    code = (
        "import sys, torch, transformers, triton;"
        "device = torch.device(sys.argv[1]);"
        "x = torch.ones(8, 8, device=device);"
        "assert float((x @ x).sum()) == 512;"
        "name = torch.cuda.get_device_name() if device.type == 'cuda' else 'CPU';"
        "print(f'{name}, torch {torch.__version__}, triton {triton.__version__}, '"
        "f'transformers {transformers.__version__}')"
    )
    return Step("device", 40.0, [sys.executable, "-c", code, setting.device])


def _tests(setting: Setting, name: str, seconds: float) -> Step:
    report = setting.scratch / f"{name}.xml"
    command = [*_pytest(f"tests/gpu/test_gpu_{name}.py"), "-m", "gpu", f"--junitxml={report}"]
    return Step(f"test {name}", seconds, command, lambda output: read_junit(report))


def _bench(setting: Setting, name: str, seconds: float) -> Step:
    report = setting.scratch / f"bench-{name}.xml"
    size = ["--pairs=5"] if setting.device == "cuda" else DRY
    command = [*_pytest(f"benches/bench_{name}.py"), *size, f"--junitxml={report}"]
    command.append(f"--results={setting.scratch / 'results'}")
    command += ["-k", SELECTED[name]] if name in SELECTED else []
    return Step(f"bench {name}", seconds, command, lambda output: read_junit(report))


def _pytest(path: str) -> list[str]:
    return [sys.executable, "-m", "pytest", path, "-q", "-rs", "-p", "no:cacheprovider"]


def read_junit(path: Path) -> tuple[bool, str]:
    """A skipped test is a check that did not run, and so counts as failed."""
    suite = ET.parse(path).getroot().find("testsuite")
    counts = {name: int(suite.get(name)) for name in ("tests", "failures", "errors", "skipped")}
    bad = {name: count for name, count in counts.items() if name != "tests" and count}
    detail = ", ".join(
        f"{count} {name}" for name, count in ({"tests": counts["tests"]} | bad).items()
    )
    return counts["tests"] > 0 and not bad, detail


def run(plan: list[Step], setting: Setting, report: Path) -> list[Outcome]:
    """Run the steps until the time is up; a step without time left is "late"."""
    start, outcomes = time.monotonic(), []
    for step in plan:
        left = setting.patience * TOTAL_SECONDS - (time.monotonic() - start)
        outcome = _run(step, setting, min(setting.patience * step.seconds, left))
        outcomes.append(outcome)
        print(_line(outcome), flush=True)
        _write(report, outcomes, setting)
    return outcomes


def _run(step: Step, setting: Setting, seconds: float) -> Outcome:
    if seconds <= 0:
        return Outcome(step.name, "late", 0.0, "no time left")
    start = time.monotonic()
    process = subprocess.Popen(
        step.command,
        cwd=results.ROOT,
        env=setting.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        return Outcome(step.name, "late", time.monotonic() - start, f"over {seconds:g} s")
    finally:
        if process.poll() is None:
            # The whole group: a data loader's workers must not outlive the step.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    passed, detail = step.read(output) if process.returncode == 0 else (False, "")
    if not passed:
        print(output, file=sys.stderr)
        detail = detail or _last_line(output)
    status = "passed" if passed else "failed"
    return Outcome(step.name, status, time.monotonic() - start, detail)


def _last_line(output: str) -> str:
    lines = [line for line in output.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "no output"


def _write(report: Path, outcomes: list[Outcome], setting: Setting) -> None:
    results.write_json(
        report,
        {
            "commit": results.commit(),
            "machine": results.machine(),
            "versions": results.versions(),
            "device": setting.device,
            "steps": [asdict(outcome) for outcome in outcomes],
            "results": [asdict(entry) for entry in _entries(setting.scratch)],
        },
    )


def _entries(scratch: Path) -> list[results.Entry | results.Missing]:
    """What the benches have written so far."""
    files = sorted((scratch / "results").glob("*.json"))
    return [row for path in files for row in results.read(path)]


def _line(outcome: Outcome) -> str:
    return f"{outcome.step:<18} {outcome.status:<7} {outcome.seconds:6.1f} s  {outcome.detail}"


def _table(outcomes: list[Outcome]) -> str:
    passed = sum(outcome.status == "passed" for outcome in outcomes)
    return "\n".join([*map(_line, outcomes), f"{passed} of {len(outcomes)} steps passed"])


if __name__ == "__main__":
    sys.exit(main())

"""What a bench leaves behind: `benches/results/<bench>.json` and one table on the terminal."""

import functools
import importlib.metadata
import json
import os
import platform
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benches" / "results"
LIBRARIES = (
    "llava-fast",
    "datasets",
    "kornia-rs",
    "numpy",
    "opencv-python-headless",
    "orjson",
    "pillow",
    "simplejpeg",
    "tokenizers",
    "torch",
    "torchcodec",
    "torchvision",
    "transformers",
    "triton",
    "trl",
)


def machine() -> str:
    """Processor, number of usable cores, and the GPU if there is one."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [s for s in cpuinfo.read_text().splitlines() if s.startswith("model name")]
        name = models[0].partition(":")[2].strip() if models else name
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{name}, {cores} cores" + _gpu()


def _gpu() -> str:
    try:
        import torch
    except ImportError:
        return ""
    return f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""


def versions() -> dict[str, str]:
    """Python and the libraries a measured number depends on; absent ones are left out."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@functools.cache
def commit() -> str:
    """The commit the tree is at, with `+changes` if tracked files differ; `unknown` without git."""
    try:
        head = _git("rev-parse", "HEAD")
        changed = _git("diff", "HEAD", "--name-only", "--", ".", ":!benches/results")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head + ("+changes" if changed else "")


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@dataclass(frozen=True)
class Entry:
    """One measured comparison.

    ours, peer: median wall time in `unit`. ratio: peer / ours, median over the pairs; spread: its
    quartiles; cpu_ratio: the same of CPU time. exact: whether the results were equal bit for bit.
    path: the processor path of ours. setting: what tells the row from others, for programs. error:
    largest and mean distance of the peer's pixels from the reference, in grey levels. goal: the
    ratio that has to be reached, and the one that is hoped for. pairs: samples of each side.
    """

    bench: str
    case: str
    ours: float
    peer: float
    ratio: float
    spread: tuple[float, float]
    cpu_ratio: float
    exact: bool
    unit: str
    path: str
    machine: str = field(default_factory=machine)
    versions: dict[str, str] = field(default_factory=versions)
    commit: str = field(default_factory=commit)
    setting: dict[str, str | int] = field(default_factory=dict)
    error: tuple[float, float] | None = None
    goal: tuple[float, float] | None = None
    pairs: int = 0


@dataclass(frozen=True)
class Missing:
    """A comparison that could not be made, and why: its peer is not installed, for example."""

    bench: str
    case: str
    setting: dict[str, str | int]
    missing: str


@dataclass(frozen=True)
class Limited:
    """One run that has limits instead of a peer.

    seconds: wall time. megabytes: highest resident size of its process. most_*: the limits.
    """

    bench: str
    case: str
    seconds: float
    megabytes: float
    most_seconds: float
    most_megabytes: float
    machine: str = field(default_factory=machine)
    versions: dict[str, str] = field(default_factory=versions)
    commit: str = field(default_factory=commit)


@dataclass(frozen=True)
class Figure:
    """One figure of ours or of a peer, which may have a bound.

    side: whose it is. figure: its value, in `unit`. bound: what ours must keep to: a least value if
    `at_least`, else a largest one; None = there is none.
    """

    bench: str
    case: str
    side: str
    figure: float
    unit: str
    bound: float | None = None
    at_least: bool = False
    machine: str = field(default_factory=machine)
    versions: dict[str, str] = field(default_factory=versions)
    commit: str = field(default_factory=commit)


Row = Entry | Missing | Limited | Figure


def read(path: Path) -> list[Row]:
    """The rows of a file that `write` wrote."""
    return [row_of(row) for row in json.loads(path.read_text(encoding="utf-8"))]


def row_of(fields: dict[str, Any]) -> Row:
    """A row from its JSON object; each kind has a field of its own."""
    if "missing" in fields:
        return Missing(**fields)
    if "figure" in fields:
        return Figure(**fields)
    return Limited(**fields) if "most_seconds" in fields else Entry(**fields)


def write(folder: Path, bench: str, entries: Iterable[Row]) -> Path:
    """Publish the entries of one bench as `<folder>/<bench>.json`."""
    path = folder / f"{bench}.json"
    write_json(path, [asdict(entry) for entry in entries])
    return path


def write_json(path: Path, value: object) -> None:
    """Replace `path` in one step: a reader meets the old file or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(value, file, indent=1)
            file.write("\n")
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


HEAD = (
    "bench",
    "case",
    "ours",
    "peer",
    "unit",
    "ratio",
    "quartiles",
    "CPU ratio",
    "error max / mean",
    "must / reach",
    "path",
)


def table(entries: Iterable[Row]) -> str:
    """The entries as one aligned text table."""
    rows = [HEAD, *(_row(entry) for entry in entries)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _row(entry: Row) -> tuple[str, ...]:
    if isinstance(entry, Figure):
        cells = (entry.bench, f"{entry.case}: {entry.side}", f"{entry.figure:.4g}", "", entry.unit)
        return (*cells, *[""] * 4, bound_text(entry), "")
    if not isinstance(entry, Entry):
        shown = f"missing: {entry.missing}" if isinstance(entry, Missing) else limits_text(entry)
        return (entry.bench, entry.case, shown, *[""] * (len(HEAD) - 3))
    return (
        entry.bench,
        entry.case,
        f"{entry.ours:.3f}",
        f"{entry.peer:.3f}",
        entry.unit,
        f"{entry.ratio:.2f}",
        f"{entry.spread[0]:.2f}-{entry.spread[1]:.2f}",
        f"{entry.cpu_ratio:.2f}",
        error_text(entry),
        goal_text(entry),
        entry.path,
    )


def error_text(entry: Entry) -> str:
    """`exact`, or how far the peer is from the reference; `last bits` of float32 are no level."""
    if entry.exact:
        return "exact"
    if entry.error and entry.error[0] < 0.001:
        return "last bits"
    return f"{entry.error[0]:.3g} / {entry.error[1]:.2g}" if entry.error else "not exact"


def limits_text(row: Limited) -> str:
    """Time and memory, the limits, and whether they are kept."""
    kept = row.seconds <= row.most_seconds and row.megabytes <= row.most_megabytes
    return (
        f"{row.seconds:.1f} s, {row.megabytes:.0f} MB; at most {row.most_seconds:g} s, "
        f"{row.most_megabytes:g} MB: {'met' if kept else 'MISSED'}"
    )


def bound_text(row: Figure) -> str:
    """The bound, and whether it is kept."""
    if row.bound is None:
        return ""
    kept = row.figure >= row.bound if row.at_least else row.figure <= row.bound
    word = "at least" if row.at_least else "at most"
    return f"{word} {row.bound:g} {row.unit}: {'met' if kept else 'MISSED'}"


def goal_text(entry: Entry) -> str:
    """Both goals, and whether the first is met."""
    if entry.goal is None:
        return ""
    must, reach = entry.goal
    return f"{must:g} / {reach:g} {'met' if entry.ratio >= must else 'MISSED'}"

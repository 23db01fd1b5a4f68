"""`llava-fast doctor`: whether this installation works here, or a model directory does, and what to
do where it does not."""

import json
import os
import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from llava_fast import _rust, selftest
from llava_fast.doctor.versions import Installed, installed, names

Status = Literal["ok", "warning", "failed"]
STATUSES: tuple[Status, ...] = ("ok", "warning", "failed")
VARIABLE = "LLAVA_FAST_CPU"
# Pillow's rules for tall pictures changed before this one; the hashes and all tests are of it.
PILLOW = "13"
# torch's data loaders hand batches over in shared memory.
LEAST_SHARED = 1 << 30


@dataclass(frozen=True)
class Line:
    """One finding; `advice` says what to do about one that is not ok."""

    name: str
    status: Status
    text: str
    advice: str = ""


def report(fast: bool, as_json: bool, model: str | None = None) -> tuple[str, int]:
    """Every finding as text or JSON, and 0 if all is well, 1 with warnings, 2 with failures.

    fast: leave out what loads torch. model: a directory to examine instead of this machine.
    """
    lines = list(examine(fast) if model is None else _model(model))
    worst = max(STATUSES.index(line.status) for line in lines)
    if as_json:
        found = {"status": STATUSES[worst], "lines": [asdict(line) for line in lines]}
        return json.dumps(found, indent=1), worst
    return "\n".join([*map(_shown, lines), _summary(lines)]), worst


def examine(fast: bool) -> Iterator[Line]:
    """All findings, the cheap ones first."""
    yield Line("python", "ok", f"{platform.python_version()}, {_system()}")
    yield Line("llava_fast", "ok", _rust.__version__)
    yield from (_package(installed(name)) for name in names())
    yield _processor()
    yield _threads()
    yield Line("limits", "ok", ", ".join(f"{name} {_size(n)}" for name, n in _rust.decode_limits()))
    yield from _pictures()
    yield from _memory()
    if not fast:
        from llava_fast.doctor.gpu import examine_torch

        yield from (Line(*found) for found in examine_torch())


def _model(directory: str) -> Iterator[Line]:
    from llava_fast.doctor.model import examine_model

    return examine_model(Path(directory))


def _system() -> str:
    library = " ".join(platform.libc_ver())
    return " ".join(filter(None, [platform.system(), platform.machine(), library]))


def _package(package: Installed) -> Line:
    install = f"install it: `pip install '{package.wanted}'`"
    if package.version is None:
        status: Status = "failed" if package.name == "numpy" else "warning"
        return Line(package.name, status, "not installed", install)
    if not package.fits:
        text = f"{package.version}, expected {package.wanted.removeprefix(package.name)}"
        return Line(package.name, "warning", text, install)
    return Line(package.name, "ok", package.version)


def _processor() -> Line:
    paths = [f"{name}{'' if runs else ' (not on this processor)'}" for name, runs in _paths()]
    text = ", ".join(paths)
    try:
        chosen = _rust.cpu_path()
    except ValueError as error:
        return Line("processor", "failed", f"{text}; {error}", f"unset {VARIABLE}, or correct it")
    best = [name for name, runs in _paths() if runs][-1]
    if chosen != best:
        text = f"{text}; {chosen} chosen by {VARIABLE}"
        return Line("processor", "warning", text, f"unset {VARIABLE}: {best} is faster")
    return Line("processor", "ok", f"{text}; {chosen} chosen")


def _paths() -> list[tuple[str, bool]]:
    return _rust.cpu_paths()


def _threads() -> Line:
    usable, all_of_them = _rust.available_threads(), os.cpu_count() or 1
    return Line("threads", "ok", f"{usable} by default, {all_of_them} processors in the machine")


def _size(count: int) -> str:
    """Powers of two as such: 64 Mi."""
    for power, unit in ((30, "Gi"), (20, "Mi")):
        if count >= 1 << power and count % (1 << power) == 0:
            return f"{count >> power} {unit}"
    return str(count)


def _pictures() -> Iterator[Line]:
    try:
        count = len(selftest.expected())
    except (ValueError, OSError) as error:
        yield Line("self-test", "failed", str(error), "install llava-fast again")
        return
    yield from _self_tests(count)
    yield from _pillow()


def _self_tests(count: int) -> Iterator[Line]:
    """Each path in a process of its own, which an instruction that is missing may kill."""
    for path in (name for name, runs in _paths() if runs):
        problems = selftest.problems_on(path)
        if problems:
            advice = "install llava-fast again; if that does not help, report this line"
            if path != "scalar":
                advice += f", and set {VARIABLE}=scalar until then"
            yield Line(f"self-test {path}", "failed", "; ".join(problems), advice)
        else:
            text = f"{count} pictures decoded and resized as Pillow {PILLOW} does"
            yield Line(f"self-test {path}", "ok", text)


def _pillow() -> Iterator[Line]:
    try:
        from PIL import features

        from llava_fast.doctor.pillow import disagreements
    except ImportError:
        return
    version = installed("pillow").version or ""
    if version.partition(".")[0] != PILLOW:
        text = f"{version}; pixels are those of Pillow {PILLOW}, which resizes tall pictures anew"
        yield Line("Pillow's version", "warning", text, f"`pip install 'pillow=={PILLOW}.*'`")
    if not features.check("libjpeg_turbo"):
        text = "built with another JPEG library than libjpeg-turbo: its pixels may differ"
        yield Line("Pillow's JPEG", "warning", text, "install Pillow's own wheel")
    different = disagreements()
    if different:
        advice = f"compare with Pillow {PILLOW} from its own wheel; llava_fast does not use Pillow"
        yield Line("agreement", "warning", "; ".join(different), advice)
    else:
        yield Line("agreement", "ok", f"Pillow {version} gives the same pixels")


def _memory() -> Iterator[Line]:
    if "SC_PHYS_PAGES" in os.sysconf_names:
        pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
        yield Line("memory", "ok", f"{pages * size / 2**30:.1f} GiB")
    try:
        shared = os.statvfs("/dev/shm")
    except OSError:
        return
    total = shared.f_blocks * shared.f_frsize
    text = f"{total / 2**30:.1f} GiB in /dev/shm"
    if total < LEAST_SHARED:
        advice = "give a container more, `--shm-size=8g`, before loaders use worker processes"
        yield Line("shared memory", "warning", text, advice)
    else:
        yield Line("shared memory", "ok", text)


def _shown(line: Line) -> str:
    text = f"{line.status:<8} {line.name:<18} {line.text}"
    return text + (f"\n{'':<27} -> {line.advice}" if line.advice else "")


def _summary(lines: list[Line]) -> str:
    counts = {status: sum(line.status == status for line in lines) for status in STATUSES}
    bad = [f"{counts['failed']} failed"] if counts["failed"] else []
    if counts["warning"]:
        bad.append(f"{counts['warning']} warning{'s' if counts['warning'] > 1 else ''}")
    return ", ".join(bad) or "all is well"

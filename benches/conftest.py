"""Options and fixtures of the benches, and what they leave behind."""

import dataclasses
import functools
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from benches import apart as processes
from benches import goals, mixture, pictures, results, timing
from benches.gates import Gate, GateError, Verdict
from llava_fast import _rust

Compare = Callable[..., results.Entry]
Apart = Callable[..., results.Entry]
Gallery = Callable[[str], str]
Limited = Callable[..., results.Limited]
Figure = Callable[..., results.Figure]

ENTRIES: dict[str, list[results.Row]] = defaultdict(list)
NOTES: list[str] = []
# Pictures of a set: small ones, large ones, with --quick.
COUNTS = (24, 6, 2)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("benches")
    group.addoption(
        "--results", type=Path, help="folder for the JSON; benches/results if not quick"
    )
    group.addoption("--pairs", type=int, default=7, help="samples of each side")
    group.addoption("--quick", action="store_true", help="small inputs: a check, not a measurement")


def pytest_configure(config: pytest.Config) -> None:
    # A warning at every picture would be part of the peer's time.
    config.addinivalue_line("filterwarnings", "ignore:The image decoding:DeprecationWarning")


@pytest.fixture(scope="session")
def quick(request: pytest.FixtureRequest) -> bool:
    """Whether small inputs are asked for."""
    return request.config.getoption("quick")


@pytest.fixture
def compare(request: pytest.FixtureRequest) -> Compare:
    """`compare(case, ours=, peer=, gate=, items=, item=)`: the gate first, then the clock.

    ours, peer: callables without arguments that do the whole work. `view` turns each result into a
    dict of arrays for the gate. items: pictures, records, ... that one call handles. setting: what
    tells this row from others, for its goal; its `path`, if any, stands for the processor's.
    """
    bench = request.path.stem.removeprefix("bench_")
    pairs = request.config.getoption("pairs")

    def run(
        case: str,
        *,
        ours: Callable[[], object],
        peer: Callable[[], object],
        gate: Gate,
        items: int,
        item: str,
        view: Callable[[object], dict] = dict,
        view_peer: Callable[[object], dict] | None = None,
        setting: dict[str, str | int] | None = None,
    ) -> results.Entry:
        try:
            verdict = gate(view(ours()), (view_peer or view)(peer()))
        except GateError as error:
            pytest.fail(f"{bench}, {case}: {error}; nothing was timed", pytrace=False)
        measured = timing.compare(ours, peer, pairs=pairs)
        entry = _entry(bench, case, measured, items, item, verdict)
        if setting is not None:
            path = str(setting.get("path", entry.path))
            goal = goals.goal(bench, setting)
            entry = dataclasses.replace(entry, path=path, setting=setting, goal=goal)
        ENTRIES[bench].append(entry)
        _note(entry, measured, verdict.note)
        return entry

    return run


@pytest.fixture
def limited(request: pytest.FixtureRequest) -> Limited:
    """`limited(case, seconds=, megabytes=)`: a run that has limits instead of a peer."""
    bench = request.path.stem.removeprefix("bench_")

    def note(case: str, *, seconds: float, megabytes: float) -> results.Limited:
        row = results.Limited(bench, case, seconds, megabytes, *goals.LIMITS[bench])
        ENTRIES[bench].append(row)
        return row

    return note


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Figure:
    """`figure(case, value, unit, side=)`: a figure of ours, or of the peer that `side` names.

    A side whose name begins with `ours` has to keep to the bound of the case.
    """
    bench = request.path.stem.removeprefix("bench_")

    def note(case: str, value: float, unit: str, side: str = "ours") -> results.Figure:
        bound = goals.FIGURES.get((bench, case)) if side.startswith("ours") else None
        row = results.Figure(bench, case, side, value, unit, *(bound or ()))
        ENTRIES[bench].append(row)
        return row

    return note


@pytest.fixture(scope="session")
def mixture_file(quick: bool) -> Iterator[Path]:
    """665,298 records of 1.2 GB, and what is kept beside them; gone when the run is over."""
    with TemporaryDirectory() as folder:
        yield mixture.write(Path(folder) / "mixture.json", 2_000 if quick else mixture.RECORDS)


@pytest.fixture(scope="session")
def gallery(tmp_path_factory: pytest.TempPathFactory, quick: bool) -> Gallery:
    """`gallery(name)`: the folder of a picture set, written on first use."""
    folder = tmp_path_factory.mktemp("pictures")

    @functools.cache
    def place(name: str) -> str:
        if name == "photos" and not pictures.has_photographs():
            pytest.skip("no photographs: LLAVA_FAST_FIXTURES is not set")
        usual = COUNTS[name.startswith("large")]
        written = pictures.write(name, folder, COUNTS[2] if quick else usual)
        NOTES.append(f"{name}: {pictures.describe(pictures.read(written))}")
        return str(written)

    return place


@pytest.fixture(scope="session")
def servers() -> Iterator[Callable[[str], processes.Server]]:
    """One server per heap mode, started on first use."""
    server = functools.cache(processes.Server)
    started = []

    def of(heap: str) -> processes.Server:
        started.append(server(heap))
        return started[-1]

    yield of
    for one in set(started):
        one.close()


@pytest.fixture
def apart(request: pytest.FixtureRequest, servers: Callable[[str], processes.Server]) -> Apart:
    """`apart(setting, title, make, **arguments)`: the case that `make` builds, in its own process.

    setting: what tells this row from others: peer, pictures, heap, ...; `cpu` forces a processor
    path, `cores` other than 1 are that many.
    """
    bench = request.path.stem.removeprefix("bench_")
    pairs = request.config.getoption("pairs")

    def run(
        setting: dict[str, str | int], title: str, make: Callable, **arguments: object
    ) -> results.Entry:
        question = {
            "make": f"{make.__module__}:{make.__name__}",
            "arguments": arguments,
            "cpu": setting.get("cpu"),
            "cores": setting.get("cores", 1),
            "pairs": pairs,
        }
        case = _case_name(setting, title)
        try:
            reply = servers(str(setting["heap"])).ask(question)
        except processes.MissingError as error:
            reply = {"missing": str(error)}
        if "missing" in reply:
            ENTRIES[bench].append(results.Missing(bench, case, setting, reply["missing"]))
            pytest.skip(f"missing: {reply['missing']}")
        if "failed" in reply:
            pytest.fail(f"{bench}, {case}: {reply['failed']}; nothing was timed", pytrace=False)
        entry = _entry_apart(bench, case, setting, reply)
        ENTRIES[bench].append(entry)
        return entry

    return run


def _case_name(setting: dict[str, str | int], title: str) -> str:
    words = [str(setting[key]) for key in ("pictures", "mode", "inputs") if key in setting]
    if setting.get("cores", 1) != 1:
        words.append(f"{setting['cores']} cores")
    if setting["heap"] != "default":
        words.append(f"{setting['heap']} heap")
    if "cpu" in setting:
        words.append(f"{setting['cpu']} forced")
    return ", ".join([*words, title])


def _entry_apart(
    bench: str, case: str, setting: dict[str, str | int], reply: dict[str, Any]
) -> results.Entry:
    measured = timing.from_dict(reply["measured"])
    entry = _entry(bench, case, measured, reply["items"], "image", Verdict(**reply["verdict"]))
    _note(entry, measured, reply["note"])
    return dataclasses.replace(
        entry,
        path=reply["path"],
        setting=setting,
        goal=goals.goal(bench, setting),
    )


def _entry(
    bench: str, case: str, measured: timing.Comparison, items: int, item: str, verdict: Verdict
) -> results.Entry:
    milliseconds = 1e3 / items
    return results.Entry(
        bench=bench,
        case=case,
        ours=measured.ours.wall * milliseconds,
        peer=measured.peer.wall * milliseconds,
        ratio=measured.wall.median,
        spread=(measured.wall.low, measured.wall.high),
        cpu_ratio=measured.cpu.median,
        exact=verdict.exact,
        unit=f"ms/{item}",
        path=_rust.cpu_path(),
        error=verdict.error,
        pairs=measured.pairs,
    )


def _note(entry: results.Entry, measured: timing.Comparison, difference: str) -> None:
    if difference:
        NOTES.append(f"{entry.bench}, {entry.case}: {difference}")
    if not measured.wall.steady:
        NOTES.append(f"{entry.bench}, {entry.case}: not steady, the machine was busy")


def pytest_sessionfinish(session: pytest.Session) -> None:
    folder = session.config.getoption("results")
    if folder is None and not session.config.getoption("quick"):
        folder = results.RESULTS
    if folder is None:
        return
    for bench, entries in ENTRIES.items():
        results.write(folder, bench, entries)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not ENTRIES:
        return
    terminalreporter.section("ours against the peer")
    terminalreporter.write_line(results.table(e for entries in ENTRIES.values() for e in entries))
    for note in NOTES:
        terminalreporter.write_line(note)
    terminalreporter.write_line(
        "Wall time. ratio = peer / ours, median of the pairs; above 1 ours is the faster one."
    )

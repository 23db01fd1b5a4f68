"""Options and fixtures of the benches, and what they leave behind."""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

from benches import results, timing
from benches.gates import Gate, GateError

# The data path has one implementation: plain Rust, no vector instructions by hand.
PATH = "scalar"

Compare = Callable[..., results.Entry]

ENTRIES: dict[str, list[results.Entry]] = defaultdict(list)
NOTES: list[str] = []


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
    dict of arrays for the gate. items: pictures, records, ... that one call handles.
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
    ) -> results.Entry:
        try:
            verdict = gate(view(ours()), (view_peer or view)(peer()))
        except GateError as error:
            pytest.fail(f"{bench}, {case}: {error}; nothing was timed", pytrace=False)
        measured = timing.compare(ours, peer, pairs=pairs)
        entry = _entry(bench, case, measured, items, item, verdict.exact)
        ENTRIES[bench].append(entry)
        _note(entry, measured, verdict.note)
        return entry

    return run


def _entry(
    bench: str, case: str, measured: timing.Comparison, items: int, item: str, exact: bool
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
        exact=exact,
        unit=f"ms/{item}",
        path=PATH,
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

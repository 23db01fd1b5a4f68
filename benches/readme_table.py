"""Chart and tables of README.md, from `benches/results`: `python -m benches.readme_table`."""

import statistics
from collections.abc import Iterable, Sequence

from benches import results
from benches.results import Entry, Figure, Missing, Row

README = results.ROOT / "README.md"
BEGIN, END = "<!-- benches -->\n", "<!-- /benches -->\n"
BAR = 40

Setting = dict[str, str | int]

ONE_CORE: Setting = {"heap": "default"}
WARM: Setting = {"heap": "warm"}
PREPROCESS: dict[str, Setting] = {
    "crop": ONE_CORE | {"pictures": "coco", "mode": "crop"},
    "crop, warm heap": WARM | {"pictures": "coco", "mode": "crop"},
    "pad": ONE_CORE | {"pictures": "coco", "mode": "pad"},
    "pad, warm heap": WARM | {"pictures": "coco", "mode": "pad"},
    "photographs, crop": ONE_CORE | {"pictures": "photos", "mode": "crop"},
    "photographs, crop, warm heap": WARM | {"pictures": "photos", "mode": "crop"},
    "large, crop": ONE_CORE | {"pictures": "large", "mode": "crop"},
}
DECODE: dict[str, Setting] = {
    "baseline": ONE_CORE | {"pictures": "coco"},
    "warm heap": WARM | {"pictures": "coco"},
    "photographs": ONE_CORE | {"pictures": "photos"},
    "restart markers": ONE_CORE | {"pictures": "restart"},
    "progressive": ONE_CORE | {"pictures": "progressive"},
    "large": ONE_CORE | {"pictures": "large"},
    "large progressive": ONE_CORE | {"pictures": "large progressive"},
}
OTHERS: dict[str, Setting] = {
    name: ONE_CORE | {"pictures": name} for name in ("png", "webp", "webp lossless", "gif", "bmp")
}
PROCESSOR: dict[str, Setting] = {
    "images": ONE_CORE | {"inputs": "images"},
    "images, warm heap": WARM | {"inputs": "images"},
    "arrays": ONE_CORE | {"inputs": "arrays"},
    "inside `LlavaProcessor`": ONE_CORE | {"inputs": "LlavaProcessor"},
}


def table() -> str:
    """Markdown: the chart of the headline, a table per bench, the machine and the versions."""
    preprocess, decode, processor = map(_read, ("preprocess", "decode", "processor"))
    parts = [
        _chart(preprocess, PREPROCESS["crop"]),
        "JPEG bytes to `pixel_values`, one core: peer's time / ours",
        _matrix(preprocess, PREPROCESS, errors=True),
        "Decoding JPEG, one core: peer's time / ours (all results identical)",
        _matrix(decode, DECODE),
        "Decoding other formats, one core: peer's time / ours (all results identical)",
        _matrix(decode, OTHERS),
        "`ImageProcessor` in the place of transformers' own: peer's time / ours",
        _matrix(processor, PROCESSOR, errors=True),
        "Lists, threads, processor paths, batches and text",
        _list([*_special(preprocess), *_special(decode), *_timed("loader"), *_read("tokenize")]),
        "The loader: two threads against two workers, real JPEG",
        _figures(_read("loader")),
        "Packs and batches of LLaVA-1.5's mix of lengths",
        "\n\n".join([_list(_timed("pack")), _figures(_read("pack"))]),
        "Opening a file of 665,298 records, 1.2 GB",
        _figures(_read("startup")),
        "A check of a whole data set",
        "\n".join(
            f"`llava-fast {row.bench}` {row.case}: {results.limits_text(row)}"
            for row in _read("index")
        ),
        _conditions(preprocess),
    ]
    return "\n\n".join(parts) + "\n"


def _read(bench: str) -> list[Row]:
    return results.read(results.RESULTS / f"{bench}.json")


def _plain(row: Row) -> bool:
    """On one core, a call for each picture, with the processor path that was found best."""
    return not {"cpu", "cores", "calls"} & row.setting.keys()


def _special(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if not _plain(row)]


def _in_column(rows: Iterable[Row], column: Setting) -> dict[str, Row]:
    """Peer -> row, of those whose setting has all of `column`."""
    return {
        str(row.setting["peer"]): row
        for row in rows
        if _plain(row) and column.items() <= row.setting.items()
    }


def _title(case: str, setting: Setting) -> str:
    """The part of a case that names the peer: what is left without the words of its setting."""
    words = [str(setting[key]) for key in ("pictures", "mode", "inputs") if key in setting]
    return case.split(", ", len(words) + (setting["heap"] != "default"))[-1]


def _chart(rows: Sequence[Row], column: Setting) -> str:
    """Bars of the time relative to ours."""
    found = [row for row in _in_column(rows, column).values() if isinstance(row, Entry)]
    bars = [("llava_fast", 1.0, "exact")]
    bars += sorted(
        ((_title(row.case, row.setting), row.ratio, results.error_text(row)) for row in found),
        key=lambda bar: bar[1],
    )
    longest = max(ratio for _, ratio, _ in bars)
    width = max(len(title) for title, _, _ in bars)
    lines = ["time per picture, llava_fast = 1; error in grey levels, max / mean"]
    for title, ratio, error in bars:
        bar = "█" * max(1, round(BAR * ratio / longest))
        lines.append(f"{title:<{width}}  {bar:<{BAR}} {ratio:5.2f}  {error}")
    return "\n".join(["```text", *lines, "```"])


def _matrix(rows: Sequence[Row], columns: dict[str, Setting], errors: bool = False) -> str:
    """One line per peer, one column per setting; first our own time in milliseconds."""
    cells = {name: _in_column(rows, column) for name, column in columns.items()}
    shown = {name: column for name, column in cells.items() if column}
    peers = list(dict.fromkeys(peer for column in shown.values() for peer in column))
    head = ["peer", *shown] + (["error max / mean"] if errors else [])
    lines = [head, ["---"] * len(head), _own_line(shown, errors)]
    for peer in peers:
        line = [_peer_title(peer, shown), *(_cell(column.get(peer)) for column in shown.values())]
        lines.append(line + ([_error(peer, shown)] if errors else []))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _own_line(columns: dict[str, dict[str, Row]], errors: bool) -> list[str]:
    line = ["llava_fast, ms"]
    for column in columns.values():
        times = [row.ours for row in column.values() if isinstance(row, Entry)]
        line.append(f"{statistics.median(times):.2f}" if times else "")
    return line + (["exact"] if errors else [])


def _peer_title(peer: str, columns: dict[str, dict[str, Row]]) -> str:
    row = next(column[peer] for column in columns.values() if peer in column)
    return _title(row.case, row.setting)


def _cell(row: Row | None) -> str:
    if row is None:
        return ""
    return "missing" if isinstance(row, Missing) else f"{row.ratio:.2f}"


def _error(peer: str, columns: dict[str, dict[str, Row]]) -> str:
    """That of the first column."""
    row = next(column[peer] for column in columns.values() if peer in column)
    return "missing" if isinstance(row, Missing) else results.error_text(row)


def _list(rows: Iterable[Row]) -> str:
    head = ["| bench | case, peer | ours | peer / ours (quartiles) | same result |"]
    return "\n".join([*head, "|---|---|---|---|---|", *map(_line, rows)])


def _line(row: Row) -> str:
    if isinstance(row, Missing):
        return f"| {row.bench} | {row.case} | | missing: {row.missing} | |"
    low, high = row.spread
    cells = (
        row.bench,
        row.case,
        f"{row.ours:.2f} {row.unit}",
        f"{row.ratio:.2f} ({low:.2f} to {high:.2f})",
        "yes" if row.exact else f"no: {results.error_text(row)}",
    )
    return f"| {' | '.join(cells)} |"


def _timed(bench: str) -> list[Row]:
    return [row for row in _read(bench) if not isinstance(row, Figure)]


def _figures(rows: Iterable[Row]) -> str:
    """One line per figure, ours before the peers'."""
    figures = [row for row in rows if isinstance(row, Figure)]
    cases = list(dict.fromkeys(row.case for row in figures))
    lines = ["| | whose | | bound |", "|---|---|---|---|"]
    for case in cases:
        for row in (row for row in figures if row.case == case):
            cells = (case, row.side, f"{_plain_number(row.figure)} {row.unit}")
            lines.append(f"| {' | '.join(cells)} | {results.bound_text(row)} |")
    return "\n".join(lines)


def _plain_number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def _conditions(rows: Sequence[Row]) -> str:
    first = next(row for row in rows if isinstance(row, Entry))
    versions = " ".join(f"{name} {version}" for name, version in first.versions.items())
    pairs = f"medians of {first.pairs} pair{'' if first.pairs == 1 else 's'}"
    return f"{first.machine}; {first.path} code path; {pairs}; {versions}."


def with_table(readme: str) -> str:
    """`readme` with its table replaced by the current one."""
    before, rest = readme.split(BEGIN)
    return before + BEGIN + table() + END + rest.split(END)[1]


if __name__ == "__main__":
    README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")

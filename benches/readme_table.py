"""The table of README.md, from `benches/results`: `python -m benches.readme_table` writes it."""

import json
from typing import Any

from benches import results

README = results.ROOT / "README.md"
BEGIN, END = "<!-- benches -->\n", "<!-- /benches -->\n"
BENCHES = ("preprocess", "loader", "tokenize")


def table() -> str:
    """Markdown: one row per case, with the machine and the versions below."""
    rows = [
        entry
        for bench in BENCHES
        for entry in json.loads((results.RESULTS / f"{bench}.json").read_text(encoding="utf-8"))
    ]
    versions = " ".join(f"{name} {version}" for name, version in rows[0]["versions"].items())
    lines = [
        "| bench | case, peer | ours | peer | peer / ours (quartiles) | same result |",
        "|---|---|---|---|---|---|",
        *map(_row, rows),
        "",
        f"{rows[0]['machine']}; {versions}. Times: {rows[0]['path']} code path.",
    ]
    return "\n".join(lines) + "\n"


def _row(entry: dict[str, Any]) -> str:
    low, high = entry["spread"]
    unit = entry["unit"]
    cells = (
        entry["bench"],
        entry["case"],
        f"{entry['ours']:.2f} {unit}",
        f"{entry['peer']:.2f} {unit}",
        f"{entry['ratio']:.2f} ({low:.2f} to {high:.2f})",
        "yes" if entry["exact"] else "no, up to 2 grey levels apart",
    )
    return f"| {' | '.join(cells)} |"


def with_table(readme: str) -> str:
    """`readme` with its table replaced by the current one."""
    before, rest = readme.split(BEGIN)
    return before + BEGIN + table() + END + rest.split(END)[1]


if __name__ == "__main__":
    README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")

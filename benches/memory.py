"""Memory of a process and of those that it has started; what several of them share counts once."""

import os
import re
from pathlib import Path


def tree(process: int | None = None) -> float:
    """Proportional set size of a process and all below it, in MB."""
    return sum(map(_proportional, _family(process or os.getpid()))) * 1024 / 1e6


def _family(process: int) -> list[int]:
    found = [process]
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        for child in task.read_text().split():
            found += _family(int(child))
    return found


def _proportional(process: int) -> int:
    try:
        text = Path(f"/proc/{process}/smaps_rollup").read_text()
    except OSError:
        return 0
    found = re.search(r"^Pss:\s*(\d+)", text, re.MULTILINE)
    return int(found[1]) if found else 0

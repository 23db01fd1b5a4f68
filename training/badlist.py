"""What a run says about the records that it leaves out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..bad import Ledger
from ..dataset import LlavaDataset

SHOWN = 10


class BadList:
    """`bad.jsonl` of a run, the ledger of its data sets; there once something is in it."""

    def __init__(self, path: Path, goes_on: bool) -> None:
        """goes_on: the run goes on, and with it the file; what is in there has been said."""
        self.path = path
        if not goes_on:
            path.unlink(missing_ok=True)
        self._said = {line["message"] for line in Ledger(path).lines()}

    def say(self, dataset: LlavaDataset, say: Callable[[str], None]) -> None:
        """A line for each record that `dataset` has newly found to be bad."""
        new = [bad.message for bad in dataset.bad if bad.message not in self._said]
        self._said.update(new)
        for message in new[:SHOWN]:
            say(f"left out: {message}")
        if len(new) > SHOWN:
            say(f"left out: {len(new) - SHOWN:,} more, see `{self.path}`")

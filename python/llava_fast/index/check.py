"""`llava-fast index --check`: every record looked at, nothing kept."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from llava_fast import _rust
from llava_fast.files import new_file
from llava_fast.index.report import Report
from llava_fast.index.request import Request
from llava_fast.index.slices import slices
from llava_fast.mixture import mixture
from llava_fast.progress import Progress

ROW = ("file", "record", "id", "code", "message")

# (file, record, id, reason code, message)
Rows = list[tuple[str, int, str, str, str]]


def check(request: Request, progress: TextIO) -> Report:
    """Looks at every record; `progress` is told how far that is.

    Raises DataError for data that cannot be read at all; a bad record is a finding.
    """
    dataset = request.open()
    run = _rust.Check(dataset, request.look)
    threads = request.threads or _rust.available_threads()
    with _bad_list(request) as note, Progress(len(dataset), progress) as said:
        for start, stop in slices(len(dataset)):
            note(run.advance(start, stop, threads))
            said.at(stop)
    return Report(request.settings | json.loads(run.report()))


@contextmanager
def _bad_list(request: Request) -> Iterator[Callable[[Rows], None]]:
    """Takes the bad records of each slice; the file is there when all of them are."""
    if request.bad_list is None:
        yield lambda rows: None
        return
    inputs = [part.path for part in mixture(request.data).parts]
    with new_file(Path(request.bad_list), [request.data, *inputs]) as file:

        def note(rows: Rows) -> None:
            for row in rows:
                file.write(json.dumps(dict(zip(ROW, row, strict=True))) + "\n")

        yield note

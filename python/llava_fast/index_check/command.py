"""The command: what was asked for, checked slice by slice."""

import json
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from time import perf_counter
from typing import TextIO

from llava_fast import _rust
from llava_fast.checks import LARGEST_COUNT, integer, reading
from llava_fast.config import ImageConfig
from llava_fast.files import new_file
from llava_fast.index_check.progress import Progress
from llava_fast.index_check.report import Report
from llava_fast.mixture import mixture
from llava_fast.printable import one_line
from llava_fast.template import stop_note
from llava_fast.text import Tokenizer, template_text

# Ctrl-C is seen between slices: none takes much longer than this many seconds.
PAUSE = 0.1
LARGEST_SLICE = 4096

USAGE = 2
ROW = ("file", "record", "id", "code", "message")

# (file, record, id, reason code, message)
Rows = list[tuple[str, int, str, str, str]]


@dataclass(frozen=True, kw_only=True)
class Request:
    """The arguments of `llava-fast index --check`; None = not given.

    data: as in `LlavaDataset`. tokenizer: directory. template: name or `.json` file. images: a
    folder, `.zip` or `.tar`, or several in braces; pictures without a place, of the request, of a
    mixture or in the file of the records, are not looked at. decode: look at every pixel, not only
    at the headers. bad_list: file to write the bad records to. compat, keep_leading_answer: as in
    `LlavaDataset`.
    """

    data: str
    tokenizer: str
    template: str = "v1"
    images: str | None = None
    image_size: int | None = None
    image_mode: str | None = None
    max_length: int = 2048
    decode: bool = False
    threads: int | None = None
    bad_list: str | None = None
    compat: str = "strict"
    keep_leading_answer: bool = False

    def __post_init__(self) -> None:
        """Refuse what does not go together."""
        integer("max-length", self.max_length, 1, LARGEST_COUNT)
        if self.threads is not None:
            integer("threads", self.threads, 1, 1024)
        # An unknown word is a wrong call too.
        _ = self.image, self.reading

    @property
    def image(self) -> ImageConfig:
        """The defaults, except for what is given."""
        given = {"size": self.image_size, "mode": self.image_mode}
        return ImageConfig(**{key: value for key, value in given.items() if value is not None})

    @property
    def reading(self) -> tuple[bool, bool]:
        """How records are read that are not as they should be."""
        return reading(self.compat, self.keep_leading_answer)

    @property
    def look(self) -> str:
        """How closely pictures are looked at."""
        return "pixels" if self.decode else "header"


def check(request: Request, progress: TextIO) -> Report:
    """Looks at every record; `progress` is told how far that is.

    Raises DataError for data that cannot be read at all; a bad record is a finding.
    """
    template = template_text(request.template)
    tokenizer = Tokenizer.from_pretrained(request.tokenizer)
    if note := stop_note(tokenizer, template):
        print(f"note: {note}", file=sys.stderr)
    data = mixture(request.data)
    dataset = _rust.Dataset(
        _rust.Records(data.parts, data.seed),
        images=data.images(request.images),
        follow_links=False,
        tokenizer=tokenizer._core,
        template=template,
        image=request.image,
        max_length=request.max_length,
        reading=request.reading,
        cache=None,
    )
    run = _rust.Check(dataset, request.look)
    threads = request.threads or _rust.available_threads()
    with _bad_list(request) as note, Progress(len(dataset), progress) as said:
        for start, stop in slices(len(dataset)):
            note(run.advance(start, stop, threads))
            said.at(stop)
    settings = {
        "data": request.data,
        "template": _rust.template_name(template),
        "max_length": request.max_length,
        "image_mode": request.image.mode,
        "image_size": request.image.size,
    }
    return Report(settings | json.loads(run.report()))


def slices(total: int) -> Iterator[tuple[int, int]]:
    """(start, stop) one after the other up to `total`, each as long as the ones before let expect
    to take `PAUSE` seconds of the caller."""
    start, size = 0, 16
    while start < total:
        stop = min(start + size, total)
        began = perf_counter()
        yield start, stop
        seconds = perf_counter() - began
        growth = min(2.0, PAUSE / max(seconds, 1e-9))
        start, size = stop, max(1, min(LARGEST_SLICE, int(size * growth)))


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


def run(options: Namespace) -> int:
    """Does what the command line asks for and returns the exit status."""
    try:
        if not options.check:
            raise ValueError("index: expected --check: only that exists, no index is written yet")
        request = Request(**{field.name: getattr(options, field.name) for field in fields(Request)})
    except ValueError as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        return USAGE
    report = check(request, sys.stderr)
    if options.json:
        print(report.as_json())
    else:
        # A character that the terminal's encoding lacks is no reason to stop.
        sys.stdout.reconfigure(errors="backslashreplace")
        for line in report.lines():
            print(line)
    return report.status

"""The command: what was asked for, found and shown."""

import json
import sys
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from llava_fast.checks import LARGEST_COUNT, integer, reading
from llava_fast.config import ImageConfig
from llava_fast.files import new_file, read_json
from llava_fast.index.report import NOTHING, NOTHING_CODES
from llava_fast.inspect.page import page
from llava_fast.inspect.pieces import Pieces
from llava_fast.inspect.source import Source
from llava_fast.inspect.terminal import (
    LEGEND,
    Painter,
    block,
    pack_lines,
    painter_for,
    record_lines,
)
from llava_fast.mixture import mixture
from llava_fast.printable import escaped, one_line
from llava_fast.template import Template, stop_note
from llava_fast.tokenizer import Tokenizer

USAGE = 2


@dataclass(frozen=True, kw_only=True)
class Request:
    """The arguments of `llava-fast inspect`; None = not given.

    data: file of records. tokenizer, model: directories. count: records and packs to show.
    records: numbers or ids of the records to show, instead of the first ones. compat,
    keep_leading_answer: as in `LlavaDataset`.
    """

    data: str
    tokenizer: str | None = None
    model: str | None = None
    template: str | None = None
    images: str | None = None
    image_size: int | None = None
    image_mode: str | None = None
    max_length: int = 2048
    count: int = 3
    records: list[str] | None = None
    pack_tokens: int | None = None
    html: str | None = None
    stats: bool = False
    compat: str = "strict"
    keep_leading_answer: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be shown."""
        if self.tokenizer is None and self.model is None:
            raise ValueError("expected --tokenizer or --model")
        integer("-n", self.count, 1, LARGEST_COUNT)
        integer("--max-length", self.max_length, 1, LARGEST_COUNT)
        if self.pack_tokens is not None:
            integer("--pack-tokens", self.pack_tokens, 1, LARGEST_COUNT)
        _ = self.reading
        ImageConfig(**self.given_image)

    @property
    def reading(self) -> tuple[bool, bool]:
        """How records are read that are not as they should be."""
        return reading(self.compat, self.keep_leading_answer)

    @property
    def given_image(self) -> dict[str, Any]:
        """The fields of an `ImageConfig` that are given."""
        fields = {"size": self.image_size, "mode": self.image_mode}
        return {name: value for name, value in fields.items() if value is not None}


class Inspection:
    """Everything a request asks to see.

    Raises DataError for data that cannot be read at all; a bad record is a finding.
    """

    def __init__(self, request: Request) -> None:
        """Reads and encodes what is asked for."""
        self._request = request
        tokenizer = Tokenizer.from_pretrained(request.tokenizer or request.model or "")
        image, template = _image(request), _template(request)
        self._source = Source(
            request.data,
            request.images,
            tokenizer,
            image,
            template,
            request.max_length,
            request.reading,
        )
        self._pieces = Pieces(tokenizer)
        source = self._source
        numbers = [source.find(word) for word in request.records or ()]
        pixels = request.html is not None
        shown = numbers or range(min(request.count, len(source)))
        self.records = [source.record(number, pixels) for number in shown]
        self.packs, self._steps = (
            source.packs(request.pack_tokens, request.count) if request.pack_tokens else ([], 0)
        )
        self.report = source.report(sys.stderr) if request.stats else None

    @property
    def status(self) -> int:
        """Exit status: 2 if a record that was looked at would train on nothing, else 0."""
        shown = any(one.fault and one.fault.code in NOTHING_CODES for one in self.records)
        return NOTHING if shown or (self.report and self.report.nothing) else 0

    @property
    def settings(self) -> str:
        """What the records were encoded with, in one line."""
        source, image = self._source, self._source.image
        return (
            f"template {source.template_name}, max_length {source.max_length}, "
            f"pictures: {image.mode}, {image.size} pixels, patches of {image.patch_size}"
        )

    @property
    def note(self) -> str:
        """What to know about template and tokenizer, if there is something."""
        return stop_note(self._source.tokenizer, self._source.template)

    def lines(self, painter: Painter) -> Iterator[str]:
        """For a terminal or a pipe."""
        name = escaped(self._source.name)
        text = f"{len(self._source)} records; {escaped(self.settings)}"
        yield from block(painter, "", f"{name}: ", style="head", rest=text)
        yield from block(painter, "", LEGEND, style="ignored")
        for record in self.records:
            yield ""
            yield from record_lines(record, self._pieces, painter)
        if self.packs:
            yield ""
            yield f"{self._steps} packs in epoch 0 with seed 0"
        for pack in self.packs:
            yield from pack_lines(pack, painter)
        if self.report:
            yield ""
            yield from self.report.lines()

    def as_json(self) -> str:
        """One JSON object."""
        found: dict[str, Any] = {
            "data": self._source.name,
            "template": self._source.template_name,
            "records": [record.as_json() for record in self.records],
        }
        if self.packs:
            found["packs"] = [pack.as_json() for pack in self.packs]
        if self.report:
            found["stats"] = {**self.report.found, "train_on_nothing": self.report.nothing}
        return json.dumps(found)

    def write_page(self) -> None:
        """The HTML file of the request, if it names one."""
        if self._request.html is None:
            return
        content = page(
            Path(self._source.name).name,
            self.settings,
            self.records,
            self._pieces,
            self.packs,
            self.report,
        )
        inputs = [part.path for part in mixture(self._request.data).parts]
        with new_file(Path(self._request.html), [self._request.data, *inputs]) as file:
            file.write(content)


def run(options: Namespace) -> int:
    """Does what the command line asks for and returns the exit status."""
    try:
        request = Request(**{field.name: getattr(options, field.name) for field in fields(Request)})
    except ValueError as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        return USAGE
    inspection = Inspection(request)
    if inspection.note:
        print(f"note: {inspection.note}", file=sys.stderr)
    inspection.write_page()
    if options.json:
        print(inspection.as_json())
    elif request.html is not None:
        print(f"{escaped(request.html)}: {len(inspection.records)} records")
    else:
        # A character that the terminal's encoding lacks is no reason to stop.
        sys.stdout.reconfigure(errors="backslashreplace")
        for line in inspection.lines(painter_for(sys.stdout)):
            print(line)
    return inspection.status


def _image(request: Request) -> ImageConfig:
    """Of the model directory, else the defaults; what the request says wins."""
    if request.model is None:
        return ImageConfig(**request.given_image)
    from llava_fast.images import ImageProcessor

    return ImageProcessor.from_pretrained(request.model, **request.given_image).config


def _template(request: Request) -> Template:
    """Of the request, else what the model directory was trained with, else `v1`."""
    if request.template is not None:
        return request.template
    ours = Path(request.model) / "llava_fast.json" if request.model else None
    named = read_json(ours).get("template") if ours is not None and ours.is_file() else None
    return "v1" if named is None else named

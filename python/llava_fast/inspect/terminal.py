"""Records and packs for a terminal or a pipe, in lines.

`+` marks what the model learns, in green where there are colours. All text is escaped.
"""

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from typing import TextIO

from llava_fast.inspect.pieces import Pieces
from llava_fast.inspect.views import Pack, Picture, Record, Segment
from llava_fast.printable import columns, escaped, json_line

LEGEND = (
    "+ learned, ~ partly learned; kinds: text = of the record, mark = of the template, "
    "token = control id, stop, image; [a..b) = token positions; id:token, ␣ = space"
)
_STYLES = {
    "learned": "32",
    "ignored": "2",
    "head": "1",
    "text": "0",
    "mark": "36",
    "token": "35",
    "stop": "33",
    "image": "34",
    "fault": "31",
    "repair": "33",
}
_INDENT = 22
_LEAST_WIDTH = 40


class Painter:
    """Lines of at most `width` cells, with colours or without."""

    def __init__(self, width: int, colours: bool) -> None:
        """width: cells of a line, taken as at least 40."""
        self.width = max(width, _LEAST_WIDTH)
        self._colours = colours

    def paint(self, style: str, text: str) -> str:
        """The escaped text in a colour."""
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if self._colours and text else text

    def wrapped(self, style: str, words: Iterable[str], room: int) -> Iterator[str]:
        """Lines of words that keep their own spaces, each painted; longer words are cut."""
        line, used = "", 0
        for word in words:
            size = columns(word)
            if line and used + size > room:
                yield self.paint(style, line)
                line, used = "", 0
            while size > room:
                cut = _fitting(word, room)
                yield self.paint(style, word[:cut])
                word, size = word[cut:], columns(word[cut:])
            line, used = line + word, used + size
        if line:
            yield self.paint(style, line)


def painter_for(stream: TextIO) -> Painter:
    """Colours where the stream is a terminal that has them and the user does not object.

    Source: https://no-color.org
    """
    colours = (
        stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    )
    return Painter(shutil.get_terminal_size((100, 24)).columns, colours)


def record_lines(record: Record, pieces: Pieces, painter: Painter) -> Iterator[str]:
    """Everything about one record."""
    yield painter.paint("head", f"record {record.number}  `{escaped(record.id)}`") + (
        f"  {summary(record)}" if len(record.input_ids) else ""
    )
    if record.fault is not None:
        text = f"{record.fault.code}: {escaped(record.fault.message)}"
        yield from _block(painter, "fault", "  fault: ", text)
    for repair in record.repairs:
        yield from _block(painter, "repair", "  repaired: ", escaped(repair))
    for place, picture in enumerate(record.pictures):
        yield from _block(painter, "image", f"  picture {place}: ", picture_line(picture))
    if not record.segments:
        yield from _block(painter, "ignored", "  as written: ", as_written(record.json))
    for segment in record.segments:
        yield from _segment_lines(record, segment, pieces, painter)


def summary(record: Record) -> str:
    """Sizes of a record in words."""
    total, learned = len(record.input_ids), record.learned
    stops, pictures = record.stops, len(record.pictures)
    text = f"{total} tokens, {learned} learned ({100 * learned / total:.1f} %)"
    if stops:
        text += f", <STOP> at {', '.join(map(str, stops))}"
    if pictures:
        text += f", {pictures} picture{'s' if pictures > 1 else ''}"
    return text


def picture_line(picture: Picture) -> str:
    """What a picture is and what it became."""
    span = f"<image> x{picture.tokens} [{picture.start}..{picture.stop})"
    if picture.file is None:
        return f"{escaped(picture.path)} -> {span}"
    kind, height, width, size = picture.file
    return (
        f"{escaped(picture.path)}, {kind} {width}x{height}, {size / 1000:.1f} kB -> "
        f"{picture.became} -> {span}"
    )


def as_written(text: str, most: int = 2000) -> str:
    """A record's JSON on one line, cut off after `most` characters."""
    try:
        line = json_line(json.loads(text))
    except (ValueError, RecursionError):
        line = escaped(text)
    return line if len(line) <= most else f"{line[:most]} ... ({len(line)} characters)"


def symbol(record: Record, segment: Segment) -> str:
    """`+` for a segment that is learned, `~` for one that is in part, else a space."""
    targets = record.targets(segment)
    if targets == 0:
        return " "
    return "+" if targets == segment.stop - segment.start else "~"


def _segment_lines(
    record: Record, segment: Segment, pieces: Pieces, painter: Painter
) -> Iterator[str]:
    span = f"[{segment.start}..{segment.stop})"
    mark = symbol(record, segment)
    gutter = painter.paint("learned", mark) if mark != " " else mark
    head = f"{gutter} {painter.paint(segment.kind, f'{segment.kind:<5}')} {span:<{_INDENT - 8}}"
    style = "learned" if segment.supervised else segment.kind
    text = shown_text(segment)
    lines = painter.wrapped(style, _words(text), painter.width - _INDENT)
    for place, line in enumerate(lines):
        yield (head if place == 0 else " " * _INDENT) + line
    if segment.kind != "image":
        yield from _token_lines(record, segment, pieces, painter, painter.width - _INDENT)


def shown_text(segment: Segment) -> str:
    """The text of a segment, escaped; a picture is one block."""
    if segment.kind == "image":
        return f"<image> x{segment.stop - segment.start} [{segment.start}..{segment.stop})"
    return escaped(segment.text) + (" = <STOP>" if segment.kind == "stop" else "")


def _token_lines(
    record: Record, segment: Segment, pieces: Pieces, painter: Painter, room: int
) -> Iterator[str]:
    """Ids and tokens, each learned one with its `+`."""
    line, used = [], 0
    for place in range(segment.start, segment.stop):
        learned = record.labels[place] >= 0
        index = int(record.input_ids[place])
        word = f"{'+' if learned else ' '}{index}:{pieces[index]}"
        size = columns(word) + 1
        if line and used + size > room:
            yield " " * (_INDENT - 1) + " ".join(line)
            line, used = [], 0
        line.append(painter.paint("learned" if learned else "ignored", word))
        used += size
    if line:
        yield " " * (_INDENT - 1) + " ".join(line)


def pack_lines(pack: Pack, painter: Painter) -> Iterator[str]:
    """A bar of a pack's documents, and each document."""
    free = pack.room - pack.used
    title = painter.paint("head", f"batch {pack.step}")
    yield (
        f"{title}  {len(pack.documents)} documents, {pack.used} of {pack.room} tokens, "
        f"{100 * free / pack.room:.1f} % padding"
    )
    yield "  " + _bar(pack, painter.width - 4)
    for document in pack.documents:
        span = f"  [{document.start}..{document.stop})".ljust(_INDENT)
        text = (
            f"record {document.record}  `{escaped(document.id)}`  "
            f"positions 0..{document.stop - document.start - 1}, {document.supervised} learned"
        )
        fault = f"  hole: {document.fault}" if document.fault else ""
        yield span + text + painter.paint("fault", fault)


def _bar(pack: Pack, width: int) -> str:
    """`|====|==|...`: borders, documents, padding."""
    bar = ["="] * width
    scale = width / pack.room
    bar[round(pack.used * scale) :] = "." * (width - round(pack.used * scale))
    for document in pack.documents:
        bar[min(int(document.start * scale), width - 1)] = "|"
    return "".join(bar)


def _block(painter: Painter, style: str, head: str, text: str) -> Iterator[str]:
    lines = painter.wrapped(style, _words(text), painter.width - len(head))
    for place, line in enumerate(lines):
        yield (head if place == 0 else " " * len(head)) + line


def _words(text: str) -> Sequence[str]:
    """Pieces that a line may be broken between, each with the spaces after it."""
    words, start = [], 0
    for place in range(1, len(text)):
        if text[place] != " " and text[place - 1] == " ":
            words.append(text[start:place])
            start = place
    return [*words, text[start:]] if text else [""]


def _fitting(word: str, room: int) -> int:
    """Characters of a word that fit into `room` cells; at least one."""
    used = 0
    for place, character in enumerate(word):
        used += columns(character)
        if used > room:
            return max(place, 1)
    return len(word)

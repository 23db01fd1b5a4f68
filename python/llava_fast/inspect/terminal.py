"""Records and packs for a terminal or a pipe, in lines.

`+` marks what the model learns, in green where there are colours. All text is escaped.
"""

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, starmap
from typing import TextIO

from llava_fast.inspect.pieces import ESCAPED_SPACE, SPACE, Pieces
from llava_fast.inspect.views import Pack, Picture, Record, Row
from llava_fast.printable import columns, escaped, json_line
from llava_fast.text import Segment

LEGEND = (
    "+ learned, ~ learned in part, * control id; text = of the record, mark = of the template; "
    "[a..b) = token positions; id:token; \N{OPEN BOX} = space"
)
_STYLES = {
    "learned": "32",
    "ignored": "2",
    "head": "1",
    "text": "",
    "mark": "36",
    "token": "35",
    "stop": "33",
    "image": "34",
    "fault": "31",
    "note": "33",
}
# By the codes of `Repair` in rust/core/src/record/repair.rs.
REPAIRS = {
    "misspelled_key": "`conversatons` is read as `conversations`",
    "stripped_end_mark": "an end mark in the text of an answer is left out",
    "dropped_leading_answer": "an answer before the first question is left out",
    "dropped_open_question": "a question without an answer at the end is left out",
    "collapsed_tags": "several `<image>` in one turn are one",
    "unused_image": "a picture that no `<image>` refers to is left out",
}
_INDENT = 22
# Kinds whose tokens say all that their text says.
BARE = ("token", "stop")
_LEAST_WIDTH = 40


class Painter:
    """Lines of at most `width` cells, with colours or without."""

    def __init__(self, width: int, colours: bool) -> None:
        """width: cells of a line, taken as at least 40."""
        self.width = max(width, _LEAST_WIDTH)
        self._colours = colours

    def paint(self, style: str, text: str) -> str:
        """The escaped text in a colour."""
        code = _STYLES[style]
        return f"\x1b[{code}m{text}\x1b[0m" if self._colours and code and text else text

    def wrapped(self, words: Iterable[tuple[str, str]], room: int) -> Iterator[str]:
        """Lines of (style, word), each word with the spaces after it; longer words are cut."""
        line, used = "", 0
        for style, word in words:
            while (line and used + columns(word.rstrip()) > room) or columns(word) > room:
                cut = 0 if line else _fitting(word, room)
                yield line + self.paint(style, word[:cut])
                line, used, word = "", 0, word[cut:]
            line, used = line + self.paint(style, word), used + columns(word)
        if line:
            yield line


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
    title = f"record {record.number}  `{escaped(record.id)}`  "
    yield from block(painter, "", title, style="head", rest=summary(record))
    if record.fault is not None:
        text = f"{record.fault.code}: {escaped(record.fault.message)}"
        yield from block(painter, "  fault: ", text, style="fault")
    for note in notes(record):
        yield from block(painter, "  note: ", note, style="note")
    for place, picture in enumerate(record.pictures):
        yield from block(painter, f"  picture {place}: ", picture_line(picture), style="image")
    if not record.segments:
        yield from block(painter, "  as written: ", as_written(record.json), style="ignored")
    for row in record.rows:
        yield from _row_lines(row, pieces, painter)


def summary(record: Record) -> str:
    """Sizes of a record in words; nothing for one that has none."""
    if not len(record.input_ids):
        return ""
    share = 100 * record.learned / max(record.text_tokens, 1)
    text = (
        f"{len(record.input_ids)} tokens, {record.learned} learned ({share:.1f} % of the text), "
        f"<STOP> at {', '.join(starmap(_place, record.stops))}"
    )
    pictures = len(record.pictures)
    if pictures:
        text += f", {pictures} picture{'s' if pictures > 1 else ''}"
    return text


def notes(record: Record) -> list[str]:
    """What was put right in a record, and what is left out of it."""
    said = [f"{code}: {REPAIRS[code]}" if code in REPAIRS else code for code in record.repairs]
    if record.cut_rounds:
        many = "the last round does" if record.cut_rounds == 1 else f"{record.cut_rounds} rounds do"
        said.append(f"{many} not fit into max_length: left out")
    return said


def _place(start: int, stop: int) -> str:
    return str(start) if stop - start == 1 else f"[{start}..{stop})"


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


def shown_text(segment: Segment) -> str:
    """The text of a segment, escaped, with the spaces at its ends to be seen; a picture is one
    block."""
    if segment.kind == "image":
        return f"<image> x{segment.stop - segment.start} [{segment.start}..{segment.stop})"
    return visible(segment.text)


def visible(text: str) -> str:
    """The escaped text, with the spaces at its ends to be seen."""
    text = escaped(text).replace(SPACE, ESCAPED_SPACE)
    inner = text.strip(" ")
    before = len(text) - len(text.lstrip(" ")) if inner else 0
    return SPACE * before + inner + SPACE * (len(text) - before - len(inner))


def _row_lines(row: Row, pieces: Pieces, painter: Painter) -> Iterator[str]:
    """Where the row is and whether it is learned, its text, its tokens."""
    gutter = painter.paint("learned", row.symbol) if row.symbol != " " else " "
    kind = painter.paint(row.kind, f"{row.kind:<5}")
    head = f"{gutter} {kind} {f'[{row.start}..{row.stop})':<{_INDENT - 9}}"
    room = painter.width - _INDENT
    words: Iterable[str] = ()
    if row.kind not in BARE:
        pairs = [(_style(one), word) for one in row.segments for word in _words(shown_text(one))]
        words = (f" {line}" for line in painter.wrapped(pairs, room))
    tokens = () if row.kind == "image" else _token_lines(row, pieces, painter, room)
    for place, line in enumerate(chain(words, tokens)):
        yield (head if place == 0 else " " * (_INDENT - 1)) + line


def _style(segment: Segment) -> str:
    return "learned" if segment.supervised else segment.kind


def _token_lines(row: Row, pieces: Pieces, painter: Painter, room: int) -> Iterator[str]:
    """Ids and tokens, each with its symbol; a STOP is called so."""
    line, used = [], 0
    for token in row.tokens:
        word = f"{token.symbol}{token.id}:{pieces[token.id]}"
        size = columns(word) + 1
        if line and used + size > room:
            yield " ".join(line)
            line, used = [], 0
        style = "learned" if token.learned else "token" if token.control else "ignored"
        line.append(painter.paint(style, word))
        used += size
    if row.kind == "stop":
        line.append(painter.paint("stop", " = <STOP>"))
    if line:
        yield " ".join(line)


def pack_lines(pack: Pack, painter: Painter) -> Iterator[str]:
    """A bar of a pack's documents, and each document."""
    yield from block(painter, "", f"batch {pack.step}  ", style="head", rest=pack.words)
    yield "  " + _bar(pack, painter.width - 4)
    for document in pack.documents:
        head = f"  [{document.start}..{document.stop})".ljust(_INDENT)
        first, last = document.positions
        text = (
            f"record {document.record}  `{escaped(document.id)}`  "
            f"positions {first}..{last}, {document.supervised} learned"
        )
        if document.fault:
            text += f"  hole: {document.fault}"
        style = "fault" if document.fault else "text"
        yield from block(painter, head, text, style=style)


def _bar(pack: Pack, width: int) -> str:
    """`|====|==|...`: borders, documents, padding."""
    bar = ["="] * width
    scale = width / pack.room
    bar[round(pack.used * scale) :] = "." * (width - round(pack.used * scale))
    for document in pack.documents:
        bar[min(int(document.start * scale), width - 1)] = "|"
    return "".join(bar)


def block(
    painter: Painter, head: str, text: str, style: str = "text", rest: str = ""
) -> Iterator[str]:
    """`head`, the text in its style and the plain rest, in lines that begin below the text."""
    words = [*((style, word) for word in _words(text)), *(("text", word) for word in _words(rest))]
    lines = painter.wrapped(words, painter.width - len(head))
    for place, line in enumerate(lines):
        yield (head if place == 0 else " " * max(len(head), 2)) + line


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

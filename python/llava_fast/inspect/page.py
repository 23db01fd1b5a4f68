"""Records, packs and statistics as one HTML page that needs nothing else.

No script and no address: the policy of the page allows its own style sheet and pictures inside the
page, nothing more. Every text is escaped twice, for the eye (`printable`) and for HTML.
"""

import base64
import hashlib
from collections.abc import Iterator
from html import escape
from pathlib import Path

from llava_fast.index.report import Report
from llava_fast.inspect.figures import pack_figure
from llava_fast.inspect.pictures import data_uri, reduced
from llava_fast.inspect.pieces import Pieces
from llava_fast.inspect.terminal import (
    BARE,
    LEGEND,
    as_written,
    notes,
    picture_line,
    shown_text,
    summary,
    visible,
)
from llava_fast.inspect.views import Pack, Picture, Record, Row, Token
from llava_fast.printable import escaped
from llava_fast.text import Segment

_STYLE = Path(__file__).with_name("page.css")
# With more records than this, tokens are folded away and pictures are smaller.
FEW = 10
_LARGE, _SMALL = 320, 160


def page(
    title: str,
    settings: str,
    records: list[Record],
    pieces: Pieces,
    packs: list[Pack],
    report: Report | None,
) -> str:
    """The whole file."""
    parts = [
        _head(title),
        f"<header><h1>{_safe(title)}</h1><p>{_safe(settings)}</p><p>{escape(LEGEND)}</p></header>",
        _contents(records),
    ]
    few = len(records) <= FEW
    for record in records:
        parts.append(f'<section id="r{record.number}">')
        parts += _record(record, pieces, few)
        parts.append("</section>")
    if packs:
        parts.append("<section><h2>packs</h2>")
        parts += map(pack_figure, packs)
        parts.append("</section>")
    if report is not None:
        # These lines are escaped already.
        lines = escape("\n".join(report.lines()))
        parts.append(f'<section><h2>all records</h2><pre class="report">{lines}</pre></section>')
    return "\n".join([*parts, "</body></html>\n"])


def _head(title: str) -> str:
    style = _STYLE.read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; "
        "form-action 'none'"
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="referrer" content="no-referrer">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_safe(title)}</title>\n<style>{style}</style></head>\n<body>"
    )


def _safe(text: str) -> str:
    """Any text for the inside of an element."""
    return escape(escaped(text))


def _contents(records: list[Record]) -> str:
    links = (
        f'<a href="#r{record.number}"{_bad(record)}>{record.number} {_safe(record.id[:40])}</a>'
        for record in records
    )
    return f"<nav>{' '.join(links)}</nav>"


def _bad(record: Record) -> str:
    return ' class="bad"' if record.fault else ""


def _record(record: Record, pieces: Pieces, few: bool) -> Iterator[str]:
    yield f"<h2>record {record.number} <code>{_safe(record.id)}</code></h2>"
    if len(record.input_ids):
        yield f'<p class="sum">{_safe(summary(record))}</p>'
    if record.fault is not None:
        code, message = record.fault
        yield f'<p class="fault"><b>! {_safe(code)}</b> {_safe(message)}</p>'
    for note in notes(record):
        yield f'<p class="note"><b>note</b> {escape(note)}</p>'
    for picture in record.pictures:
        yield _figure(picture, _LARGE if few else _SMALL)
    if not record.segments:
        yield f"<pre>{escape(as_written(record.json))}</pre>"
        return
    yield "<ol>"
    for row in record.rows:
        yield _row(row, pieces, few)
    yield "</ol>"


def _figure(picture: Picture, side: int) -> str:
    images = []
    if picture.original is not None:
        images.append(_image(reduced(picture.original, side), "in the file"))
        images.append('<span class="arrow">&#8594;</span>')
    squares = [] if picture.pixels is None else list(picture.pixels)
    for place, square in enumerate(squares):
        images.append(_image(reduced(square, side), f"tile {place + 1} of {len(squares)}"))
    # The line is escaped already.
    caption = f"<figcaption>{escape(picture_line(picture))}</figcaption>"
    return f"<figure>{''.join(images)}{caption}</figure>"


def _image(pixels: object, words: str) -> str:
    return f'<img src="{data_uri(pixels)}" alt="{words}" title="{words}">'


def _row(row: Row, pieces: Pieces, few: bool) -> str:
    on = " on" if row.symbol != " " else ""
    head = (
        f'<li class="row {escape(row.kind)}{on}"><b>{row.symbol}</b>'
        f'<span class="kind">{escape(row.kind)}</span>'
        f'<span class="span">[{row.start}..{row.stop})</span><div>'
    )
    words = "" if row.kind in BARE else f'<p class="words">{"".join(map(_words, row.segments))}</p>'
    if row.kind == "image":
        return f"{head}{words}</div></li>"
    note = " = &lt;STOP&gt;" if row.kind == "stop" else ""
    tokens = "".join(_token(token, pieces) for token in row.tokens)
    tokens = f'<div class="tokens">{tokens}{note}</div>'
    if words:
        count = row.stop - row.start
        summary = f"<summary>{count} token{'' if count == 1 else 's'}</summary>"
        tokens = f"<details{' open' if few else ''}>{summary}{tokens}</details>"
    return f"{head}{words}{tokens}</div></li>"


def _words(segment: Segment) -> str:
    """The text of a segment, with a line's end where it has one."""
    if segment.kind == "image":
        return escape(shown_text(segment))
    lines = (escape(visible(line)) for line in segment.text.split("\n"))
    text = '<span class="esc">\\n</span>\n'.join(lines)
    return f'<span class="control">{text}</span>' if segment.kind == "token" else text


def _token(token: Token, pieces: Pieces) -> str:
    style = "t y" if token.learned else "t c" if token.control else "t"
    text = escape(token.symbol.strip() + pieces[token.id])
    return f'<span class="{style}">{text}<small>{token.id}</small></span>'

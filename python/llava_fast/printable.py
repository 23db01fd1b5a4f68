"""Text of unknown origin, safe to show: nothing in it can drive a terminal or turn a line around.

What cannot be seen is written as Python writes it (`\\x1b`, `\\u202e`, `\\n`), and a backslash is
doubled, so that each text has one form and each form one text.
"""

import json
import unicodedata
from typing import Any

_SHORT = {"\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
# Other (control, format, surrogate, private, unassigned) and separators besides the space.
_HIDDEN = ("C", "Z")


def escaped(text: str) -> str:
    """The text on one line, without control characters, bidirectional marks or odd spaces."""
    if text.isascii() and text.isprintable() and "\\" not in text:
        return text
    return "".join(map(_shown, text))


def one_line(error: object) -> str:
    """A message with its white space folded, safe to print."""
    return escaped(" ".join(str(error).split()))


def json_line(value: Any) -> str:
    """A JSON value on one line; what cannot be seen is written in JSON's own way."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(c if _visible(c) else json.dumps(c)[1:-1] for c in text)


def columns(text: str) -> int:
    """Cells that an escaped text takes in a terminal."""
    if text.isascii():
        return len(text)
    return sum(map(_cells, text))


def _shown(character: str) -> str:
    if character in _SHORT:
        return _SHORT[character]
    if _visible(character):
        return character
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _visible(character: str) -> bool:
    return character == " " or unicodedata.category(character)[0] not in _HIDDEN


def _cells(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) == "Me":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1

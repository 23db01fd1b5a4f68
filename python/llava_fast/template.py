"""A conversation template as users name it: one of `llava_fast.templates()`, or their own."""

import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from llava_fast import _rust
from llava_fast.errors import DataError
from llava_fast.files import parse_json, read_small

Template = str | PathLike[str] | Mapping[str, Any]


def template_text(template: Template) -> str:
    """A template as the extension takes it: its name, or the JSON of one that is given as an object
    or as the path of a `.json` file.

    Raises ValueError where there is no such template, DataError for a file that cannot be read.
    """
    if not isinstance(template, str | PathLike | Mapping):
        got = type(template).__name__
        raise TypeError(f"template: got a {got}, expected a name, the path of a file or an object")
    if isinstance(template, Mapping):
        text = json.dumps(dict(template))
    elif isinstance(template, str) and not template.endswith(".json"):
        text = template
    else:
        text = _of_file(Path(template))
    _rust.template_name(text)
    return text


def template_setting(template: Template) -> str | dict[str, Any]:
    """The same as a value of a JSON file: the name, or the object itself."""
    text = template_text(template)
    return parse_json(text.encode(), "template") if text.startswith("{") else text


def stop_note(tokenizer: Any, template: str) -> str:
    """A warning where the mark that ends an answer looks like a token that the tokenizer does not
    have, so that it is spelled out in ordinary ones; "" elsewhere.
    """
    ids, text = tokenizer._core.stop(template)
    if ids or not text.startswith("<"):
        return ""
    count = len(tokenizer.encode(text))
    name = _rust.template_name(template)
    return (
        f"template {name}: `{text}` is no token of this tokenizer, it is written as {count} others"
    )


def _of_file(file: Path) -> str:
    try:
        return json.dumps(parse_json(read_small(file), file))
    except (OSError, ValueError) as error:
        raise DataError(f"template: {error}") from None

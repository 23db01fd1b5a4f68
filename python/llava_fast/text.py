"""Records and conversations as ids and labels.

Shapes: T tokens, n pictures. The work is done in Rust without the GIL.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from llava_fast import _rust
from llava_fast.checks import LARGEST_COUNT, integer, reading
from llava_fast.errors import DataError
from llava_fast.template import Template, template_text
from llava_fast.tokenizer import Tokenizer

# A picture of this many tokens is larger than any model can take.
MOST_POSITIONS = 1 << 20

_Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, list[tuple[Any, ...]]]


class Segment(NamedTuple):
    """Neighbouring text of one kind, a token or a picture of a sample.

    text: as it is spelled. kind: "text" of the record, "mark" of the template, a "token" of its, a
    "stop" that ends an answer, or an "image". supervised: whether the model learns to write it.
    start, stop: its positions; a token over a border belongs to the segment it begins in.
    """

    text: str
    kind: str
    supervised: bool
    start: int
    stop: int


@dataclass(frozen=True, eq=False)
class Sample:
    """A conversation as model input.

    input_ids: (T,) int64; a picture is a run of the image id.
    labels: (T,) int64, the id where it is a target, else -100.
    image_starts: (n,) int64, first position of each picture that is kept.
    """

    input_ids: np.ndarray
    labels: np.ndarray
    image_starts: np.ndarray
    _encode: Callable[..., _Arrays] = field(repr=False)

    @property
    def segments(self) -> list[Segment]:
        """What was encoded, in order. It is for people, and made anew whenever asked for."""
        *_, rows = self._encode(shown=True)
        return [Segment(*row) for row in rows]


def templates() -> list[str]:
    """Names of the conversation templates."""
    return _rust.templates()


def encode(
    record: dict[str, Any],
    tokenizer: Tokenizer,
    template: Template = "v1",
    image_tokens: int | Sequence[int] = 576,
    max_length: int = 2048,
    *,
    compat: str = "strict",
    keep_leading_answer: bool = False,
) -> Sample:
    """One LLaVA record (`image`, `conversations`) to train on.

    template: a name of `templates()`, or one of your own: an object or the path of a `.json` file.
    image_tokens: positions per picture, one number for all or one for each.
    max_length: in tokens; a longer conversation keeps its first whole rounds.
    compat, keep_leading_answer: as in `LlavaDataset`.

    Raises DataError with the turn that is wrong, or if the first round does not fit.
    Source: LLaVA `train.py` (`preprocess_multimodal` and the `preprocess_*` functions).
    """
    _check_tokenizer(tokenizer)
    tokens = _positions(image_tokens)
    integer("max_length", max_length, 1, LARGEST_COUNT)
    text = template_text(template)
    rules = reading(compat, keep_leading_answer)
    written = _written(record)
    return _sample(partial(_record, written, tokenizer, text, tokens, max_length, rules))


def encode_prompt(
    messages: Sequence[dict[str, str]],
    tokenizer: Tokenizer,
    template: Template = "v1",
    image_tokens: Sequence[int] = (),
) -> Sample:
    """A conversation to continue, up to the place where the model answers.

    messages: {"role": "system" | "user" | "assistant", "content": str}, the last by the user.
    `<image>` in a user's content is the place of a picture; without any, the pictures come first.
    image_tokens: positions of each picture.
    """
    turns = [(message["role"], message["content"]) for message in messages]
    _check_tokenizer(tokenizer)
    text = template_text(template)
    return _sample(partial(_prompt, turns, tokenizer, text, _positions(list(image_tokens))))


def _check_tokenizer(tokenizer: object) -> None:
    if not isinstance(tokenizer, Tokenizer):
        got = type(tokenizer).__name__
        raise TypeError(
            f"tokenizer: got a {got}, expected what Tokenizer.from_pretrained(dir) gives"
        )


def _positions(image_tokens: Any) -> int | list[int]:
    """Positions per picture, checked."""
    tokens = np.asarray(image_tokens).tolist()
    if isinstance(tokens, list):
        return [integer(f"image_tokens[{i}]", n, 1, MOST_POSITIONS) for i, n in enumerate(tokens)]
    return integer("image_tokens", tokens, 1, MOST_POSITIONS)


def _written(record: Any) -> str:
    try:
        return json.dumps(record)
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(f"record: no JSON: {error}") from None


def _sample(encode: Callable[..., _Arrays]) -> Sample:
    input_ids, labels, image_starts, _ = encode()
    return Sample(input_ids, labels, image_starts, encode)


# Functions of the module, so that a sample can be pickled.
def _record(record: str, tokenizer: Tokenizer, *arguments: Any, shown: bool = False) -> _Arrays:
    return _rust.encode(record, tokenizer._core, *arguments, shown)


def _prompt(
    turns: list[tuple[str, str]], tokenizer: Tokenizer, *arguments: Any, shown: bool = False
) -> _Arrays:
    return _rust.encode_prompt(turns, tokenizer._core, *arguments, shown)

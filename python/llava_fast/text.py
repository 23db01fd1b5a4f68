"""Records and conversations as ids and labels.

Shapes: T tokens, n pictures. The work is done in Rust without the GIL.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from llava_fast import _rust
from llava_fast.template import Template, template_text
from llava_fast.tokenizer import Tokenizer


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
    segments: what was encoded, in order.
    """

    input_ids: np.ndarray
    labels: np.ndarray
    image_starts: np.ndarray
    segments: list[Segment]


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
    tokens = np.asarray(image_tokens).tolist()
    text = template_text(template)
    rules = reading(compat, keep_leading_answer)
    written = json.dumps(record)
    return _sample(_rust.encode(written, tokenizer._core, text, tokens, max_length, rules))


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
    text = template_text(template)
    return _sample(_rust.encode_prompt(turns, tokenizer._core, text, list(image_tokens)))


def _sample(arrays: tuple[Any, ...]) -> Sample:
    *parts, segments = arrays
    return Sample(*parts, segments=[Segment(*segment) for segment in segments])

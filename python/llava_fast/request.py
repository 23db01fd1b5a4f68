"""What a generator is asked, checked before a model is involved. No torch."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import Any

from llava_fast.checks import LARGEST_COUNT, LARGEST_SEED, integer


@dataclass(frozen=True, kw_only=True)
class Request:
    """One conversation to continue.

    messages: [{"role": "system" | "user" | "assistant", "content": str}], the last one the user's;
        `<image>` in a content marks a picture's place, else pictures stand before the first
        question.
    prompt: short for one user message.
    images: pictures in order, from any iterable: paths, bytes, PIL images, (H, W, 3) uint8 arrays.
    max_new_tokens: most tokens of the answer; the model's context may end it earlier.
    temperature: 0 = greedy. top_p: share of probability that is sampled from. seed: of the
        sampling, 0..2**64 - 1.
    stop: strings that end the answer and are not part of it.

    Raises ValueError naming the field that cannot be meant.
    """

    messages: Sequence[dict[str, str]] | None = None
    prompt: str | None = None
    images: Sequence[Any] = ()
    max_new_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    stop: Sequence[str] = field(default_factory=tuple)

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if (self.messages is None) == (self.prompt is None):
            raise ValueError("request: expected exactly one of `messages` and `prompt`")
        if self.messages is not None:
            _check_messages(self.messages)
        elif not isinstance(self.prompt, str):
            raise ValueError(f"prompt: got {self.prompt!r}, expected text")
        integer("max_new_tokens", self.max_new_tokens, 1, LARGEST_COUNT)
        integer("seed", self.seed, 0, LARGEST_SEED)
        if not (_is_number(self.temperature) and self.temperature >= 0):
            raise ValueError(f"temperature: got {self.temperature!r}, expected a number >= 0")
        if not (_is_number(self.top_p) and 0 < self.top_p <= 1):
            raise ValueError(f"top_p: got {self.top_p!r}, expected a number in (0, 1]")
        if not isinstance(self.stop, list | tuple) or not all(map(_is_stop, self.stop)):
            raise ValueError(f"stop: got {self.stop!r}, expected a list of non-empty strings")
        object.__setattr__(self, "images", _pictures(self.images))

    def turns(self) -> Sequence[dict[str, str]]:
        """The messages."""
        if self.messages is None:
            return [{"role": "user", "content": self.prompt or ""}]
        return self.messages


def _check_messages(messages: Any) -> None:
    if not isinstance(messages, list | tuple) or not messages:
        raise ValueError(f"messages: got {messages!r}, expected a list of at least one")
    for number, message in enumerate(messages):
        if not isinstance(message, Mapping):
            raise ValueError(
                f"messages[{number}]: got {message!r}, expected `role` and `content` in a dict"
            )
        for key in ("role", "content"):
            if key not in message:
                raise ValueError(f"messages[{number}]: missing `{key}`")
            if not isinstance(message[key], str):
                got = type(message[key]).__name__
                raise ValueError(f"messages[{number}]: `{key}`: got {got}, expected text")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _is_stop(text: Any) -> bool:
    return isinstance(text, str) and text != ""


def _pictures(images: Any) -> tuple[Any, ...]:
    """The pictures of any iterable; one picture alone is refused, whose rows would be taken."""
    one = isinstance(images, str | bytes | bytearray | PathLike) or getattr(images, "ndim", 0) == 3
    if one or not isinstance(images, Iterable):
        got = "one picture" if one else type(images).__name__
        raise ValueError(f"images: got {got}, expected a list of pictures")
    return tuple(images)

"""Answers about pictures: prefill, key-value cache, one token per text and step.

Letters: T prompt tokens of all texts in a row, B texts, V vocabulary, P slots per picture.
"""

import tempfile
from collections import abc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from llava_fast import assets
from llava_fast.checks import LARGEST_COUNT, integer
from llava_fast.config import ImageConfig
from llava_fast.device import pick_device
from llava_fast.errors import DataError
from llava_fast.models.batch import Pack
from llava_fast.models.language import Documents, KeyValueCache
from llava_fast.models.llava import LlavaModel
from llava_fast.request import Request
from llava_fast.sampling import Sampler, choose
from llava_fast.streaming import TextStream
from llava_fast.template import Template, template_text
from llava_fast.text import encode_prompt
from llava_fast.tokenizer import Tokenizer


@dataclass(frozen=True)
class Result:
    """text: the answer without the stop string. token_ids: all chosen ids, an ending EOS included.
    finish_reason: "stop" (EOS or a stop string) or "length". prompt_tokens: pictures included.
    """

    text: str
    token_ids: list[int]
    finish_reason: str
    prompt_tokens: int


class Generator:
    """`generator.generate([Request(...)])` and `generator.stream(Request(...))`.

    model: a `LlavaModel` or a directory. tokenizer: None = the directory's. template: None = what
        the model was trained with (`llava_fast.json`); required where the directory does not say.
    device: None = cuda where there is one, else cpu, for a directory; a model stays where it is.
    batch_size: most texts computed together; it changes speed and memory, not answers.
    Raises ValueError (or its children DataError, ImageError) naming what cannot be used.
    """

    def __init__(
        self,
        model: LlavaModel | str | PathLike[str],
        tokenizer: Tokenizer | None = None,
        template: Template | None = None,
        device: str | torch.device | None = None,
        *,
        dtype: torch.dtype | None = None,
        batch_size: int = 16,
    ) -> None:
        self.batch_size = integer("batch_size", batch_size, 1, LARGEST_COUNT)
        place = "" if isinstance(model, LlavaModel) else f"{Path(model)}/"
        if not isinstance(model, LlavaModel):
            model = LlavaModel.from_pretrained(model, dtype, pick_device(str(device or "auto")))
        elif device is not None or dtype is not None:
            device = None if device is None else pick_device(str(device))
            model = model.to(device=device, dtype=dtype)
        self.model = model
        self.tokenizer = tokenizer or _own_tokenizer(model, place)
        self.template = _known_template(template or assets.settings(model.assets).get("template"))
        ids, text = self.tokenizer._core.stop(self.template)
        self._eos = assets.eos_ids(model.assets, model.config.text) | {self.tokenizer.eos_id, *ids}
        self._stops = (text,) if text else ()
        self._processor: Any = None

    def generate(self, requests: Sequence[Request]) -> list[Result]:
        """Answers in the order of the requests; texts in one batch do not influence each other."""
        texts = [self._begin(request) for request in requests]
        for first in range(0, len(texts), self.batch_size):
            for _ in self._advance(texts[first : first + self.batch_size]):
                pass
        return [text.result() for text in texts]

    def stream(self, request: Request) -> abc.Generator[str, None, Result]:
        """Pieces of the answer as they become certain; joined they are `Result.text`.

        Bytes of an unfinished character and beginnings of stop strings are held back. The
        iterator's return value is the `Result`.
        """
        text = self._begin(request)
        for pieces in self._advance([text]):
            if pieces[0]:
                yield pieces[0]
        return text.result()

    def _begin(self, request: Request) -> "_Text":
        pixels = self._pixels(request.images)
        slots = [self.model.config.image_tokens] * len(request.images)
        prompt = encode_prompt(request.turns(), self.tokenizer, self.template, slots)
        room = self.model.config.text.max_position_embeddings - len(prompt.input_ids)
        if room < 1:
            raise ValueError(
                f"request: the prompt has {len(prompt.input_ids)} tokens, expected fewer than "
                f"{self.model.config.text.max_position_embeddings} (max_position_embeddings)"
            )
        stops = (*request.stop, *self._stops)
        return _Text(
            prompt=torch.from_numpy(prompt.input_ids),
            image_starts=torch.from_numpy(prompt.image_starts),
            pixels=pixels,
            limit=min(request.max_new_tokens, room),
            eos=self._eos,
            sampler=Sampler.seeded(request.temperature, request.top_p, request.seed),
            stream=TextStream(self.tokenizer.decode, stops),
        )

    def _pixels(self, images: Sequence[Any]) -> torch.Tensor | None:
        """`pixel_patches` (n, P, K) of the pictures, or None without any."""
        if not images:
            return None
        if self._processor is None:
            from llava_fast.images import ImageProcessor

            vision = self.model.config.vision
            self._processor = ImageProcessor(
                ImageConfig(
                    size=vision.image_size,
                    mode=assets.image_mode(self.model.assets),
                    patch_size=vision.patch_size,
                    mean=vision.image_mean,
                    std=vision.image_std,
                    output="pixel_patches",
                )
            )
        return self._processor(list(images), return_tensors="pt")["pixel_patches"]

    def _advance(self, texts: list["_Text"]) -> Iterator[list[str]]:
        """Compute all texts to their end; after each step the new piece of each."""
        cache = self._cache(texts)
        logits_BV = self._prefill(texts, cache)
        while True:
            chosen = choose(logits_BV, [text.sampler for text in texts])
            yield [text.take(token) for text, token in zip(texts, chosen, strict=True)]
            if all(text.finish_reason for text in texts):
                return
            logits_BV = self._step(texts, chosen, cache)

    def _cache(self, texts: list["_Text"]) -> KeyValueCache:
        positions = max(len(text.prompt) + text.limit for text in texts)
        weight = self.model.head_weight
        return KeyValueCache(self.model.config.text, len(texts), positions, weight)

    @torch.inference_mode()
    def _prefill(self, texts: list["_Text"], cache: KeyValueCache) -> torch.Tensor:
        """Logits (B, V) after each prompt; the cache holds the prompts."""
        lengths = tuple(len(text.prompt) for text in texts)
        hidden_TD = self.model.hidden(_pack(texts, lengths, self.model), Documents(lengths, cache))
        lengths_B = torch.tensor(lengths, device=self.model.device)
        cache.filled_B.copy_(lengths_B)
        return F.linear(hidden_TD[lengths_B.cumsum(0) - 1], self.model.head_weight)

    @torch.inference_mode()
    def _step(self, texts: list["_Text"], chosen: list[int], cache: KeyValueCache) -> torch.Tensor:
        """Logits (B, V) after the chosen tokens. A finished text stays where it is."""
        ids_B = torch.tensor(chosen, device=self.model.device)
        x_BD = self.model.embed(ids_B, None, None)
        hidden_BD = self.model.language_model(x_BD, cache.filled_B, cache)
        running = [not text.finish_reason for text in texts]
        cache.filled_B += torch.tensor(running, device=self.model.device)
        return F.linear(hidden_BD, self.model.head_weight)


@dataclass
class _Text:
    """One request on its way."""

    prompt: torch.Tensor
    image_starts: torch.Tensor
    pixels: torch.Tensor | None
    limit: int
    eos: set[int]
    sampler: Sampler
    stream: TextStream
    token_ids: list[int] = field(default_factory=list)
    finish_reason: str = ""

    def take(self, token: int) -> str:
        """The piece of text that this token makes certain."""
        if self.finish_reason:
            return ""
        self.token_ids.append(token)
        if token in self.eos:
            self.finish_reason = "stop"
            return self.stream.finish(whole=True)
        piece = self.stream.push(token)
        if self.stream.stopped:
            self.finish_reason = "stop"
        elif len(self.token_ids) == self.limit:
            self.finish_reason = "length"
            piece += self.stream.finish(whole=False)
            if self.stream.stopped:
                self.finish_reason = "stop"
        return piece

    def result(self) -> Result:
        """The finished answer."""
        return Result(self.stream.text, self.token_ids, self.finish_reason, len(self.prompt))


def _pack(texts: list[_Text], lengths: tuple[int, ...], model: LlavaModel) -> Pack:
    """All prompts as documents in a row."""
    slot_P = torch.arange(model.config.image_tokens)
    offset = 0
    slots = []
    for text, length in zip(texts, lengths, strict=True):
        slots.append((text.image_starts[:, None] + slot_P + offset).flatten())
        offset += length
    pixels = [text.pixels for text in texts if text.pixels is not None]
    device = model.device
    return Pack(
        ids=torch.cat([text.prompt for text in texts]).to(device),
        positions=torch.cat([torch.arange(n) for n in lengths]).to(device),
        lengths=lengths,
        pixels=torch.cat(pixels).to(device) if pixels else None,
        slots=torch.cat(slots).to(device) if pixels else None,
    )


def _known_template(template: Template | None) -> str:
    if template is None:
        raise ValueError("the model does not say its template; pass template=")
    return template_text(template)


def _own_tokenizer(model: LlavaModel, place: str) -> Tokenizer:
    """The tokenizer that came with the model; its directory need not exist any more.

    place: what stands before a file's name in messages.
    """
    files = assets.tokenizer_files(model.assets)
    if not files:
        raise ValueError(f"{place.removesuffix('/') or 'the model'}: no tokenizer; pass tokenizer=")
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        try:
            return Tokenizer.from_pretrained(folder)
        except DataError as error:
            raise DataError(str(error).replace(f"{folder}/", place)) from None

"""What a training run is: one frozen dataclass, its keys on the command line, and their checks.

No torch here: `--help`, a misspelt key and the summary of a finished run answer at once.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

PARTS = ("projector", "llm", "vision")
EVALUATIONS = ("held_out", "blind", "unseen")

# Settings that a run may go on with changed: they decide neither what is trained on nor how.
# `on_bad_sample`, `max_bad` and `follow_links` are among them because a bad picture moves no other
# sample.
NEUTRAL = frozenset(
    {"out", "fresh", "log_every", "save_every", "keep", "workers", "num_threads"}
    | {"device", "on_bad_sample", "max_bad", "follow_links"}
)
# Files may move while a run is not finished: the loader knows their content by its fingerprint.
MOVABLE = frozenset({"data", "images"})


def key(default: Any, about: str) -> Any:
    """A field that the command line can set; `about` is its line in `--help`."""
    return dataclasses.field(default=default, metadata={"about": about})


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """All settings of one training stage. Lengths are in tokens, image tokens included.

    Raises:
        ValueError: a value is out of range; the message names the key.
    """

    recipe: str = key("", "name of the recipe these settings come from")
    model: str = key("", "LLaVA directory to start from; or `vision` and `llm`")
    vision: str = key("", "directory of a CLIP vision tower, for a new LLaVA")
    llm: str = key("", "directory of a Llama model with its tokenizer, for a new LLaVA")
    projector_type: str = key("mlp2x_gelu", "projector of a new LLaVA: mlp2x_gelu or linear")
    data: str = key("", "records: LLaVA JSON, JSONL, several as /p/{a,b}.json, or a .yaml mixture")
    images: str = key(
        "",
        "folder, zip or tar in which the image paths start, or several in braces",
    )
    template: str = key("v1", "conversation template: v1, plain, qwen_2 ...; or a JSON file")
    image_mode: str = key("pad", "crop (centre) or pad (to a square of the mean colour)")
    train: str = key("projector,llm", "parts that learn, of projector, llm, vision")
    out: str = key("", "run directory; empty = runs/<recipe>")
    seed: int = key(0, "seed of the sample order and of a new projector")
    steps: int = key(0, "optimizer steps; 0 = as many as `epochs` give")
    epochs: float = key(1.0, "passes over the data, if `steps` is 0")
    batch: int = key(128, "samples per optimizer step, on average")
    batch_tokens: int = key(0, "tokens per optimizer step; 0 = batch x mean record length")
    pack_tokens: int = key(4096, "most tokens in one pack (one forward pass)")
    max_length: int = key(
        0, "tokens of a record, later turns are cut; 0 = the model's, at most 2048"
    )
    on_bad_sample: str = key("raise", "raise, or skip: leave bad records out and list them")
    max_bad: float = key(0.001, "share of bad records that skip lets through, or 100 of them")
    follow_links: bool = key(False, "let symbolic links lead out of the folder `images`")
    lr: float = key(2e-5, "peak learning rate")
    warmup: float = key(0.03, "share of the steps with a rising rate, rounded up; then cosine to 0")
    weight_decay: float = key(0.0, "AdamW weight decay, matrices only")
    betas: tuple[float, float] = key((0.9, 0.999), "AdamW betas")
    eps: float = key(1e-8, "AdamW epsilon")
    clip: float = key(0.0, "largest gradient norm; 0 = no clipping")
    dtype: str = key("float32", "type of the computation: float32 or bfloat16 (weights: float32)")
    device: str = key("auto", "torch device, cpu or cuda; auto = cuda where there is one")
    threads: int = key(0, "torch threads on the CPU; 0 = torch's choice")
    workers: int = key(0, "worker processes of the loader; 0 = threads of this process")
    num_threads: int = key(0, "decoding threads of the loader; 0 = its own choice")
    held_out: str = key("", "records for the exact-answer accuracy after training")
    blind: str = key("", "the same with wrong pictures: what can be guessed")
    unseen: str = key("", "records with combinations that training never showed")
    evaluate: str = key("", "more records to measure: NAME=FILE,NAME=FILE")
    evaluate_first: bool = key(False, "measure `held_out` before training too")
    log_every: int = key(10, "steps per console line")
    save_every: int = key(500, "steps per checkpoint")
    keep: int = key(2, "newest checkpoints that stay, at least 2")
    fresh: bool = key(False, "start over: delete what this run has left in `out`")

    def __post_init__(self) -> None:
        if not self.model and not (self.vision and self.llm):
            raise ValueError("model: got nothing, expected `model=DIR`, or `vision=DIR llm=DIR`")
        if self.model and (self.vision or self.llm):
            raise ValueError("model: got `model` and `vision`/`llm`, expected one or the other")
        for name in ("data", "images"):
            if not getattr(self, name):
                raise ValueError(f"{name}: got nothing, expected `{name}=PATH`")
        for name, allowed in _CHOICES.items():
            _one_of(name, getattr(self, name), allowed)
        for part in self.parts:
            _one_of("train", part, PARTS)
        for name, (least, most) in _RANGES.items():
            value = getattr(self, name)
            if not (math.isfinite(value) and least <= value <= most):
                raise ValueError(f"{name}: got {value}, expected {least} to {most}")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas: got {self.betas}, expected two numbers in [0, 1)")
        if self.evaluate_first and not self.held_out:
            raise ValueError("evaluate_first: got true without `held_out=FILE`")
        _ = self.evaluations

    @property
    def parts(self) -> tuple[str, ...]:
        """Which of projector, llm, vision learn."""
        return tuple(part.strip() for part in self.train.split(","))

    @property
    def folder(self) -> Path:
        """The run directory."""
        return Path(self.out or f"runs/{self.recipe}")

    @property
    def evaluations(self) -> dict[str, str]:
        """Name -> file of the record files to measure after training."""
        more = dict(_named_file(item) for item in self.evaluate.split(",") if item)
        return {name: getattr(self, name) for name in EVALUATIONS if getattr(self, name)} | more

    @property
    def inputs(self) -> dict[str, str]:
        """Key -> path of everything that the run reads."""
        named = {name: getattr(self, name) for name in ("model", "vision", "llm", "data", "images")}
        return {name: path for name, path in named.items() if path} | self.evaluations

    def to_json(self) -> str:
        """All settings, one per line."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"


_CHOICES = {
    "projector_type": ("mlp2x_gelu", "linear"),
    "image_mode": ("crop", "pad"),
    "on_bad_sample": ("raise", "skip"),
    "dtype": ("float32", "bfloat16"),
}
_MOST = 2**31 - 1
_RANGES: dict[str, tuple[float, float]] = {
    "seed": (0, 2**63 - 1),
    "steps": (0, _MOST),
    "epochs": (1e-6, 1e6),
    "batch": (1, _MOST),
    "batch_tokens": (0, _MOST),
    "pack_tokens": (1, _MOST),
    "max_length": (0, _MOST),
    "max_bad": (0, 1),
    "lr": (0, 1e3),
    "warmup": (0, 1),
    "weight_decay": (0, 1e3),
    "eps": (0, 1),
    "clip": (0, 1e9),
    "threads": (0, 4096),
    "workers": (0, 4096),
    "num_threads": (0, 4096),
    "log_every": (1, _MOST),
    "save_every": (1, _MOST),
    "keep": (2, 1000),
}


def _named_file(item: str) -> tuple[str, str]:
    name, equals, file = item.partition("=")
    if not (name.isidentifier() and equals and file):
        raise ValueError(f"evaluate: got `{item}`, expected NAME=FILE")
    return name, file


def _one_of(name: str, value: str, allowed: Iterable[str]) -> None:
    if value not in allowed:
        raise ValueError(f"{name}: got `{value}`, expected one of {', '.join(allowed)}")


def nearest(kind: str, word: str, known: Iterable[str]) -> ValueError:
    """The error for a `kind` ("key", "recipe") that does not exist, naming the closest one."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.0)
    return ValueError(f"unknown {kind} `{word}`, did you mean `{close[0]}`?")


def parse_value(name: str, text: str) -> Any:
    """`text` as the type of the field `name`.

    Raises:
        ValueError: no such field (names the nearest), or not a value of its type.
    """
    types = get_type_hints(TrainConfig)
    if name not in types:
        raise nearest("key", name, types)
    convert, expected = _PARSERS[types[name]]
    try:
        return convert(text)
    except (ValueError, KeyError):
        raise ValueError(f"{name}: got `{text}`, expected {expected}") from None


def _pair(text: str) -> tuple[float, float]:
    first, second = text.strip("()").split(",")
    return float(first), float(second)


_TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_PARSERS: dict[Any, tuple[Any, str]] = {
    str: (str, "text"),
    int: (int, "a whole number"),
    float: (float, "a number"),
    bool: (lambda text: _TRUTH[text.lower()], "true or false"),
    tuple[float, float]: (_pair, "two numbers, as in `0.9,0.999`"),
}


def changed(old: dict[str, Any], new: TrainConfig, but: frozenset[str] = NEUTRAL) -> list[str]:
    """`field: was X, now Y` for every setting that differs, those of `but` aside."""
    now = json.loads(new.to_json())
    names = sorted((old.keys() | now.keys()) - but)
    return [
        f"{name}: was {json.dumps(old.get(name))}, now {json.dumps(now.get(name))}"
        for name in names
        if old.get(name) != now.get(name)
    ]

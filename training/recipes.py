"""A recipe is a function that returns the complete settings of a run, stage by stage.

The values of `pretrain` and `finetune` are LLaVA-1.5's (haotian-liu/LLaVA, scripts/v1_5).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .config import TrainConfig

Changes = dict[str, Any]

DEFAULT = Path(__file__).parent / "default"


def pretrain(changes: Changes) -> list[TrainConfig]:
    """Stage 1: captions teach a new projector; tower and LLM stay as they are."""
    values: Changes = {
        "recipe": "pretrain",
        "template": "plain",
        "image_mode": "crop",
        "train": "projector",
        "batch": 256,
        "lr": 1e-3,
    }
    return [TrainConfig(**values | changes)]


def finetune(changes: Changes) -> list[TrainConfig]:
    """Stage 2: conversations teach projector and LLM to follow instructions."""
    values: Changes = {
        "recipe": "finetune",
        "template": "v1",
        "image_mode": "pad",
        "train": "projector,llm",
        "batch": 128,
        "lr": 2e-5,
    }
    return [TrainConfig(**values | changes)]


def tiny(changes: Changes) -> list[TrainConfig]:
    """The default: both stages on a small made-up world with small shipped backbones.

    `stage1.KEY=` and `stage2.KEY=` reach one stage, a plain `KEY=` both.
    """
    out = Path(changes.get("out") or "runs/tiny")
    world = out / "data"
    shared: Changes = {
        "images": str(world / "images"),
        "clip": 1.0,
        "max_length": 512,
        "threads": 1,
        "save_every": 50,
        "log_every": 25,
    }
    one: Changes = {
        "vision": str(DEFAULT / "backbones" / "vision"),
        "llm": str(DEFAULT / "backbones" / "lm"),
        "data": str(world / "stage1.json"),
        "steps": 150,
        "batch": 16,
        "lr": 2e-3,
    }
    two: Changes = {
        "model": str(out / "stage1" / "model"),
        "data": str(world / "stage2.json"),
        "template": "v1_short",
        "steps": 300,
        "batch": 12,
        "lr": 1e-3,
        "held_out": str(world / "held_out.json"),
        "blind": str(world / "blind.json"),
        "unseen": str(world / "unseen_pairs.json"),
        "evaluate": f"detail={world}/held_out_detail.json,complex={world}/held_out_complex.json",
        "evaluate_first": True,
    }
    return [
        *pretrain(shared | one | _stage("stage1", changes, out)),
        *finetune(shared | two | _stage("stage2", changes, out)),
    ]


def _stage(name: str, changes: Changes, out: Path) -> Changes:
    """The changes that concern the stage `name`, and its folder inside `out`."""
    shared = {key: value for key, value in changes.items() if "." not in key}
    own = {
        key.removeprefix(f"{name}."): value
        for key, value in changes.items()
        if key.startswith(f"{name}.")
    }
    return shared | own | {"out": str(out / name)}


def _write_world(out: Path, seed: int) -> None:
    """Pictures and conversations of `tiny`; from then on they are data like any other."""
    from .default.world import write_world

    write_world(out / "data", seed)


def _pretrain_backbones(out: Path, seed: int) -> None:
    """The weights in `default/backbones`, made again."""
    from .default.pretrain import run

    run(out, seed)


@dataclass(frozen=True)
class Recipe:
    """about: a line for `--help`. stages: the settings, in order. names: of the stages, if there
    are several. prepare: makes what the stages read, given run directory and seed; a recipe may do
    nothing else. makes: the names it writes in the run directory."""

    about: str
    stages: Callable[[Changes], list[TrainConfig]] | None = None
    names: tuple[str, ...] = ()
    prepare: Callable[[Path, int], None] | None = None
    makes: tuple[str, ...] = ()


RECIPES = {
    "tiny": Recipe(
        "the default: both stages on a small made-up world",
        tiny,
        names=("stage1", "stage2"),
        prepare=_write_world,
        makes=("data",),
    ),
    "pretrain": Recipe("LLaVA-1.5 stage 1: captions teach a projector", pretrain),
    "finetune": Recipe("LLaVA-1.5 stage 2: conversations teach projector and LLM", finetune),
    "backbones": Recipe(
        "makes the small vision tower and LLM of the default again (under an hour)",
        prepare=_pretrain_backbones,
        makes=("vision", "lm", "tokenizer.json", "tokenizer_config.json"),
    ),
}

"""From a command line to the stages of a run, and the run directory that holds them."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import rundir
from .config import TrainConfig, changed, nearest, parse_value
from .recipes import RECIPES, Recipe

LEFTOVERS = (
    *("checkpoints", "model", "data", "config.json", "metrics.jsonl", "summary.json"),
    *("vision", "lm", "tokenizer.json", "tokenizer_config.json"),
)


@dataclass(frozen=True)
class Plan:
    """A run: stages in order, and the directory above them (a single stage has no own one)."""

    recipe: Recipe
    stages: list[TrainConfig]
    out: Path
    seed: int
    fresh: bool

    def clear(self) -> None:
        """Deletes what an earlier run has left in its directory, and nothing else."""
        for folder in (self.out, *(stage.folder for stage in self.stages)):
            for name in LEFTOVERS:
                path = folder / name
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)

    def prepare(self) -> None:
        """Writes the data, if the recipe makes its own."""
        if self.recipe.prepare:
            self.recipe.prepare(self.out, self.seed)

    def together(self, summaries: list[dict[str, Any]]) -> dict[str, Any]:
        """The summary of the whole run; with several stages, it is the last one's and more."""
        if len(summaries) == 1:
            return summaries[0]
        seconds = sum(summary["seconds"] for summary in summaries)
        stages = {"stages": {summary["stage"]: summary for summary in summaries}}
        whole = summaries[-1] | {"seconds": seconds} | stages
        rundir.write_text(self.out / "summary.json", json.dumps(whole, indent=1) + "\n")
        return whole


def resolve(arguments: list[str]) -> Plan:
    """The settings of `key=value` words over those of the recipe (default: tiny).

    Raises:
        ValueError: not `key=value`, an unknown recipe or key (names the nearest), a bad value.
    """
    texts = dict(_split(word) for word in arguments)
    name = texts.pop("recipe", "tiny")
    if name not in RECIPES:
        raise nearest("recipe", name, RECIPES)
    changes = {key: parse_value(key.rpartition(".")[2], text) for key, text in texts.items()}
    seed, fresh = changes.get("seed", 0), changes.get("fresh", False)
    recipe = RECIPES[name]
    if recipe.stages is None:
        if other := changes.keys() - {"out", "seed", "fresh"}:
            raise ValueError(f"recipe `{name}` takes `out`, `seed` and `fresh`, got `{min(other)}`")
        return Plan(recipe, [], Path(changes.get("out") or f"runs/{name}"), seed, fresh)
    stages = recipe.stages(changes)
    names = {stage.folder.name for stage in stages} if len(stages) > 1 else {""}
    for key in changes:
        stage, dot, _ = key.rpartition(".")
        if dot and stage not in names:
            raise nearest("stage", stage, names)
    first = stages[0].folder
    return Plan(recipe, stages, first.parent if len(stages) > 1 else first, seed, fresh)


def _split(word: str) -> tuple[str, str]:
    key, equals, value = word.partition("=")
    if not equals:
        raise ValueError(f"got `{word}`, expected key=value (`--help` lists the keys)")
    return key, value


def refuse_changes(plan: Plan) -> None:
    """A run goes on with the settings it was started with, or not at all.

    Raises:
        ValueError: the run directory holds a run with other settings; names the first of them.
    """
    for stage in plan.stages:
        saved = rundir.read_json(stage.folder / "config.json")
        if saved and (differences := changed(saved, stage)):
            raise ValueError(
                f"`{stage.folder}` holds a run with other settings, {differences[0]} "
                "(`fresh=true` starts over, `out=DIR` goes elsewhere)"
            )

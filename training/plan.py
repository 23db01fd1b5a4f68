"""From a command line to the stages of a run, and the run directory that holds them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import rundir
from .config import MOVABLE, NEUTRAL, TrainConfig, changed, nearest, parse_value
from .recipes import RECIPES, Recipe

# These belong to the whole run, not to one of its stages.
WHOLE = ("recipe", "out", "fresh")


@dataclass(frozen=True)
class Plan:
    """A run: stages in order, and the directory above them (a single stage has no own one)."""

    recipe: Recipe
    stages: list[TrainConfig]
    out: Path
    seed: int
    fresh: bool

    def prepare(self) -> None:
        """Writes what the recipe makes, once; what is complete already is taken as it is.

        Raises:
            ValueError: some of it exists and is not of this recipe's making.
        """
        names = self.recipe.makes
        if self.recipe.prepare is None or all((self.out / name).exists() for name in names):
            return
        for name in sorted(set(names) - rundir.made(self.out)):
            if (self.out / name).exists():
                raise ValueError(f"out: `{self.out / name}` exists and no run has made it")
        rundir.note_made(self.out, names)
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
    recipe = RECIPES[name]
    for word in texts:
        _check_stage(name, recipe, word)
    changes = {key: parse_value(key.rpartition(".")[2], text) for key, text in texts.items()}
    seed, fresh = changes.get("seed", 0), changes.get("fresh", False)
    if recipe.stages is None:
        if other := changes.keys() - {"out", "seed", "fresh"}:
            raise ValueError(f"recipe `{name}` takes `out`, `seed` and `fresh`, got `{min(other)}`")
        return Plan(recipe, [], Path(changes.get("out") or f"runs/{name}"), seed, fresh)
    stages = recipe.stages(changes)
    first = stages[0].folder
    return Plan(recipe, stages, first.parent if len(stages) > 1 else first, seed, fresh)


def _check_stage(name: str, recipe: Recipe, word: str) -> None:
    """`STAGE.KEY` needs a recipe with that stage, and a key that stages have."""
    stage, dot, key = word.rpartition(".")
    if not dot:
        return
    if not recipe.names:
        raise ValueError(f"`{word}`: recipe `{name}` has no named stages, expected `{key}=`")
    if stage not in recipe.names:
        raise nearest("stage", stage, recipe.names)
    if key in WHOLE:
        raise ValueError(f"`{word}`: `{key}` is the same for all stages, expected `{key}=`")


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
        finished = rundir.read_summary(stage.folder) is not None
        but = NEUTRAL if finished else NEUTRAL | MOVABLE
        if saved and (differences := changed(saved, stage, but)):
            raise ValueError(
                f"`{stage.folder}` holds a run with other settings, {differences[0]} "
                "(`fresh=true` starts over, `out=DIR` goes elsewhere)"
            )

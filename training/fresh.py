"""What a run may replace or delete in its directory: traces of runs, and nothing of the user's.

A stage's directory is known by its `config.json` and `lock`; what a recipe has made before its
stages stands in a list of its own (`rundir.made`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from . import rundir
from .plan import Plan

# `config.json` is the proof for the others and goes last.
LEFTOVERS = ("checkpoints", "model", "metrics.jsonl", "bad.jsonl", "summary.json", "config.json")
KEYS_OF_A_RUN = {"recipe", "data", "images", "train", "template", "on_bad_sample", "out"}


def refuse_foreign(plan: Plan) -> None:
    """A run writes into an empty place, or where a run has written before.

    Raises:
        ValueError: something else has the name of a file that the run would write.
    """
    for folder in (stage.folder for stage in plan.stages):
        found = [name for name in LEFTOVERS if os.path.lexists(folder / name)]
        if found and not _is_a_run(folder):
            raise ValueError(
                f"out: `{folder}` holds `{found[0]}` and is not the directory of a run (a run's "
                "`config.json` and `lock`): nothing is touched, choose another `out=DIR`"
            )
    above = plan.out / "summary.json"
    foreign = "stages" not in (rundir.read_summary(plan.out) or {})
    if len(plan.stages) > 1 and foreign and os.path.lexists(above):
        raise ValueError(
            f"out: `{above}` is not of such a run: nothing is touched, choose another `out=DIR`"
        )


def leftovers(plan: Plan) -> list[Path]:
    """What `fresh=true` deletes: what an earlier run has left, where it is proven to be one's.

    Raises:
        ValueError: it is not, or the run that is to start reads from it.
    """
    refuse_foreign(plan)
    found = [path for path in _candidates(plan) if os.path.lexists(path)]
    own = own_inputs(plan)
    for stage in plan.stages:
        for key, value in stage.inputs.items():
            for path in found if value not in own else ():
                if _overlap(path.resolve(), Path(value).resolve()):
                    raise ValueError(
                        f"fresh: got true, which would delete `{path}`, but `{key}={value}` is "
                        "there; choose another `out=DIR`"
                    )
    return found


def own_inputs(plan: Plan) -> set[str]:
    """Paths inside the run directory that the run itself makes before it reads them."""
    if not (plan.recipe.makes and plan.recipe.stages):
        return set()
    stages = plan.recipe.stages({"out": str(plan.out)})
    paths = {path for stage in stages for path in stage.inputs.values()}
    return {path for path in paths if Path(path).is_relative_to(plan.out)}


def _candidates(plan: Plan) -> Iterator[Path]:
    for stage in plan.stages:
        yield from (stage.folder / name for name in LEFTOVERS)
    if len(plan.stages) > 1:
        yield plan.out / "summary.json"
    made = rundir.made(plan.out)
    for name in plan.recipe.makes:
        if name in made:
            yield plan.out / name
        elif not plan.stages and os.path.lexists(plan.out / name):
            raise ValueError(
                f"fresh: got true, but no run has made `{plan.out / name}`: nothing is touched, "
                "choose another `out=DIR`"
            )
    yield plan.out / rundir.MADE


def _is_a_run(folder: Path) -> bool:
    config = rundir.read_json(folder / "config.json")
    return config is not None and config.keys() >= KEYS_OF_A_RUN and (folder / "lock").is_file()


def _overlap(one: Path, other: Path) -> bool:
    return one.is_relative_to(other) or other.is_relative_to(one)

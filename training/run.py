"""`python -m training.run [key=value ...]`: from a recipe to a trained model.

Nothing heavy is imported before it is needed: help, mistakes and finished runs answer at once.
This file may be executed as `training.run`, outside the package, so it imports its neighbours only
inside functions; the last line hands over to the one copy inside `llava_fast`.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .config import TrainConfig
    from .plan import Plan

FAILED, DISK_FAILED, STOPPED = 1, 74, 128


def main(arguments: list[str] | None = None) -> None:
    """The command: exits with 0, or says in one line what is wrong.

    Exit codes: 1 wrong settings or data, 74 the disk fails, 130 and 143 stopped by a signal. While
    it trains, a signal saves first; at any other time what was saved before is whole. Either way
    the same command goes on from there.
    """
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        sys.exit(_main(sys.argv[1:] if arguments is None else arguments))
    except BrokenPipeError:
        # Whoever read the output has left; Python must not try to flush it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(FAILED)
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(DISK_FAILED)
    except KeyboardInterrupt as stop:
        number = stop.args[0] if stop.args else signal.SIGINT
        print(
            f"stopped by signal {int(number)}; the same command goes on from what is saved",
            file=sys.stderr,
        )
        sys.exit(STOPPED + number)
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(number: int, frame: FrameType | None) -> None:
    """SIGTERM ends the command as Ctrl-C does; a second one at once."""
    signal.signal(number, signal.SIG_DFL)
    raise KeyboardInterrupt(number)


def _main(arguments: list[str]) -> int:
    from . import fresh, plan, rundir

    if any(word in ("-h", "--help", "help") for word in arguments):
        print(usage())
        return 0
    run = plan.resolve(arguments)
    summary = None
    if not run.fresh:
        fresh.refuse_foreign(run)
        plan.refuse_changes(run)
        summary = rundir.read_summary(run.out)
    if summary is None:
        print(f"run directory `{run.out}`", flush=True)
        return _run(run)
    print(f"`{run.out}` is finished; `fresh=true` starts over")
    _conclude(summary)
    return 0


def usage() -> str:
    """Recipes and keys with their defaults."""
    from .config import TrainConfig
    from .recipes import RECIPES

    lines = ["python -m training.run [recipe=NAME] [key=value ...]", "", "recipes:"]
    for name, recipe in RECIPES.items():
        lines.append(f"  {name:<12} {recipe.about}")
    lines += ["", "keys, with the values that recipes start from:"]
    for field in dataclasses.fields(TrainConfig):
        default = str(field.default).strip("()").replace(" ", "")
        lines.append(f"  {field.name + '=' + default:<28} {field.metadata['about']}")
    return "\n".join(lines)


def _run(run: Plan) -> int:
    """Trains what is not trained yet, alone in the run directory; the exit code."""
    from . import fresh, preflight, rundir

    leftovers = []
    if run.fresh:
        own = fresh.own_inputs(run)
        for stage in run.stages:
            preflight.check_inputs(stage, own)
        leftovers = fresh.leftovers(run)
    preflight.check_writable(run.out)
    with rundir.locked(run.out):
        for path in leftovers:
            rundir.remove(path)
        rundir.clean(run.out)
        run.prepare()
        summaries = []
        for stage in run.stages:
            summary = rundir.read_summary(stage.folder)
            if summary is None:
                summary, code = _train(stage, run.out)
                if code:
                    return code
            summaries.append(summary)
        if summaries:
            _conclude(run.together(summaries))
    return 0


def _train(stage: TrainConfig, locked: Path) -> tuple[dict[str, Any], int]:
    """One stage, in the directory that is locked already or in one below: summary and exit code."""
    from . import preflight, rundir

    preflight.check_writable(stage.folder)
    if stage.folder != locked:
        with rundir.locked(stage.folder):
            return _train(stage, stage.folder)
    preflight.check_inputs(stage)
    preflight.check_space(stage)
    rundir.clean(stage.folder)
    # torch takes seconds to import; everything above is said before.
    from .engine import Stopped, run_stage

    try:
        return run_stage(stage), 0
    except Stopped as stop:
        print(f"{stop}; saved, the same command goes on from here", file=sys.stderr)
        return {}, STOPPED + stop.number


def _conclude(summary: dict[str, Any]) -> None:
    """Table and next step of a finished run."""
    if summary["table"]:
        print(f"\n{summary['table']}\n")
    loss = "-" if summary["loss"] is None else f"{summary['loss']:.4f}"
    print(
        f"{summary['steps']:,} steps, loss {loss}, "
        f"{summary['tokens_per_s']:,.0f} tokens/s, {summary['seconds']:,.1f} s; "
        f"model in `{summary['model']}`"
    )
    for stage in summary.get("stages", {"": summary}).values():
        if stage["bad_list"]:
            print(f"records left out are listed in `{stage['bad_list']}`")
    if summary["ask"]:
        print(f"ask it about a picture:\n  {summary['ask']}")


if __name__ == "__main__":
    from llava_fast.training.run import main

    main()

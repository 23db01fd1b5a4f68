"""One stage of a run: opens data and model, goes on from the newest checkpoint, trains, evaluates,
writes the model."""

from __future__ import annotations

import dataclasses
import json
import signal
import time
from types import FrameType
from typing import Any

import torch

from ..data import DataLoader, LlavaDataset
from ..errors import DataError, ImageError
from ..models.llava import LlavaModel
from . import checkpoint, evaluate, optim, report, rundir
from .badlist import BadList
from .config import TrainConfig
from .data import advised, count_steps, endless, longest, open_dataset, open_loader, plan_steps
from .loop import Batch, Progress, Schedule, train
from .models import image_config, load_model
from .records import ask_command, categories, places

MOST_FAILED_SAVES = 3


class Stopped(Exception):  # noqa: N818 - it is not an error
    """A signal asked the run to stop; the checkpoint is written."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by signal {number}")
        self.number = number


class SaveError(OSError):
    """Checkpoints could not be written several times in a row."""


def run_stage(config: TrainConfig) -> dict[str, Any]:
    """Trains one stage to its end, from the newest checkpoint in its directory; its summary.

    Raises:
        ValueError: settings, data or model cannot be used.
        Stopped: SIGTERM or SIGINT; the state is saved.
        SaveError: the disk is full or failing.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    with advised():
        return _run_stage(config)


def _run_stage(config: TrainConfig) -> dict[str, Any]:
    goes_on = any((config.folder / "checkpoints").glob("step-*"))
    bad = BadList(config.folder / "bad.jsonl", goes_on)
    dataset = open_dataset(config, config.data, bad.path)
    tests = {
        name: open_dataset(config, file, bad.path) for name, file in config.evaluations.items()
    }
    schedule = plan_steps(config, dataset)
    loader = open_loader(config, dataset, schedule.pack_tokens)
    schedule = count_steps(config, schedule, len(loader))
    stage = Stage(config, load_model(config), loader, schedule, tests, bad)
    try:
        stage.train()
        return stage.finish()
    finally:
        stage.close()


class Stage:
    """A stage being trained, and everything a checkpoint of it needs."""

    def __init__(
        self,
        config: TrainConfig,
        model: LlavaModel,
        loader: DataLoader,
        schedule: Schedule,
        tests: dict[str, LlavaDataset],
        bad: BadList,
    ) -> None:
        """Restores the newest valid checkpoint, if there is one. tests: what `finish` measures."""
        self.config, self.model, self.loader, self.schedule = config, model, loader, schedule
        self.tests, self.bad = tests, bad
        # Read now: a file that cannot be is better known before the training than after it.
        self.kinds = {name: categories(config.evaluations[name]) for name in tests}
        self.folder = config.folder
        self.optimizer = optim.build(model, config)
        self.progress = Progress(loader=loader.state_dict())
        self.console = report.Console(schedule.steps, config.log_every)
        self._stop_signal = 0
        self._failed_saves = 0
        metrics_bytes = self._restore()
        rundir.write_text(self.folder / "config.json", config.to_json())
        self.metrics = report.MetricsFile(self.folder / "metrics.jsonl", metrics_bytes)
        self._introduce()
        self._note_bad()

    def close(self) -> None:
        """Closes the file of the metrics."""
        self.metrics.close()

    def _note_bad(self) -> None:
        for dataset in (self.loader.dataset, *self.tests.values()):
            self.bad.say(dataset, self.console.say)

    def _introduce(self) -> None:
        plan, data = self.schedule, self.loader.dataset
        learning = sum(p.numel() for p in self.model.parameters() if p.requires_grad)
        everything = sum(p.numel() for p in self.model.parameters())
        tokens = plan.packs * plan.pack_tokens
        self.console.say(
            f"{self.folder}: {len(data):,} records of {data.mean_length:.1f} tokens on average, "
            f"{len(data.bad):,} bad; {learning:,} of {everything:,} parameters learn\n"
            f"batch {tokens / data.mean_length:,.1f} samples = {tokens:,} tokens = "
            f"{plan.packs:,} x {plan.pack_tokens:,}; {plan.steps:,} steps"
        )
        if self.config.on_bad_sample == "skip":
            self.console.say(f"bad records are left out and listed in `{self.bad.path}`")

    def _restore(self) -> int:
        """Goes back to the newest checkpoint; returns how much of metrics.jsonl belongs to it."""
        folder = self.folder / "checkpoints"
        if not folder.exists():
            return 0
        rundir.clean(folder)
        path, damaged = checkpoint.newest(folder)
        for name, fault in damaged.items():
            self.console.say(f"checkpoint `{name}` skipped and deleted: {fault}")
            rundir.remove(name)
        if path is None:
            return 0
        checkpoint.rotate(folder, self.config.keep)
        state = checkpoint.load(path, self.model, self.optimizer)
        self.progress = Progress(**state["progress"])
        try:
            self.loader.load_state_dict(self.progress.loader)
        except ValueError as error:
            raise ValueError(
                f"`{path}` is of other data: {error} (`fresh=true` starts over)"
            ) from None
        self.console.say(f"resumed from `{path}`")
        return state["metrics_bytes"]

    def train(self) -> None:
        """Trains the remaining steps; leaves a checkpoint of the last one."""
        if self.config.evaluate_first and self.progress.step == 0:
            self.progress.before = self._evaluate("held_out")
        handlers = {s: signal.signal(s, self._on_signal) for s in (signal.SIGTERM, signal.SIGINT)}
        try:
            train(
                self.model,
                self.optimizer,
                endless(self.loader),
                self.schedule,
                self.config,
                self.progress,
                used_tokens=self.loader.used_tokens,
                check=self._check,
                done=self._done,
            )
        except Stopped:
            self._save()
            raise
        except (DataError, ImageError):
            # Raised between two steps: what the last one left is whole.
            self._save()
            self._note_bad()
            self.console.say(f"step {self.progress.step} is saved; the same command goes on there")
            raise
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        """The first signal stops at the next pack, a second one at once."""
        self._stop_signal = number
        signal.signal(number, signal.SIG_DFL)

    def _check(self) -> None:
        if self._stop_signal:
            raise Stopped(self._stop_signal)

    def _done(self, record: report.StepRecord, packs: list[Batch]) -> None:
        self.progress.loader = self.loader.state_dict()
        self.metrics.write(record)
        self._note_bad()
        self.console.step(record)
        if record.skipped:
            named = ", ".join(places(self.config.data, packs))
            self.console.say(f"step {record.step} skipped, {record.skipped}: {named}")
        last = record.step == self.schedule.steps
        if last or record.step % self.config.save_every == 0:
            self._save()

    def _save(self) -> None:
        """Publishes a checkpoint; a full disk is reported, the third time in a row it is fatal."""
        folder = self.folder / "checkpoints"
        if (folder / f"step-{self.progress.step}").exists():
            return
        try:
            state = {
                "step": self.progress.step,
                "metrics_bytes": self.metrics.sync(),
                "progress": dataclasses.asdict(self.progress),
            }
            checkpoint.save(folder, self.model, self.optimizer, state)
        except OSError as error:
            self._failed_saves += 1
            self.console.say(f"checkpoint of step {self.progress.step} failed: {error}")
            if self._failed_saves >= MOST_FAILED_SAVES:
                raise SaveError(f"{MOST_FAILED_SAVES} checkpoints in a row failed") from error
            return
        self._failed_saves = 0
        checkpoint.rotate(folder, self.config.keep)

    def _evaluate(self, name: str) -> dict[str, Any]:
        config = self.config
        dataset = self.tests[name]
        self.console.say(f"measuring {name}: {len(dataset):,} records")
        loader = DataLoader(
            dataset,
            pack_tokens=max(longest(dataset), config.pack_tokens),
            format="native",
            shuffle=False,
            num_threads=config.num_threads or None,
        )
        began = time.perf_counter()
        score = evaluate.exact_answers(self.model, loader, self.kinds[name], self.model.device)
        self._note_bad()
        return score | {"seconds": time.perf_counter() - began}

    def finish(self) -> dict[str, Any]:
        """Evaluates, exports the model to `model/` and writes `summary.json`.

        Raises:
            ValueError: no step has moved the weights.
        """
        done = self.progress
        if done.step == done.empty_steps + done.bad_steps:
            raise ValueError(
                f"`{self.folder}`: nothing was learned: of {done.step} steps {done.empty_steps} "
                f"had nothing supervised and {done.bad_steps} were not finite"
            )
        results = {"before": self.progress.before} if self.progress.before else {}
        results |= {name: self._evaluate(name) for name in self.tests}
        image = image_config(self.config)
        self.model.save_pretrained(
            self.folder / "model", template=self.config.template, image=image
        )
        summary = self._summary(results)
        rundir.write_text(self.folder / "summary.json", json.dumps(summary, indent=1) + "\n")
        return summary

    def _summary(self, results: dict[str, Any]) -> dict[str, Any]:
        lines = (self.folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        records = [report.StepRecord(**json.loads(line)) for line in lines]
        totals = report.totals(records, self.config.log_every)
        measuring = sum(result["seconds"] for result in results.values())
        return {
            "stage": self.folder.name,
            **totals,
            "seconds": totals["train_seconds"] + measuring,
            **{f"{name}_exact": result["exact"] for name, result in results.items()},
            "empty_steps": self.progress.empty_steps,
            "bad_steps": self.progress.bad_steps,
            "bad_records": len(self.loader.dataset.bad),
            "bad_list": str(self.bad.path) if self.bad.path.exists() else "",
            "evaluations": results,
            "table": report.accuracy_table(results) if results else "",
            "model": str(self.folder / "model"),
            "ask": ask_command(self.config),
        }

"""One stage of a run: opens data and model, goes on from the newest checkpoint, trains, evaluates,
writes the model."""

from __future__ import annotations

import dataclasses
import json
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from ..data import DataLoader, LlavaDataset
from ..models.llava import LlavaModel
from . import checkpoint, evaluate, optim, report, rundir
from .config import TrainConfig
from .data import count_steps, endless, longest, open_dataset, open_loader, plan_steps
from .loop import Batch, Progress, Schedule, train
from .models import image_config, load_model

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
    dataset = open_dataset(config, config.data)
    tests = {name: open_dataset(config, file) for name, file in config.evaluations.items()}
    schedule = plan_steps(config, dataset)
    loader = open_loader(config, dataset, schedule.pack_tokens)
    schedule = count_steps(config, schedule, len(loader))
    stage = Stage(config, load_model(config), loader, schedule, tests)
    try:
        stage.train()
        return stage.finish()
    finally:
        stage.metrics.close()


class Stage:
    """A stage being trained, and everything a checkpoint of it needs."""

    def __init__(
        self,
        config: TrainConfig,
        model: LlavaModel,
        loader: DataLoader,
        schedule: Schedule,
        tests: dict[str, LlavaDataset],
    ) -> None:
        """Restores the newest valid checkpoint, if there is one. tests: what `finish` measures."""
        self.config, self.model, self.loader, self.schedule = config, model, loader, schedule
        self.tests = tests
        self.folder = config.folder
        self.optimizer = optim.build(model, config)
        self.progress = Progress(loader=loader.state_dict())
        self.console = report.Console(schedule.steps, config.log_every)
        self._stop_signal = 0
        self._failed_saves = 0
        self._introduce()
        rundir.write_text(self.folder / "config.json", config.to_json())
        metrics_bytes = self._restore()
        self.metrics = report.MetricsFile(self.folder / "metrics.jsonl", metrics_bytes)

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

    def _restore(self) -> int:
        """Goes back to the newest checkpoint; returns how much of metrics.jsonl belongs to it."""
        folder = self.folder / "checkpoints"
        folder.mkdir(exist_ok=True)
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
        self.loader.load_state_dict(self.progress.loader)
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
        self.console.step(record)
        if record.skipped:
            places = ", ".join(self._places(packs))
            self.console.say(f"step {record.step} skipped, {record.skipped}: {places}")
        last = record.step == self.schedule.steps
        if last or record.step % self.config.save_every == 0:
            self._save()

    def _places(self, packs: list[Batch]) -> Iterator[str]:
        records = json.loads(Path(self.config.data).read_text(encoding="utf-8"))
        for pack in packs:
            for index in pack["records"][pack["records"] >= 0].tolist():
                yield f"record {index} (id `{records[index].get('id')}`)"

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
        kinds = evaluate.categories(Path(config.evaluations[name]))
        began = time.perf_counter()
        score = evaluate.exact_answers(self.model, loader, kinds, self.model.device)
        return score | {"seconds": time.perf_counter() - began}

    def finish(self) -> dict[str, Any]:
        """Evaluates, exports the model to `model/` and writes `summary.json`."""
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
            "evaluations": results,
            "table": report.accuracy_table(results) if results else "",
            "model": str(self.folder / "model"),
            "ask": ask_command(self.config),
        }


def ask_command(config: TrainConfig) -> str:
    """A command that asks the new model about the first picture of the held-out records."""
    path = Path(config.held_out or config.data)
    for record in json.loads(path.read_text(encoding="utf-8")):
        image = record.get("image")
        first = image[0] if isinstance(image, list) and image else image
        turns = record.get("conversations") or [{}]
        if first and config.template != "plain":
            question = str(turns[0].get("value", "")).replace("<image>", "").strip()
            picture = Path(config.images) / first
            words = [str(config.folder / "model"), "--image", str(picture), "--prompt", question]
            return f"{_program()} generate {shlex.join(words)}"
    return ""


def _program() -> str:
    """How the shell finds `llava-fast`: by name if it is on the PATH, else beside this Python."""
    beside = Path(sys.executable).with_name("llava-fast")
    if shutil.which("llava-fast") or not beside.exists():
        return "llava-fast"
    here = Path.cwd()
    return shlex.quote(str(beside.relative_to(here) if beside.is_relative_to(here) else beside))

"""The training loop: what happens between two updates of the weights, from top to bottom."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from .config import TrainConfig
from .optim import gradient_norm, learning_rate
from .report import StepRecord, finite, peak_memory

Batch = dict[str, Any]

MOST_BAD_STEPS = 3


class NotFiniteError(ValueError):
    """Loss or gradients were not finite several steps in a row."""


@dataclass(frozen=True)
class Schedule:
    """How the stream of packs is cut into optimizer steps.

    packs: forward passes per optimizer step; a run over whole epochs ends with `total_packs`, so
    its last step may have fewer. pack_tokens: what a pack can hold.
    """

    steps: int
    packs: int
    pack_tokens: int
    total_packs: int

    def packs_of(self, step: int) -> int:
        """Packs of the 0-based optimizer step `step`."""
        return min(self.packs, self.total_packs - step * self.packs)


@dataclass
class Progress:
    """Where a run stands; part of every checkpoint."""

    step: int = 0
    empty_steps: int = 0
    bad_steps: int = 0
    bad_in_a_row: int = 0
    loader: dict[str, Any] = field(default_factory=dict)
    before: dict[str, Any] = field(default_factory=dict)


def train(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    stream: Iterator[Batch],
    schedule: Schedule,
    config: TrainConfig,
    progress: Progress,
    *,
    used_tokens: Callable[[Batch], int],
    check: Callable[[], None],
    done: Callable[[StepRecord, list[Batch]], None],
) -> None:
    """Trains from `progress.step` to the end of the schedule.

    stream: native packs (`DataLoader(..., format="native")`). used_tokens: tokens of a pack that
    are not padding. check: called before every pack; may raise to stop, and the step it stops in
    leaves no trace. done: called after every step.

    Raises:
        NotFiniteError: three steps in a row were not finite.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    ended = time.perf_counter()
    while progress.step < schedule.steps:
        packs, waited = _take(stream, schedule.packs_of(progress.step), check)
        loss = accumulate(model, packs, config, check)
        norm = gradient_norm(parameters, config.clip) if loss is not None else None
        rate = learning_rate(progress.step, schedule.steps, config.lr, config.warmup)
        for group in optimizer.param_groups:
            group["lr"] = rate
        skipped = _update(optimizer, progress, loss, norm)
        optimizer.zero_grad(set_to_none=True)
        progress.step += 1
        began, ended = ended, time.perf_counter()
        done(
            StepRecord(
                step=progress.step,
                loss=None if loss is None else finite(float(loss)),
                lr=rate,
                grad_norm=None if norm is None else finite(float(norm)),
                tokens=sum(map(used_tokens, packs)),
                **_sizes(packs),
                slots=len(packs) * schedule.pack_tokens,
                seconds=ended - began,
                wait_seconds=waited,
                memory_bytes=peak_memory(),
                skipped=skipped,
            ),
            packs,
        )
        if progress.bad_in_a_row >= MOST_BAD_STEPS:
            raise NotFiniteError(f"step {progress.step}: {MOST_BAD_STEPS} in a row not finite")


def accumulate(
    model: nn.Module, packs: list[Batch], config: TrainConfig, check: Callable[[], None]
) -> Tensor | None:
    """Gradients of the mean loss over the supervised tokens of all `packs`; returns that loss.

    The mean is over the tokens of the whole step, not first within a pack: else an answer in a
    short pack would weigh more. None, and no gradients, if nothing is supervised.
    """
    device = next(model.parameters()).device
    supervised = sum(len(pack["targets"]) for pack in packs)
    if not supervised:
        return None
    total = torch.zeros((), device=device)
    half = torch.autocast(device.type, torch.bfloat16, enabled=config.dtype == "bfloat16")
    for pack in packs:
        check()
        if len(pack["targets"]):
            with half:
                loss = model(**to_device(pack, device), reduction="sum").loss / supervised
            loss.backward()
            total += loss.detach()
    return total


def to_device(pack: Batch, device: torch.device) -> Batch:
    """The tensors of a pack on `device`."""
    return {
        name: value.to(device, non_blocking=True) if isinstance(value, Tensor) else value
        for name, value in pack.items()
    }


def _take(
    stream: Iterator[Batch], count: int, check: Callable[[], None]
) -> tuple[list[Batch], float]:
    """The packs of one optimizer step, and the seconds spent waiting for them."""
    packs = []
    began = time.perf_counter()
    for _ in range(count):
        check()
        packs.append(next(stream))
    return packs, time.perf_counter() - began


def _update(
    optimizer: torch.optim.Optimizer, progress: Progress, loss: Tensor | None, norm: Tensor | None
) -> str:
    """Moves the weights, or says why not."""
    if loss is None or norm is None:
        progress.empty_steps += 1
        return "nothing supervised"
    if not math.isfinite(float(loss + norm)):
        progress.bad_steps += 1
        progress.bad_in_a_row += 1
        return "not finite"
    optimizer.step()
    progress.bad_in_a_row = 0
    return ""


def _sizes(packs: list[Batch]) -> dict[str, int]:
    return {
        "supervised": sum(len(pack["targets"]) for pack in packs),
        "images": sum(len(pack.get("image_row_starts", ())) for pack in packs),
        "samples": sum(int((pack["records"] >= 0).sum()) for pack in packs),
    }

"""The packs of a run: data set, loader, and how many packs make an optimizer step."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from ..data import DataLoader, LlavaDataset
from ..errors import DataError, ImageError
from .config import TrainConfig
from .loop import Batch, Schedule
from .models import image_config, tokenizer_of
from .preflight import record_limit

_RECORD = re.compile(r"record \d+ \(id .*")


def open_dataset(config: TrainConfig, data: str, ledger: Path | None = None) -> LlavaDataset:
    """The records of a file with the settings of the run; a bad record raises here, or is listed in
    the ledger.

    Raises:
        DataError, ImageError: naming the record.
    """
    dataset = LlavaDataset(
        data,
        config.images,
        tokenizer_of(config),
        image=image_config(config),
        template=config.template,
        max_length=record_limit(config),
        on_bad_sample=config.on_bad_sample,
        follow_links=config.follow_links,
        max_bad=config.max_bad,
        ledger=ledger,
    )
    if not longest(dataset):
        raise ValueError(f"`{data}`: no usable record")
    return dataset


@contextmanager
def advised() -> Iterator[None]:
    """Adds to the error of a bad record what the user can do about it."""
    try:
        yield
    except (DataError, ImageError) as error:
        # From a worker process the message arrives below a traceback.
        text = str(error).strip().splitlines()[-1]
        if not (record := _RECORD.search(text)):
            raise
        advice = "`on_bad_sample=skip` leaves bad records out"
        if "max_length is" in text:
            advice += ", a larger `max_length=` lets it in"
        raise type(error)(f"{record[0]} ({advice})") from error


def longest(dataset: LlavaDataset) -> int:
    """Tokens of the longest usable record: the least that a pack has to hold."""
    return int(dataset.lengths.max(initial=0))


def open_loader(config: TrainConfig, dataset: LlavaDataset, pack_tokens: int) -> DataLoader:
    """Native packs in the order of the seed."""
    return DataLoader(
        dataset,
        pack_tokens=pack_tokens,
        format="native",
        seed=config.seed,
        num_threads=config.num_threads or None,
        num_workers=config.workers,
    )


def plan_steps(config: TrainConfig, dataset: LlavaDataset) -> Schedule:
    """Turns samples per step into packs per step; the number of steps is still open.

    The packs of a step share its tokens evenly, so that a step sees `batch` samples on average
    and not as many as happen to fit into a large pack.
    """
    tokens = config.batch_tokens or round(config.batch * dataset.mean_length)
    packs = math.ceil(tokens / config.pack_tokens)
    pack_tokens = max(math.ceil(tokens / packs), longest(dataset))
    return Schedule(steps=0, packs=packs, pack_tokens=pack_tokens, total_packs=0)


def count_steps(config: TrainConfig, schedule: Schedule, packs_per_epoch: int) -> Schedule:
    """Adds the number of steps: as given, or enough for `epochs`."""
    if config.steps:
        steps, total = config.steps, config.steps * schedule.packs
    else:
        total = math.ceil(config.epochs * packs_per_epoch)
        steps = math.ceil(total / schedule.packs)
    return dataclasses.replace(schedule, steps=steps, total_packs=total)


def endless(loader: DataLoader) -> Iterator[Batch]:
    """Epoch after epoch, without a trace in torch's generator.

    torch draws a seed for worker processes whenever a pass starts; a resumed run starts one more.
    """
    while True:
        with torch.random.fork_rng(devices=[]):
            batches = iter(loader)
        yield from batches

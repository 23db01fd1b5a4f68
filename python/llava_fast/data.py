"""LLaVA data for any training loop: a checked data set and a `torch.utils.data.DataLoader`.

Batches are plain dicts of tensors. T tokens in a pack, d documents, n pictures, R supervised rows,
B rows, L columns, S pixels, P patches of K bytes:

`format="transformers"`, `pack_tokens`: input_ids, labels (first of each document -100), position_ids
(1, T) int64; cu_seq_lens_q, cu_seq_lens_k (d + 1,) int32; max_length_q, max_length_k int;
use_cache False; pixel_values (n, 3, S, S) float32.

`format="transformers"`, `batch_size`: input_ids, labels, attention_mask (B, L) int64; pixel_values.

`format="native"`, `pack_tokens`: input_ids (T,) int64; position_ids (T,) int32; cu_seqlens (d + 1,)
int32; max_seqlen int; loss_rows (R,) int32, the rows whose hidden state predicts `targets` (R,)
int64; records (d,) int64, -1 for a pad document; pixel_patches (n, P, K) uint8 and image_row_starts
(n,) int32.

The keys of pictures are absent from a batch without any.
"""

import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from os import PathLike, fspath
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset, get_worker_info
from torch.utils.data import DataLoader as TorchDataLoader
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter, _SingleProcessDataLoaderIter

from llava_fast import _rust
from llava_fast.config import ImageConfig
from llava_fast.errors import DataError
from llava_fast.stream import Order, Plan, PlanSampler
from llava_fast.text import Tokenizer

Batch = dict[str, Any]

ON_BAD_SAMPLE = ("raise", "skip")
FORMATS = ("transformers", "native")
DEFAULT_IMAGE = ImageConfig()


class BadSample(NamedTuple):
    """A record that cannot be used: its number, a short reason code, the whole message."""

    record: int
    code: str
    message: str


class LlavaDataset(Dataset[Batch]):
    """Conversations and pictures, checked and encoded.

    data: path of a LLaVA JSON list, or a list of such records.
    images: folder that the `image` paths are relative to; nothing outside of it is read.
    image: how pictures are preprocessed; its `output` is chosen by the loader's format.
    max_length: tokens; a longer conversation keeps its first whole rounds.
    on_bad_sample: "raise", or "skip": a bad record is left out of the plan, a picture that turns out
        bad while training leaves a hole of pad tokens without loss. Both are listed in `bad`.

    Every record is encoded once here to learn its length; no picture is opened.
    Raises DataError naming record number, id, file and cause.
    """

    def __init__(
        self,
        data: str | PathLike[str] | Sequence[dict[str, Any]],
        images: str | PathLike[str] | None,
        tokenizer: Tokenizer,
        image: ImageConfig = DEFAULT_IMAGE,
        template: str = "v1",
        max_length: int = 2048,
        on_bad_sample: str = "raise",
    ) -> None:
        if on_bad_sample not in ON_BAD_SAMPLE:
            raise ValueError(f"on_bad_sample: got `{on_bad_sample}`, expected `raise` or `skip`")
        if images is not None and not Path(images).is_dir():
            raise DataError(f"images: `{fspath(images)}` is not a folder")
        is_path = isinstance(data, str | PathLike)
        self._settings = {
            "path": fspath(data) if is_path else "records",
            "text": None if is_path else json.dumps(list(data)),
            "root": None if images is None else fspath(images),
            "template": template,
            "max_length": max_length,
        }
        self.tokenizer = tokenizer
        self.image = image
        self.on_bad_sample = on_bad_sample
        self._open()
        self._found = {bad.record: bad for bad in self._survey[2]}

    def _open(self) -> None:
        config = self.image
        self._core = _rust.Dataset(
            **self._settings,
            tokenizer=self.tokenizer._core,
            image=(config.size, config.mode, config.patch_size, config.mean, config.std),
        )
        self._last_step: tuple[int, int] | None = None

    @cached_property
    def _survey(self) -> tuple[np.ndarray, int, list[BadSample]]:
        threads = _default_threads()
        lengths, images, bad = self._core.survey(self._skips, threads)
        lengths.flags.writeable = False
        return lengths, images, [BadSample(*row) for row in bad]

    def __getstate__(self) -> dict[str, Any]:
        state = {**self.__dict__, "_fingerprint": self.fingerprint}
        for derived in ("_core", "_survey", "_last_step"):
            state.pop(derived, None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        fingerprint = state.pop("_fingerprint")
        self.__dict__.update(state)
        self._open()
        if self.fingerprint != fingerprint:
            raise DataError(f"`{self._settings['path']}` has changed since the data set was opened")

    @property
    def _skips(self) -> bool:
        return self.on_bad_sample == "skip"

    @property
    def lengths(self) -> np.ndarray:
        """(records,) int32, tokens of each record; 0 = not usable."""
        return self._survey[0]

    @property
    def total_images(self) -> int:
        """Pictures of all usable records together."""
        return self._survey[1]

    @property
    def mean_length(self) -> float:
        """Mean tokens of a usable record."""
        usable = self.lengths[self.lengths > 0]
        return float(usable.mean()) if usable.size else 0.0

    @property
    def max_length(self) -> int:
        """Longest document in tokens."""
        return self._settings["max_length"]

    @property
    def fingerprint(self) -> str:
        """Tells data, tokenizer, template, image settings and max_length from others; paths do not
        matter."""
        return f"{self._core.fingerprint:016x}"

    @property
    def bad(self) -> list[BadSample]:
        """The records that could not be used so far, each once."""
        return list(self._found.values())

    def note_bad(self, bad: Sequence[BadSample]) -> None:
        """Add to `bad` what a worker process met."""
        for sample in bad:
            self._found.setdefault(sample.record, sample)

    def __len__(self) -> int:
        """Records, good or bad."""
        return len(self._core)

    def __getitem__(self, index: int) -> Batch:
        """One record: input_ids, labels, attention_mask (L,) int64, pixel_values (n, 3, S, S)."""
        record = range(len(self))[index]
        sample, bad = self._batch([record], "padded", None)
        self.note_bad(bad)
        return {key: x if key == "pixel_values" else x[0] for key, x in sample.items()}

    def __getitems__(self, indices: list[int]) -> list[Batch]:
        """[finished batch] for a plan of our loader, samples for indices of another sampler."""
        if not isinstance(indices, Plan):
            return [self[index] for index in indices]
        self._refuse_second_sharding(indices)
        ahead = indices.run.ahead if indices.run else None
        batch, bad = ahead.take(indices, self._build) if ahead else self._build(indices)
        self.note_bad(bad)
        in_worker = get_worker_info() is not None
        return [BatchOfWorker(batch, bad) if bad and in_worker else batch]

    def _build(self, plan: Plan) -> tuple[Batch, list[BadSample]]:
        return self._batch(list(plan), plan.order.layout, plan.order.threads)

    def _batch(
        self, records: list[int], layout: str, threads: int | None
    ) -> tuple[Batch, list[BadSample]]:
        arrays, bad = self._core.batch(records, layout, self._skips, threads or _default_threads())
        tensors = {
            key: torch.from_numpy(x) if isinstance(x, np.ndarray) else x
            for key, x in arrays.items()
        }
        return tensors, [BadSample(*row) for row in bad]

    def _refuse_second_sharding(self, plan: Plan) -> None:
        """A rank takes its own batches already; a framework that deals them out again loses data."""
        if plan.order.world_size == 1:
            return
        info = get_worker_info()
        expected = 1 if info is None else info.num_workers
        epoch, last = self._last_step or (plan.epoch, plan.step)
        self._last_step = (plan.epoch, plan.step)
        if epoch == plan.epoch and plan.step - last > expected:
            raise DataError(
                f"sharded twice: the loader has world_size={plan.order.world_size} and something "
                "else deals out its batches too; leave rank and world_size to one of them"
            )


def _default_threads() -> int:
    """All that the machine grants; 1 inside a worker process, which has siblings."""
    return 1 if get_worker_info() is not None else _rust.available_threads()


class BatchOfWorker(dict[str, Any]):
    """A batch that carries the bad samples of a worker process to the main process."""

    def __init__(self, batch: Batch, bad: list[BadSample]) -> None:
        super().__init__(batch)
        self.bad = bad

    def __reduce__(self) -> tuple[Any, ...]:
        return BatchOfWorker, (dict(self), self.bad)


class DataLoader(TorchDataLoader[Batch]):
    """A torch DataLoader over a `LlavaDataset`: packed, in a planned order, resumable.

    batch_size, pack_tokens: exactly one: samples, or tokens per batch and rank.
    format: "transformers" for Hugging Face models, "native" for `LlavaModel` (needs pack_tokens).
    shuffle, seed: the order is a pure function of the data, `seed` and the epoch.
    rank, world_size: which share of the batches is ours; all ranks get equally many.
    num_threads: for decoding and encoding; None = what the machine grants, 1 in a worker process.
    prefetch: batches built ahead on a background thread, without worker processes.
    torch_kwargs: num_workers, pin_memory, drop_last, timeout, persistent_workers,
        multiprocessing_context, prefetch_factor, worker_init_fn as in torch.

    Each pass reads the next epoch; `len()` is the same for all. Raises ValueError for arguments that
    do not go together, DataError and ImageError for what is wrong in the data.
    """

    dataset: LlavaDataset
    batch_sampler: PlanSampler

    def __init__(
        self,
        dataset: LlavaDataset,
        batch_size: int | None = None,
        *,
        pack_tokens: int | None = None,
        format: str = "transformers",
        shuffle: bool = True,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        num_threads: int | None = None,
        prefetch: int = 2,
        **torch_kwargs: Any,
    ) -> None:
        _check_torch_arguments(torch_kwargs)
        layout = _layout(format, batch_size, pack_tokens, dataset.max_length)
        _check_ranges(batch_size, seed, rank, world_size, num_threads, prefetch)
        stream = _rust.Stream(
            dataset.lengths,
            pack_tokens=pack_tokens,
            batch_size=batch_size,
            shuffle=shuffle,
            drop_last=bool(torch_kwargs.pop("drop_last", False)),
            seed=seed,
            fingerprint=int(dataset.fingerprint, 16),
        )
        identity = {
            "fingerprint": dataset.fingerprint,
            "seed": seed,
            "shuffle": shuffle,
            "pack_tokens": pack_tokens,
        }
        order = Order(layout, num_threads, rank, world_size)
        sampler = PlanSampler(stream, order, prefetch, identity)
        super().__init__(dataset, batch_sampler=sampler, collate_fn=_finished, **torch_kwargs)

    def _get_iterator(self) -> Iterator[Batch]:
        return _InProcess(self) if self.num_workers == 0 else _FromWorkers(self)

    def set_epoch(self, epoch: int) -> None:
        """The next pass reads `epoch`; without a call it is the one after the last."""
        self.batch_sampler.set_epoch(epoch)

    def state_dict(self) -> dict[str, Any]:
        """The place after the last batch handed out, JSON-serialisable; the same on every rank."""
        return self.batch_sampler.state()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The next pass continues at `state`, on any number of ranks, without opening a file.

        Raises ValueError naming the field if data, settings, seed or pack_tokens have changed.
        """
        self.batch_sampler.load(state)

    def used_tokens(self, batch: Batch) -> int:
        """Tokens of a batch that belong to a sample; the rest of its shape, and documents that are
        nothing but pad tokens, are padding."""
        filled = batch["input_ids"] != self.dataset.tokenizer.pad_id
        if "attention_mask" in batch:
            return int(batch["attention_mask"][filled.any(dim=1)].sum())
        borders = batch["cu_seqlens"] if "cu_seqlens" in batch else batch["cu_seq_lens_q"]
        starts, lengths = borders[:-1].numpy(force=True), borders.diff().numpy(force=True)
        used = np.logical_or.reduceat(filled.flatten().numpy(force=True), starts)
        return int(lengths[used].sum())


class _HandsOut:
    """Tells the sampler's pass about each batch that leaves the loader: torch asks for more plans
    than it hands out batches when it reads ahead."""

    _dataset: LlavaDataset

    def __next__(self) -> Batch:
        batch = super().__next__()  # type: ignore[misc]
        self._sampler_iter.handed_out()  # type: ignore[attr-defined]
        if isinstance(batch, BatchOfWorker):
            self._dataset.note_bad(batch.bad)
            return dict(batch)
        return batch


class _InProcess(_HandsOut, _SingleProcessDataLoaderIter):
    pass


class _FromWorkers(_HandsOut, _MultiProcessingDataLoaderIter):
    pass


def _finished(batches: list[Batch]) -> Batch:
    """Collate function: `__getitems__` has built the batch already."""
    return batches[0]


_PASSED_ON = (
    "num_workers pin_memory drop_last timeout persistent_workers multiprocessing_context "
    "prefetch_factor worker_init_fn"
).split()
_HINTS = {
    "sampler": "the order comes from shuffle= and seed=",
    "batch_sampler": "batches come from batch_size= or pack_tokens=",
    "collate_fn": "batches are finished; change them in the training loop",
}


def _check_torch_arguments(given: dict[str, Any]) -> None:
    for name in given:
        if name in _HINTS:
            raise TypeError(f"`{name}` is not taken: {_HINTS[name]}")
        if name not in _PASSED_ON:
            raise TypeError(f"unknown argument `{name}`, expected one of {', '.join(_PASSED_ON)}")


def _layout(
    format: str, batch_size: int | None, pack_tokens: int | None, max_length: int
) -> str:
    if format not in FORMATS:
        raise ValueError(f"format: got `{format}`, expected one of {', '.join(FORMATS)}")
    if (batch_size is None) == (pack_tokens is None):
        raise ValueError("expected exactly one of batch_size and pack_tokens")
    if pack_tokens is not None and pack_tokens < max_length:
        raise ValueError(
            f"pack_tokens: got {pack_tokens}, expected at least the max_length {max_length}"
        )
    if format == "native":
        if pack_tokens is None:
            raise ValueError('format="native" needs pack_tokens')
        return "native"
    return "padded" if pack_tokens is None else "packed"


def _check_ranges(
    batch_size: int | None,
    seed: int,
    rank: int,
    world_size: int,
    num_threads: int | None,
    prefetch: int,
) -> None:
    if world_size < 1 or not 0 <= rank < world_size:
        raise ValueError(f"rank: got {rank} of world_size {world_size}, expected 0..world_size - 1")
    if not 0 <= seed < 2**64:
        raise ValueError(f"seed: got {seed}, expected 0..2**64 - 1")
    for name, value, least in (
        ("batch_size", batch_size, 1),
        ("num_threads", num_threads, 1),
        ("prefetch", prefetch, 0),
    ):
        if value is not None and value < least:
            raise ValueError(f"{name}: got {value}, expected {least} or more")

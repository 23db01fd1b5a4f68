"""LLaVA batches for any training loop: a `torch.utils.data.DataLoader`.

Batches are plain dicts of tensors. T tokens in a pack, d documents, n pictures, R supervised rows,
B rows, L columns, S pixels, P patches of K bytes:

`format="transformers"`, `pack_tokens`: input_ids, labels (first of each document -100),
position_ids (1, T) int64; cu_seq_lens_q, cu_seq_lens_k (d + 1,) int32; max_length_q, max_length_k
int; use_cache False; pixel_values (n, 3, S, S) float32.

`format="transformers"`, `batch_size`: input_ids, labels, attention_mask (B, L) int64; pixel_values.

`format="native"`, `pack_tokens`: input_ids (T,) int64; position_ids (T,) int32; cu_seqlens (d + 1,)
int32; max_seqlen int; loss_rows (R,) int32, the rows whose hidden state predicts `targets` (R,)
int64; records (d,) int64, -1 for a pad document; pixel_patches (n, P, K) uint8 and image_row_starts
(n,) int32; q_tiles (a, 2) and kv_tiles (b, 2) int32, document and first row of each 128 queries and
keys, longest work first.

The keys of pictures are absent from a batch without any.

A batch can be without a single target: the pad document of a rank for which the last round has no
sample, or nothing but holes where bad samples were skipped. `LlavaModel` then gives a loss of 0;
the mean loss of transformers over no target is NaN. Skip the step where
`(batch["labels"][:, 1:] != -100).any()` is false, on all ranks together if gradients are summed.
`drop_last=True` leaves out the last round, and with it the pad documents, but not the holes.
"""

from typing import Any

import numpy as np
from torch.utils.data import DataLoader as TorchDataLoader
from torch.utils.data.dataloader import _BaseDataLoaderIter

from llava_fast import _rust
from llava_fast.checks import LARGEST_COUNT, LARGEST_SEED, integer
from llava_fast.dataset import Batch, LlavaDataset
from llava_fast.errors import DataError
from llava_fast.explain import explain
from llava_fast.handing import FromWorkers, InProcess
from llava_fast.ranks import compare
from llava_fast.stats import Stats
from llava_fast.stream import LAST_EPOCH, Order, PlanSampler

__all__ = ["DataLoader", "LlavaDataset"]

FORMATS = ("transformers", "native")
MOST_THREADS = 1024
MOST_AHEAD = 1024
PASSED_ON = (
    "num_workers",
    "pin_memory",
    "drop_last",
    "timeout",
    "persistent_workers",
    "multiprocessing_context",
    "prefetch_factor",
    "worker_init_fn",
)
HINTS = {
    "sampler": "the order comes from shuffle= and seed=",
    "batch_sampler": "batches come from batch_size= or pack_tokens=",
    "collate_fn": "batches are finished; change them in the training loop",
}


class DataLoader(TorchDataLoader[Batch]):
    """A torch DataLoader over a `LlavaDataset`: packed, in a planned order, resumable.

    batch_size, pack_tokens: exactly one: samples, or tokens per batch and rank, which have to hold
        the longest record.
    format: "transformers" for Hugging Face models, "native" for `LlavaModel` (needs pack_tokens).
    shuffle, seed: the order is a pure function of the data, `seed` and the epoch. Without shuffle
        every pass reads the same batches in the order of the data, as validation wants it.
    rank, world_size: which share of the batches is ours; all ranks get equally many. They are the
        coordinate in the data-parallel group: ranks that share a model by tensor, context or
        pipeline parallelism have to read the same batches, so they pass the same rank. Where
        torch.distributed runs with just `world_size` processes, they compare at the first pass what
        they are about to read.
    num_threads: for decoding and encoding, 1..1024; None = what the machine grants, 1 in a worker
        process.
    prefetch: batches built ahead on a background thread while num_workers is 0, which is the fast
        way: all threads then work on the same batch, and no process copies it.
    group_by_length: batches of samples of about one length, which saves nearly all padding. Windows
        of the order are sorted, their steps shuffled, so that length says nothing about time.
    batches_per_step: batches of one optimizer step, all ranks and accumulated ones together. They
        come ordered by what they cost, so that the ranks, which take them in turns, wait for each
        other less. It is a part of the order: a run goes on with the same number only.
    torch_kwargs: num_workers, pin_memory, drop_last, timeout, persistent_workers,
        multiprocessing_context, prefetch_factor, worker_init_fn as in torch. A batch of worker
        processes that does not come within `timeout` seconds (0: 300) is a DataError.

    Each pass reads the next epoch; `len()` is the same for all. Raises ValueError for arguments
    that do not go together, DataError and ImageError for what is wrong in the data.
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
        group_by_length: bool = False,
        batches_per_step: int = 1,
        **torch_kwargs: Any,
    ) -> None:
        _check_torch_arguments(torch_kwargs)
        layout = _layout(format, batch_size, pack_tokens)
        _check_ranges(
            seed=seed,
            world_size=world_size,
            prefetch=prefetch,
            batch_size=batch_size,
            pack_tokens=pack_tokens,
            num_threads=num_threads,
            batches_per_step=batches_per_step,
        )
        _check_grouping(batch_size, group_by_length, batches_per_step)
        if integer("rank", rank, 0, LARGEST_COUNT) >= world_size:
            raise ValueError(
                f"rank: got {rank} of world_size {world_size}, expected 0..world_size - 1"
            )
        if not dataset.lengths.any():
            raise DataError(f"`{dataset.name}`: none of the {len(dataset)} records is usable")
        stream = _rust.Stream(
            dataset.lengths,
            dataset.image_counts,
            pack_tokens=pack_tokens,
            batch_size=batch_size,
            shuffle=shuffle,
            drop_last=bool(torch_kwargs.pop("drop_last", False)),
            group_by_length=group_by_length,
            batches_per_step=batches_per_step,
            seed=seed,
            fingerprint=int(dataset.fingerprint, 16),
        )
        identity = {
            **dataset.identity,
            "seed": seed,
            "shuffle": shuffle,
            "pack_tokens": pack_tokens,
            "group_by_length": bool(group_by_length),
            "batches_per_step": batches_per_step,
            # Last, so that a refusal names what lies behind it.
            "fingerprint": dataset.fingerprint,
        }
        if group_by_length:
            # Elsewhere a run may go on with batches of another size.
            identity["batch_size"] = batch_size
        order = Order(layout, num_threads, pack_tokens, rank, world_size)
        sampler = PlanSampler(stream, order, prefetch, identity)
        super().__init__(dataset, batch_sampler=sampler, collate_fn=_finished, **torch_kwargs)
        self._stats = Stats()
        self._samples = batch_size
        self._compared = False

    def _get_iterator(self) -> _BaseDataLoaderIter:
        if not self._compared:
            sampler, order = self.batch_sampler, self.batch_sampler.order
            compare(
                {**sampler.identity, "batch_size": self._samples, "layout": order.layout},
                order.rank,
                order.world_size,
            )
            self._compared = True
        return InProcess(self) if self.num_workers == 0 else FromWorkers(self)

    def stats(self) -> dict[str, Any]:
        """What the batches handed out so far have taken, all passes together, JSON-serialisable:
        batches, samples, tokens; padding, the share of the tokens of their shapes that no sample
        fills; wait_seconds of the loop that asks for them; pictures and bytes that were read;
        read_seconds and work_seconds (encoding, decoding, resizing) of all threads and workers
        together; cache_hits and cache_misses of the pixel cache; bad, samples by reason code that
        turned out bad."""
        return self._stats.report()

    def explain(
        self,
        step: int,
        rank: int | None = None,
        epoch: int | None = None,
        since: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """What is in batch `step` of a pass, past or future, without making it; JSON-serialisable.

        rank: None = ours. epoch: None = the one that is read now, or next. since: a `state_dict()`
        with which that pass began; None = it began with the epoch. Keys: epoch, step, rank; tokens
        of the samples, room of the batch, padding, images; documents, each with record, file,
        number in that file, id, images, tokens, and start in the pack or row of the batch. No
        picture is opened.

        Raises ValueError for a step, rank or epoch that does not exist.
        """
        sampler, order = self.batch_sampler, self.batch_sampler.order
        if since is None:
            number, done = sampler.position[0] if epoch is None else epoch, 0
            number = integer("epoch", number, 0, LAST_EPOCH)
        else:
            number, done = sampler.place_of(since)
        if rank is None:
            rank = order.rank
        if not 0 <= rank < order.world_size:
            raise ValueError(f"rank: got {rank}, expected 0..{order.world_size - 1}")
        rest = sampler.stream.epoch(number, done)
        return explain(self.dataset, rest, order, number, step, rank)

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


def _finished(batches: list[Batch]) -> Batch:
    """Collate function: `__getitems__` has built the batch already."""
    return batches[0]


def _check_torch_arguments(given: dict[str, Any]) -> None:
    for name in given:
        if name in HINTS:
            raise TypeError(f"`{name}` is not taken: {HINTS[name]}")
        if name not in PASSED_ON:
            raise TypeError(f"unknown argument `{name}`, expected one of {', '.join(PASSED_ON)}")


def _layout(format: str, batch_size: int | None, pack_tokens: int | None) -> str:
    if format not in FORMATS:
        raise ValueError(f"format: got `{format}`, expected one of {', '.join(FORMATS)}")
    if (batch_size is None) == (pack_tokens is None):
        raise ValueError("expected exactly one of batch_size and pack_tokens")
    if format == "native":
        if pack_tokens is None:
            raise ValueError('format="native" needs pack_tokens')
        return "native"
    return "padded" if pack_tokens is None else "packed"


def _check_grouping(batch_size: int | None, group_by_length: bool, batches_per_step: int) -> None:
    if group_by_length and batch_size is None:
        raise ValueError("group_by_length=True needs batch_size: packs have no padding to save")
    if batches_per_step > 1 and batch_size is not None and not group_by_length:
        raise ValueError("batches_per_step needs pack_tokens, or group_by_length=True")


def _check_ranges(**arguments: int | None) -> None:
    """None stands for an argument that was left out."""
    for name, least, most in (
        ("seed", 0, LARGEST_SEED),
        ("world_size", 1, LARGEST_COUNT),
        ("prefetch", 0, MOST_AHEAD),
        ("batch_size", 1, LARGEST_COUNT),
        ("pack_tokens", 1, LARGEST_COUNT),
        ("num_threads", 1, MOST_THREADS),
        ("batches_per_step", 1, LARGEST_COUNT),
    ):
        value = arguments[name]
        if value is not None:
            integer(name, value, least, most)

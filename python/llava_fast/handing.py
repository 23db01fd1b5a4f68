"""Batches on their way out of a loader: torch's iterators, which count and have a deadline."""

from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Any

from torch.utils.data.dataloader import (
    _BaseDataLoaderIter,
    _MultiProcessingDataLoaderIter,
    _SingleProcessDataLoaderIter,
)

from llava_fast.errors import DataError, ImageError
from llava_fast.stats import BatchOfWorker

if TYPE_CHECKING:
    from llava_fast.data import DataLoader
    from llava_fast.stream import Plan

# Seconds between two looks at the worker processes, and those that a batch of theirs may take.
LOOK = 1.0
PATIENCE = 300.0
# How torch speaks of a worker process that has ended.
GONE = "DataLoader worker (pid"
LOST = "lost_batch"


class _HandsOut(_BaseDataLoaderIter):
    """Tells the sampler's pass about each batch that leaves the loader: torch asks for more plans
    than it hands out batches when it reads ahead."""

    def _next_index(self) -> "Plan":
        self._sampler_iter.counted = True
        return super()._next_index()

    def __init__(self, loader: "DataLoader") -> None:
        super().__init__(loader)
        self._stats = loader._stats

    def __next__(self) -> dict[str, Any]:
        begun = perf_counter()
        try:
            batch = super().__next__()
            waited = perf_counter() - begun
            note = self._sampler_iter.note
            if isinstance(batch, BatchOfWorker):
                self._dataset.note_bad(batch.bad, batch.records)
                note, batch = batch.note, dict(batch)
        except BaseException as error:
            self._failed(error)
            raise
        self._sampler_iter.handed_out(note.step)
        self._stats.add(waited, note)
        return batch

    def _failed(self, error: BaseException) -> None:
        """What the pass has to know of an exception in place of a batch. May raise a better one."""
        raise NotImplementedError


class InProcess(_HandsOut, _SingleProcessDataLoaderIter):
    """Without worker processes: `ReadAhead` has deadlines of its own."""

    def _failed(self, error: BaseException) -> None:
        if isinstance(error, DataError | ImageError):
            self._sampler_iter.passed_over()
        elif not isinstance(error, StopIteration):
            self._sampler_iter.ask_again()


class FromWorkers(_HandsOut, _MultiProcessingDataLoaderIter):
    """A worker process that is gone is noticed after a second, however it ended; one that hangs
    after `timeout`."""

    def _get_data(self) -> Any:
        patience = self._timeout or PATIENCE
        give_up = monotonic() + patience
        while (left := give_up - monotonic()) > 0:
            arrived, data = self._try_get_data(min(LOOK, left))
            if arrived:
                return data
        raise self._lost(f"not there after {patience:.0f} s")

    def _failed(self, error: BaseException) -> None:
        if isinstance(error, StopIteration):
            # torch raises here what was raised in a worker process, such as by `worker_init_fn`.
            if self._sampler_iter.waits_for is not None:
                raise self._lost("StopIteration was raised in a worker process") from None
        elif isinstance(error, RuntimeError) and GONE in str(error):
            # torch knows that a process is gone, and not what it was at.
            raise self._lost(str(error)) from error
        elif isinstance(error, Exception) and getattr(error, "code", "") != LOST:
            self._sampler_iter.passed_over()

    def _lost(self, cause: str) -> DataError:
        plan = self._sampler_iter.waits_for
        assert plan is not None
        where = f"batch {plan.step} of epoch {plan.epoch}"
        return DataError(f"{where}: {cause}; it has the records {plan.named()}", LOST)

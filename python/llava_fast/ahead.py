"""Batches that are made before they are asked for."""

import os
from typing import TYPE_CHECKING, Any

from llava_fast import _rust
from llava_fast.errors import DataError

if TYPE_CHECKING:
    from llava_fast.stream import Plan, Run

# A batch that waits for several stuck reads in a row takes longer than one of them.
PATIENCE = 3
# Beyond what reading may take: work, on a machine that has much to do.
WORK_SECONDS = 60.0


# Arrays by name, rows of bad samples, fields of `stats.Spent`.
Made = tuple[dict[str, Any], list[tuple[int, str, str]], tuple[int, int, float, float]]


class ReadAhead:
    """Has the batches made that will be asked for next, on threads that know nothing of Python.

    It follows the requests, as an operating system does for files: after plan `p` come
    `p + stride`, `p + 2 stride`, ..., where `stride` is the distance of the last two requests. So
    it is right behind a sharding or skipping sampler too.
    """

    def __init__(
        self, settings: tuple[_rust.Dataset, str, bool, int], count: int, read_timeout: float
    ) -> None:
        """settings: of `_rust.Loading`. count: batches ahead of the one asked for. read_timeout:
        seconds."""
        self._settings = settings
        self._count = count
        self._timeout = read_timeout
        self._stride = 1
        self._last: int | None = None
        self._process = os.getpid()
        self._loading = _rust.Loading(*settings)

    def take(self, plan: "Plan", run: "Run") -> Made:
        """The batch of `plan` in `run`, made already or now.

        Raises DataError naming its records if it does not come.
        """
        if self._process != os.getpid():
            # The threads of the process that this one was forked from are not here.
            self._process, self._loading = os.getpid(), _rust.Loading(*self._settings)
        if self._last is not None and plan.step > self._last:
            self._stride = plan.step - self._last
        self._last = plan.step
        end = min(plan.step + self._stride * self._count + 1, run.steps)
        ahead = range(plan.step + self._stride, end, self._stride)
        self._loading.keep([plan.step, *ahead])
        self._loading.submit(plan.step, list(plan), plan.lengths, True)
        for step in ahead:
            following = run.plan(step)
            self._loading.submit(step, list(following), following.lengths, False)
        patience = PATIENCE * self._timeout + WORK_SECONDS
        made = self._loading.take(plan.step, patience)
        if made is None:
            raise DataError(
                f"batch {plan.step} of epoch {plan.epoch} is not there after {patience:.0f} s; "
                f"it has the records {plan.named()}",
                "stuck_read",
            )
        return made

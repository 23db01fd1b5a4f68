"""The plan of an epoch on the Python side: a batch sampler and its position.

The order itself is computed in Rust (`plan.rs`). A sampler hands out plans, lists of record numbers
that also know their place; `LlavaDataset.__getitems__` builds the batch of a plan.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch.utils.data import BatchSampler

from llava_fast import _rust
from llava_fast.ahead import ReadAhead
from llava_fast.checks import integer

STATE_VERSION = 1
# Leaves room to count on: an epoch of 64 bits would have no successor.
LAST_EPOCH = 2**63 - 1


@dataclass(frozen=True)
class Order:
    """What all plans of a loader have in common.

    layout: "packed", "padded" or "native"; threads: None = what the machine grants.
    rank, world_size: which of the batches of a round are ours.
    """

    layout: str
    threads: int | None
    rank: int
    world_size: int


class Plan(list[int]):
    """Record numbers of one batch, and its place: batch `step` of a pass over epoch `epoch`.

    lengths: tokens of each record, as planned. In the process of its sampler a plan knows its
    `run`, and with it the plans that follow.
    """

    def __init__(
        self,
        records: list[int],
        lengths: list[int],
        order: Order,
        epoch: int,
        step: int,
        run: "Run | None" = None,
    ) -> None:
        super().__init__(records)
        self.lengths = lengths
        self.order = order
        self.epoch = epoch
        self.step = step
        self.run = run

    def __reduce__(self) -> tuple[Any, ...]:
        return Plan, (list(self), self.lengths, self.order, self.epoch, self.step)


class PlanSampler(BatchSampler):
    """Yields the plans of one epoch after another.

    Each pass takes the next epoch; `set_epoch` chooses the one of the next pass. It is a
    `BatchSampler` whose `sampler` is itself because that is where frameworks look for `set_epoch`.
    """

    batch_size = None  # type: ignore[assignment]
    drop_last = False

    def __init__(
        self, stream: _rust.Stream, order: Order, prefetch: int, identity: dict[str, Any]
    ) -> None:
        """`identity`: the settings that a saved position has to agree with, by name."""
        self.stream = stream
        self.order = order
        self.prefetch = prefetch
        self.identity = identity
        self._next = (0, 0)
        self.position = self._next

    @property
    def sampler(self) -> "PlanSampler":  # type: ignore[override]
        """Itself."""
        return self

    def __len__(self) -> int:
        """Batches per epoch on this rank, the same for every epoch."""
        return self.stream.steps(self.order.world_size)

    def __iter__(self) -> "Run":
        return Run(self)

    def set_epoch(self, epoch: int) -> None:
        """The next pass reads `epoch`; a position loaded inside this very epoch is kept."""
        epoch = integer("epoch", epoch, 0, LAST_EPOCH)
        if epoch != self._next[0]:
            self._next = (epoch, 0)
        self.position = self._next

    def begin(self) -> tuple[int, int]:
        """(epoch, samples already read in it) of a pass that starts now."""
        self.position = self._next
        self._next = (self._next[0] + 1, 0)
        return self.position

    def state(self) -> dict[str, Any]:
        """Where the last batch that was handed out ended, JSON-serialisable."""
        epoch, samples = self.position
        return {"version": STATE_VERSION, **self.identity, "epoch": epoch, "samples": samples}

    def load(self, state: dict[str, Any]) -> None:
        """Continue at `state`; refuses one of another stream, naming the field that differs."""
        if not isinstance(state, dict):
            raise ValueError(f"loader state: got {state!r}, expected what state_dict() gave")
        for field, ours in {"version": STATE_VERSION, **self.identity}.items():
            if field not in state:
                raise ValueError(f"loader state: missing field `{field}`")
            if state[field] != ours:
                raise ValueError(
                    f"loader state: `{field}` differs: got {state[field]!r}, expected {ours!r}"
                )
        epoch, samples = (
            integer(f"loader state: `{field}`", state.get(field), 0, LAST_EPOCH)
            for field in ("epoch", "samples")
        )
        self.stream.epoch(epoch, samples)
        self._next = (epoch, samples)
        self.position = self._next


class Run(Iterator[Plan]):
    """One pass over an epoch. It begins when the first plan is asked for, not before: torch makes
    an iterator too many for worker processes."""

    def __init__(self, sampler: PlanSampler) -> None:
        self._sampler = sampler
        self._order = sampler.order
        self._rest: _rust.Epoch | None = None
        self.epoch = 0
        self.steps = 0
        self._asked = 0
        self._handed_out = 0
        self.ahead: ReadAhead | None = None

    def __next__(self) -> Plan:
        if self._rest is None:
            self.epoch, done = self._sampler.begin()
            self._rest = self._sampler.stream.epoch(self.epoch, done)
            self.steps = self._rest.steps(self._order.world_size)
        if self._asked == self.steps:
            raise StopIteration
        plan = self.plan(self._asked)
        plan.run = self
        self._asked += 1
        return plan

    def plan(self, step: int) -> Plan:
        """The plan of batch `step`, below `steps`."""
        assert self._rest is not None
        records, lengths = self._rest.batch(step, self._order.rank, self._order.world_size)
        return Plan(records, lengths, self._order, self.epoch, step)

    def handed_out(self) -> None:
        """The caller of the loader has got one more batch."""
        assert self._rest is not None
        self._handed_out += 1
        samples = self._rest.samples_after(self._handed_out, self._order.world_size)
        finished = self._handed_out == self.steps
        self._sampler.position = (self.epoch + 1, 0) if finished else (self.epoch, samples)

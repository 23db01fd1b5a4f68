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
from llava_fast.stats import Note

# 2: packs with pictures in each, and what groups and balances batches.
STATE_VERSION = 2
# Leaves room to count on: an epoch of 64 bits would have no successor.
LAST_EPOCH = 2**63 - 1

# An epoch, and how many of its samples have been read.
Place = tuple[int, int]


@dataclass(frozen=True)
class Order:
    """What all plans of a loader have in common.

    layout: "packed", "padded" or "native"; threads: None = what the machine grants.
    room: tokens of a pack, None for padded batches. rank, world_size: which of the batches of a
    round are ours.
    """

    layout: str
    threads: int | None
    room: int | None
    rank: int
    world_size: int


class Plan(list[int]):
    """Record numbers of one batch, and its place: batch `step` of a pass over epoch `epoch`.

    lengths: tokens of each record, as planned. In the process of its sampler a plan knows its
    `run`, and with it the plans that follow. counted: whether our own loader hands out its batch.
    """

    def __init__(
        self,
        records: list[int],
        lengths: list[int],
        order: Order,
        epoch: int,
        step: int,
        run: "Run | None" = None,
        counted: bool = False,
    ) -> None:
        super().__init__(records)
        self.lengths = lengths
        self.order = order
        self.epoch = epoch
        self.step = step
        self.run = run
        self.counted = counted

    def named(self, most: int = 20) -> str:
        """Its record numbers, for messages."""
        more = f" and {len(self) - most} more" if len(self) > most else ""
        return ", ".join(str(record) for record in self[:most]) + more

    def __reduce__(self) -> tuple[Any, ...]:
        place = (self.order, self.epoch, self.step)
        return Plan, (list(self), self.lengths, *place, None, self.counted)


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
        """identity: the settings that a saved position has to agree with, by name.

        due: where the next pass begins; position: after the last batch handed out.
        """
        self.stream = stream
        self.order = order
        self.prefetch = prefetch
        self.identity = identity
        self.due = (0, 0)
        self.position = self.due
        self._counted = True

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
        if epoch != self.due[0]:
            self.due = (epoch, 0)
        self._stand_at(self.due)

    def begin(self, place: Place | None, counted: bool) -> Place:
        """The place of a pass that starts now: `place`, or where the next one is due.

        counted: whether someone reports the batches handed out, so that `state` can be known.
        """
        self.position = place or self.due
        self.due = (self.position[0] + 1, 0)
        self._counted = counted
        return self.position

    def state(self) -> dict[str, Any]:
        """Where the last batch that was handed out ended, JSON-serialisable."""
        if not self._counted:
            raise RuntimeError(
                "state_dict: another loader, as of Accelerate or torchdata, hands out the batches "
                "and knows which was the last; ask that one"
            )
        return self.state_at(self.position)

    def state_at(self, place: Place) -> dict[str, Any]:
        """`place` with all that it depends on."""
        epoch, samples = place
        return {"version": STATE_VERSION, **self.identity, "epoch": epoch, "samples": samples}

    def load(self, state: dict[str, Any]) -> None:
        """Continue at `state`; refuses one of another stream, naming the field that differs."""
        self.due = self.place_of(state)
        self._stand_at(self.due)

    def _stand_at(self, place: Place) -> None:
        self.position = place
        self._counted = True

    def place_of(self, state: dict[str, Any]) -> Place:
        """The place that `state` speaks of, checked against this stream."""
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
        return epoch, samples


class Run(Iterator[Plan]):
    """One pass over an epoch. It begins when the first plan is asked for, not before: torch makes
    an iterator too many for worker processes.

    counted: whether `handed_out` is called for each batch. torchdata's loader counts by itself, and
    keeps the place of each plan by `state_dict` and `load_state_dict`.
    last_step: epoch and step of the last plan that was built, None before the first. note: what its
    batch took. ahead: who makes the batches, once there is one.
    """

    def __init__(self, sampler: PlanSampler) -> None:
        self._sampler = sampler
        self._order = sampler.order
        self._rest: _rust.Epoch | None = None
        self._start: Place | None = None
        self.counted = False
        self.last_step: tuple[int, int] | None = None
        self.prefetch = sampler.prefetch
        self.note: Note | None = None
        self.epoch = 0
        self.steps = 0
        self._asked = 0
        self._handed_out = self._due = 0
        self.ahead: ReadAhead | None = None

    def __next__(self) -> Plan:
        if self._rest is None:
            self.epoch, done = self._sampler.begin(self._start, self.counted)
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
        records = self._rest.batch(step, self._order.rank, self._order.world_size)
        lengths = self._rest.lengths(records)
        return Plan(records, lengths, self._order, self.epoch, step, counted=self.counted)

    @property
    def waits_for(self) -> Plan | None:
        """The plan of the batch that is handed out next, None before the first request and after
        the last batch."""
        if self._rest is None or self._due == self.steps:
            return None
        return self.plan(self._due)

    def passed_over(self) -> None:
        """Instead of the batch that was due the caller has got an exception about it; the next one
        comes after it. Without a next one the place stays before it."""
        self._due += 1

    def ask_again(self) -> None:
        """What was asked for last was not waited for, as after Ctrl-C."""
        self._asked = self._due

    def handed_out(self, step: int) -> None:
        """The caller of the loader has got batch `step`."""
        assert self._rest is not None
        self._handed_out = self._due = step + 1
        samples = self._rest.samples_after(self._handed_out, self._order.world_size)
        finished = self._handed_out == self.steps
        self._sampler.position = (self.epoch + 1, 0) if finished else (self.epoch, samples)

    def state_dict(self) -> dict[str, Any]:
        """Where the last plan that was asked for ends."""
        return self._sampler.state_at(self._place())

    def _place(self) -> Place:
        if self._rest is None:
            return self._start or self._sampler.due
        return self.epoch, self._rest.samples_after(self._asked, self._order.world_size)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """This pass, which must not have begun, goes on at `state`; the next one reads the epoch
        after it, also where torchdata finds this one finished and drops it."""
        self._start = self._sampler.place_of(state)
        self._sampler.due = (self._start[0] + 1, 0)

"""What is left unused when documents share a pack or a batch, and how long planning an epoch takes.

Lengths as in LLaVA-1.5's mix. For each way it is counted that every record is there once.
"""

import itertools
from collections.abc import Callable, Iterable

import numpy as np
import pytest

from benches.conftest import Compare, Figure
from benches.gates import identical
from benches.length_mix import lengths
from benches.peers import packers
from llava_fast._rust import Stream

ROOM = 4096
BATCH = 16
# TRL packs the ids themselves: more records would not fit into memory.
FEW = 0.03
# Of the rule by which packs of a step are ordered.
TOKEN, IMAGE = 51_200, 28

Packs = list[list[int]]
Mix = tuple[np.ndarray, np.ndarray]

PEERS: dict[str, Callable[[np.ndarray], Packs]] = {
    "first-fit decreasing": lambda tokens: packers.first_fit_decreasing(tokens, ROOM),
    "next-fit": lambda tokens: packers.next_fit(tokens, ROOM),
}


@pytest.fixture(scope="module")
def mix(request: pytest.FixtureRequest) -> Mix:
    return lengths(share=0.003 if request.config.getoption("quick") else 1.0)


def _stream(mix: Mix, **settings: object) -> Stream:
    shape = {"pack_tokens": None, "batch_size": None, "group_by_length": False}
    common = {"drop_last": False, "batches_per_step": 1, "seed": 0, "fingerprint": 1}
    return Stream(*mix, **(shape | common | {"shuffle": True} | settings))


def _epoch(stream: Stream, number: int = 1) -> Packs:
    rest = stream.epoch(number, 0)
    return [rest.batch(step, 0, 1) for step in range(rest.steps(1))]


def _lost(packs: Iterable[list[int]], count: int) -> int:
    """Records that are not there exactly once."""
    times = np.bincount(np.concatenate([np.asarray(pack, int) for pack in packs]), minlength=count)
    return int((times != 1).sum())


def _used(packs: Packs, tokens: np.ndarray) -> float:
    return 100 * float(tokens.sum()) / (len(packs) * ROOM)


def _used_padded(batches: Packs, tokens: np.ndarray) -> float:
    padded = sum(len(batch) * int(tokens[batch].max()) for batch in batches)
    return 100 * float(tokens.sum()) / padded


def bench_use(figure: Figure, mix: Mix) -> None:
    tokens, images = mix
    stream = _stream(mix, pack_tokens=ROOM)
    packs = _epoch(stream)
    whole = next(n for n in range(len(packs), 0, -1) if n + n // 100 + 1 == len(packs))
    figure("use of 4,096 tokens, before the splits", 100 * tokens.sum() / (whole * ROOM), "%")
    figure("use of 4,096 tokens", _used(packs, tokens), "%")
    figure("records lost", _lost(packs, len(tokens)), "records")
    without = sum(not images[pack].any() for pack in packs)
    figure("packs without a picture", without, "packs")
    in_order = np.concatenate(_epoch(_stream(mix, pack_tokens=ROOM, shuffle=False)))
    moved = int(np.abs(in_order - np.arange(len(tokens))).max())
    figure("largest displacement", moved, "places")
    for name, pack in PEERS.items():
        others = pack(tokens)
        figure("use of 4,096 tokens", _used(others, tokens), "%", side=name)
        figure("records lost", _lost(others, len(tokens)), "records", side=name)


def bench_use_trl(figure: Figure, request: pytest.FixtureRequest) -> None:
    pytest.importorskip("trl")
    tokens, _ = lengths(share=0.003 if request.config.getoption("quick") else FEW)
    packs = packers.trl_packs(tokens, ROOM)
    figure("use of 4,096 tokens", _used(packs, tokens), "%", side="TRL, texts, strategy bfd")
    figure("records lost", _lost(packs, len(tokens)), "records", side="TRL, texts, strategy bfd")


def bench_padding(figure: Figure, mix: Mix) -> None:
    """Batches of 16: what is not padding."""
    tokens, images = mix
    case = "use of padded batches of 16"
    for side, grouped in (("ours", True), ("ours, not grouped", False)):
        batches = _epoch(_stream(mix, batch_size=BATCH, group_by_length=grouped))
        assert _lost(batches, len(tokens)) == 0
        figure(case, _used_padded(batches, tokens), "%", side=side)
    for world in (1, 8):
        batches = packers.llava_batches(tokens, images, BATCH, world)
        side = f"LLaVA's sampler, {world} rank{'s' if world > 1 else ''}"
        figure(case, _used_padded(batches, tokens), "%", side=side)
        figure("records lost", _lost(batches, len(tokens)), "records", side=side)


def bench_balance(figure: Figure, mix: Mix) -> None:
    """Eight ranks, two packs each per step: what the dearest of the packs that run at the same time
    costs, against their mean. Cost as in rust/core/src/plan.rs."""
    tokens, images = (values.astype(float) for values in mix)
    cost = tokens**2 + TOKEN * (tokens + IMAGE * images)
    for side, each in (("ours, batches_per_step=16", 16), ("ours", 1)):
        packs = _epoch(_stream(mix, pack_tokens=ROOM, batches_per_step=each))
        costs = np.array([cost[pack].sum() for pack in packs])
        turns = costs[: len(costs) // 8 * 8].reshape(-1, 8)
        excess = 100 * float((turns.max(1) / turns.mean(1)).mean() - 1)
        figure("dearest of 8 ranks above their mean", excess, "%", side=side)


def bench_plan(compare: Compare, mix: Mix) -> None:
    """An epoch of packs; both results hold every record once."""
    tokens, _ = mix
    stream, epochs = _stream(mix, pack_tokens=ROOM), itertools.count(1)
    compare(
        "plan of an epoch, first-fit decreasing in Python",
        # The last epoch is kept: each time another one.
        ours=lambda: stream.epoch(next(epochs), 0),
        peer=lambda: packers.first_fit_decreasing(tokens, ROOM),
        gate=identical,
        items=len(tokens),
        item="record",
        view=lambda rest: {"records": _sorted(rest.batch(n, 0, 1) for n in range(rest.steps(1)))},
        view_peer=lambda packs: {"records": _sorted(packs)},
    )


def _sorted(packs: Iterable[list[int]]) -> np.ndarray:
    return np.sort(np.concatenate([np.asarray(pack, int) for pack in packs]))

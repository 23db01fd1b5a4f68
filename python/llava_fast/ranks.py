"""Ranks that would not read one and the same stream are stopped before the first batch."""

from typing import Any

from llava_fast.errors import DataError


def compare(identity: dict[str, Any], rank: int, world_size: int) -> None:
    """Compares what the stream depends on with the other ranks, which have to call this too.

    Only where torch.distributed runs with as many processes as the loader has ranks: where a
    framework deals out the batches, or ranks share a model, it does not know who reads what.

    Raises DataError on all ranks, naming what differs, or the rank that is there twice.
    """
    import torch.distributed as dist

    if world_size == 1 or not dist.is_available() or not dist.is_initialized():
        return
    if dist.get_world_size() != world_size:
        return
    others: list[Any] = [None] * world_size
    dist.all_gather_object(others, {"rank": rank, **identity})
    ranks = [other["rank"] for other in others]
    if len(set(ranks)) < world_size:
        twice = next(number for number in ranks if ranks.count(number) > 1)
        raise DataError(
            f"rank={twice} is given to {ranks.count(twice)} of {world_size} processes: they would "
            "read the same batches, and others nobody"
        )
    first = others[0]
    for other in others[1:]:
        for field in first:
            if field != "rank" and first[field] != other[field]:
                ours, theirs = (f"{x[field]!r} on rank {x['rank']}" for x in (first, other))
                raise DataError(
                    f"the ranks would read different streams: `{field}` is {ours} and {theirs}"
                )

"""What is in a batch, without making it."""

from typing import Any

from llava_fast import _rust
from llava_fast.dataset import LlavaDataset
from llava_fast.stream import Order


def explain(
    dataset: LlavaDataset, rest: _rust.Epoch, order: Order, epoch: int, step: int, rank: int
) -> dict[str, Any]:
    """The batch `step` of `rest` on `rank`, as `DataLoader.explain` says.

    Raises ValueError naming the step if there is no such batch.
    """
    steps = rest.steps(order.world_size)
    if not 0 <= step < steps:
        raise ValueError(f"step: got {step}, expected 0..{steps - 1} in epoch {epoch}")
    records = rest.batch(step, rank, order.world_size)
    lengths = rest.lengths(records)
    documents, start = [], 0
    for row, (record, tokens) in enumerate(zip(records, lengths, strict=True)):
        place = {"row": row} if order.room is None else {"start": start}
        documents.append({**dataset.describe(record), **place, "tokens": tokens})
        start += tokens
    room = order.room or len(records) * max(lengths, default=0)
    return {
        "epoch": epoch,
        "step": step,
        "rank": rank,
        "tokens": start,
        "room": room,
        "padding": 1 - start / room if room else 0.0,
        "images": int(dataset.image_counts[records].sum()) if records else 0,
        "documents": documents,
    }

"""Exact answers by teacher forcing: the same count that greedy decoding would give, much faster.

If every supervised token of a record is the most likely one after the tokens before it, then
greedy decoding writes exactly this answer, stop token included; if one is not, it does not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from .loop import Batch, to_device


def exact_documents(logits_RV: Tensor, batch: Batch) -> list[bool | None]:
    """Per document of a native pack: are all its answers exact? None: it has none.

    R supervised rows, V entries of the vocabulary.
    """
    borders = batch["cu_seqlens"].to(torch.int64)
    hit_R = logits_RV.argmax(-1) == batch["targets"]
    document_R = torch.searchsorted(borders, batch["loss_rows"].to(torch.int64), right=True) - 1
    count = torch.zeros(len(borders) - 1, dtype=torch.int64, device=hit_R.device)
    rows, hits = count.index_add(0, document_R, torch.ones_like(document_R)), count
    hits = hits.index_add(0, document_R, hit_R.to(torch.int64))
    pairs = zip(rows.tolist(), hits.tolist(), strict=True)
    return [hit == row if row else None for row, hit in pairs]


@torch.inference_mode()
def exact_answers(
    model: nn.Module, loader: Iterable[Batch], kinds: list[str], device: torch.device
) -> dict[str, Any]:
    """`{"exact", "records", "by_category": {kind: {"exact", "records"}}}` over all packs.

    kinds: the category of every record, by record number.
    """
    outcomes = []
    for pack in loader:
        pack = to_device(pack, device)
        rights = exact_documents(model(**pack).logits, pack)
        for record, right in zip(pack["records"].tolist(), rights, strict=True):
            if right is not None:
                outcomes.append((kinds[record], right))
    return tally(outcomes)


def tally(outcomes: list[tuple[str, bool]]) -> dict[str, Any]:
    """Shares of exact answers, over all records and by category."""
    by_category: dict[str, list[bool]] = defaultdict(list)
    for category, right in outcomes:
        by_category[category].append(right)
    return _score([right for _, right in outcomes]) | {
        "by_category": {name: _score(rights) for name, rights in sorted(by_category.items())}
    }


def _score(rights: list[bool]) -> dict[str, Any]:
    return {"exact": sum(rights) / max(1, len(rights)), "records": len(rights)}

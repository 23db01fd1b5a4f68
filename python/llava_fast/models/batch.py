"""Every kind of batch, brought into the one form the model computes on: documents in a row.

Letters: B rows of L positions as they came, T real tokens in a row, n pictures, P slots per
    picture, R supervised rows, d documents.
"""

from dataclasses import dataclass
from typing import Any

import torch

IGNORED = -100

# What a batch may hold besides the keys read below: said for transformers' attention, or for the
# reader.
_UNUSED = {"use_cache", "cu_seq_lens_k", "max_length_q", "max_length_k", "max_seqlen", "records"}
_UNUSED |= {"q_tiles", "kv_tiles"}
_NATIVE = {"cu_seqlens", "loss_rows", "targets", "pixel_patches", "image_row_starts"}
_SHAPED = {"labels", "attention_mask", "cu_seq_lens_q", "pixel_values"}

Batch = dict[str, Any]


@dataclass(frozen=True)
class Pack:
    """Documents in a row.

    ids, positions: (T,) token ids and positions inside their documents.
    lengths: tokens per document.
    pixels: `pixel_values` or `pixel_patches`, or None.
    slots: rows of the image slots, (n * P,), or None.
    targets: ids to predict: (T,) with -100 where nothing is, or (R,) when `loss_rows` is given; or
        None.
    loss_rows: (R,) rows that predict `targets`; None = all rows.
    shape, kept: the rows as they came (B, L) and where the T real tokens lie in them, (T,); None
        in a native batch.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    lengths: tuple[int, ...]
    pixels: torch.Tensor | None = None
    slots: torch.Tensor | None = None
    targets: torch.Tensor | None = None
    loss_rows: torch.Tensor | None = None
    shape: tuple[int, int] | None = None
    kept: torch.Tensor | None = None


def pack_batch(batch: Batch, image_token_id: int, image_tokens: int) -> Pack:
    """The batch as documents in a row.

    batch: native packed, or shaped as transformers wants it: (B, L) with `attention_mask` (padding
        on either side), or (1, T) packed with `cu_seq_lens_q` or restarting `position_ids`.
    image_tokens: slots per picture.
    Raises ValueError when pictures and slots do not match, TypeError for an unknown key.
    """
    batch = {key: value for key, value in batch.items() if value is not None}
    native = "cu_seqlens" in batch
    allowed = {"input_ids", "position_ids"} | _UNUSED | (_NATIVE if native else _SHAPED)
    # A native pack may carry float pictures and a shaped batch byte patches: both are understood.
    allowed |= {"pixel_values", "pixel_patches"}
    unknown = sorted(batch.keys() - allowed)
    if unknown:
        raise TypeError(f"unknown batch key `{unknown[0]}`; known: {', '.join(sorted(allowed))}")
    if "input_ids" not in batch:
        raise TypeError("batch without `input_ids`")
    if "pixel_values" in batch and not batch["pixel_values"].is_floating_point():
        raise ValueError(
            f"pixel_values: got {batch['pixel_values'].dtype}, expected normalised floats"
        )
    return (_native if native else _shaped)(batch, image_token_id, image_tokens)


def _native(batch: Batch, image_token_id: int, image_tokens: int) -> Pack:
    ids_T = batch["input_ids"]
    pixels = batch.get("pixel_patches", batch.get("pixel_values"))
    starts = batch.get("image_row_starts")
    pictures = 0 if pixels is None else len(pixels)
    if pictures != (0 if starts is None else len(starts)):
        places = 0 if starts is None else len(starts)
        raise ValueError(f"got {pictures} pictures for {places} `image_row_starts`")
    slots = None
    if starts is not None:
        slots = (starts[:, None] + torch.arange(image_tokens, device=starts.device)).flatten()
        if slots.device.type == "cpu" and not _all_slots(ids_T, slots, image_token_id):
            # On an accelerator the look would make the host wait; the loader builds the starts
            # itself.
            raise ValueError("`image_row_starts` point at tokens that are not image slots")
    return Pack(
        ids=ids_T,
        positions=batch["position_ids"],
        lengths=tuple(batch["cu_seqlens"].diff().tolist()),
        pixels=pixels,
        slots=slots,
        targets=batch.get("targets"),
        loss_rows=batch.get("loss_rows"),
    )


def _all_slots(ids_T: torch.Tensor, slots: torch.Tensor, image_token_id: int) -> bool:
    inside = not len(slots) or (slots.min() >= 0 and slots.max() < len(ids_T))
    return bool(inside and (ids_T[slots] == image_token_id).all())


def _shaped(batch: Batch, image_token_id: int, image_tokens: int) -> Pack:
    ids_BL = batch["input_ids"]
    if ids_BL.dim() != 2:
        raise ValueError(f"input_ids: got {tuple(ids_BL.shape)}, expected (rows, length)")
    kept, lengths = _documents(batch, ids_BL)
    ids_T = ids_BL.flatten()[kept]
    pixels = batch.get("pixel_values", batch.get("pixel_patches"))
    slots = (ids_T == image_token_id).nonzero().flatten()
    expected = 0 if pixels is None else len(pixels) * image_tokens
    if len(slots) != expected:
        pictures = 0 if pixels is None else len(pixels)
        raise ValueError(
            f"got {len(slots)} image slots, expected {expected} "
            f"({pictures} pictures of {image_tokens} features)"
        )
    labels = batch.get("labels")
    return Pack(
        ids=ids_T,
        positions=torch.cat([torch.arange(n, device=ids_T.device) for n in lengths]),
        lengths=lengths,
        pixels=pixels,
        slots=slots if pixels is not None else None,
        targets=None if labels is None else _next_token(labels.flatten()[kept], lengths),
        shape=tuple(ids_BL.shape),
        kept=kept,
    )


def _documents(batch: Batch, ids_BL: torch.Tensor) -> tuple[torch.Tensor, tuple[int, ...]]:
    """Places of the real tokens in the flattened rows, and the documents' lengths."""
    rows, width = ids_BL.shape
    everything = torch.arange(rows * width, device=ids_BL.device)
    if "cu_seq_lens_q" in batch:
        lengths = batch["cu_seq_lens_q"].diff().tolist()
    elif "attention_mask" in batch:
        mask_BL = batch["attention_mask"].bool()
        everything = mask_BL.flatten().nonzero().flatten()
        lengths = mask_BL.sum(1).tolist()
    elif "position_ids" in batch:
        starts = (batch["position_ids"].expand(rows, width) == 0).flatten().nonzero().flatten()
        ends = torch.cat((starts, starts.new_tensor([rows * width])))
        lengths = ends.diff().tolist()
    else:
        lengths = [width] * rows
    if sum(lengths) != len(everything):
        raise ValueError(f"got {len(everything)} tokens for documents of {sum(lengths)} in all")
    return everything, tuple(n for n in lengths if n)


def _next_token(labels_T: torch.Tensor, lengths: tuple[int, ...]) -> torch.Tensor:
    """Labels moved to the row that predicts them; nothing is predicted across a document's end."""
    targets_T = labels_T.roll(-1)
    ends = torch.tensor(lengths, device=labels_T.device).cumsum(0) - 1
    return targets_T.index_fill(0, ends, IGNORED)

"""Segments with the places of their tokens."""

from typing import Any

import numpy as np

from llava_fast.inspect.views import Segment
from llava_fast.text import Tokenizer


def placed(
    segments: list[Any], ids: np.ndarray, labels: np.ndarray, tokenizer: Tokenizer
) -> list[Segment]:
    """Each segment with its tokens [start, stop)."""
    parts, at = [], 0
    if tokenizer.bos_id is not None and len(ids) and ids[0] == tokenizer.bos_id:
        parts.append(Segment(tokenizer._core.token(tokenizer.bos_id), "token", False, 0, 1))
        at = 1
    for text, kind, supervised in segments:
        start = at
        if kind == "stop":
            at += 1
        elif kind == "image":
            while at < len(ids) and ids[at] == tokenizer.image_id:
                at += 1
        else:
            structure = (tokenizer.eos_id, tokenizer.image_id)
            while at < len(ids) and ids[at] not in structure and (labels[at] >= 0) == supervised:
                at += 1
        parts.append(Segment(text, kind, supervised, start, at))
    return parts

"""The same ids and labels from the `tokenizers` library: `encode_batch`, labels from offsets."""

from collections.abc import Sequence

import numpy as np
from tokenizers import Encoding, Tokenizer

from benches.peers.llava_text import ANSWER, IGNORE, STOP, image_first, render


def encode(records: Sequence[dict], tokenizer: Tokenizer) -> list[tuple[np.ndarray, np.ndarray]]:
    """(input_ids, labels) of every record; `<image>` stays one token."""
    texts = [
        render(image_first(r["conversations"]) if "image" in r else r["conversations"])
        for r in records
    ]
    encodings = tokenizer.encode_batch(texts)
    return [_label(text, encoding) for text, encoding in zip(texts, encodings, strict=True)]


def _label(text: str, encoding: Encoding) -> tuple[np.ndarray, np.ndarray]:
    input_ids = np.array(encoding.ids, np.int64)
    ends = np.array(encoding.offsets, np.int64)[:, 1]
    answered = np.zeros(len(text) + 1, bool)
    for start, stop in _answers(text):
        answered[start + 1 : stop + 1] = True
    return input_ids, np.where(answered[ends], input_ids, IGNORE)


def _answers(text: str) -> list[tuple[int, int]]:
    """Character spans of the answers, each with the space before it and its STOP."""
    spans, position = [], 0
    while (found := text.find(ANSWER, position)) >= 0:
        position = text.index(STOP, found) + len(STOP)
        spans.append((found + len(ANSWER) - 1, position))
    return spans

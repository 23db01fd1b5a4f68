"""The same ids and labels from the `tokenizers` library: `encode_batch`, labels from offsets."""

from collections.abc import Iterable, Sequence

import numpy as np
from tokenizers import Encoding, Tokenizer

from benches.peers.chat_layouts import Layout, Span
from benches.peers.llava_text import IGNORE


def encode(
    records: Sequence[dict], tokenizer: Tokenizer, layout: Layout
) -> list[tuple[np.ndarray, np.ndarray]]:
    """(input_ids, labels) of every record; a picture stays one token."""
    rendered = [layout.render(record) for record in records]
    encodings = tokenizer.encode_batch([text for text, _ in rendered])
    return [
        _label(len(text), spans, encoding)
        for (text, spans), encoding in zip(rendered, encodings, strict=True)
    ]


def _label(length: int, spans: Iterable[Span], encoding: Encoding) -> tuple[np.ndarray, np.ndarray]:
    input_ids = np.array(encoding.ids, np.int64)
    ends = np.array(encoding.offsets, np.int64)[:, 1]
    answered = np.zeros(length + 1, bool)
    for start, stop in spans:
        answered[start + 1 : stop + 1] = True
    return input_ids, np.where(answered[ends], input_ids, IGNORE)

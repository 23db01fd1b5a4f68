"""A conversation to ids and labels on one thread: against LLaVA's rule, and against `tokenizers`.

Ours also puts 576 image positions where the peers leave one; the gate folds them before comparing.
"""

from collections.abc import Iterable

import numpy as np
import pytest
from tokenizers import Tokenizer as PeerTokenizer

from benches.conftest import Compare
from benches.gates import identical
from benches.peers import llava_text, offset_text
from benches.peers.llava_loader import fast_tokenizer
from benches.records import TOKENIZER, records
from llava_fast import Sample, Tokenizer, encode

IMAGE_TOKENS = 576
MAX_LENGTH = 4096


@pytest.fixture
def conversations(quick: bool) -> tuple[dict, ...]:
    return records(16 if quick else 256)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_pretrained(TOKENIZER)


def bench_llava_rule(
    compare: Compare, conversations: tuple[dict, ...], tokenizer: Tokenizer
) -> None:
    peer = fast_tokenizer()
    compare(
        "v1, 1 thread, LLaVA's three passes",
        ours=lambda: _ours(conversations, tokenizer),
        peer=lambda: [llava_text.encode(record, peer) for record in conversations],
        gate=identical,
        items=len(conversations),
        item="record",
        view=lambda samples: _folded(samples, tokenizer.image_id),
        view_peer=lambda pairs: _joined(pairs, tokenizer.image_id),
    )


def bench_offsets(compare: Compare, conversations: tuple[dict, ...], tokenizer: Tokenizer) -> None:
    peer = PeerTokenizer.from_file(str(TOKENIZER / "tokenizer.json"))
    compare(
        "v1, 1 thread, encode_batch and offsets",
        ours=lambda: _ours(conversations, tokenizer),
        peer=lambda: offset_text.encode(conversations, peer),
        gate=identical,
        items=len(conversations),
        item="record",
        view=lambda samples: _folded(samples, tokenizer.image_id),
        view_peer=lambda pairs: _joined(pairs, tokenizer.image_id),
    )


def _ours(conversations: Iterable[dict], tokenizer: Tokenizer) -> list[Sample]:
    return [encode(record, tokenizer, "v1", IMAGE_TOKENS, MAX_LENGTH) for record in conversations]


def _folded(samples: Iterable[Sample], image_id: int) -> dict[str, np.ndarray]:
    """Every run of image positions as one."""
    pairs = []
    for sample in samples:
        keep = np.ones(len(sample.input_ids), bool)
        for start in sample.image_starts:
            keep[start + 1 : start + IMAGE_TOKENS] = False
        pairs.append((sample.input_ids[keep], sample.labels[keep]))
    return _joined(pairs, image_id)


def _joined(pairs: Iterable[tuple], image_id: int) -> dict[str, np.ndarray]:
    """All records one after the other, LLaVA's -200 as the id of `<image>`."""
    input_ids = np.concatenate([np.asarray(pair[0]) for pair in pairs])
    return {
        "lengths": np.array([len(pair[0]) for pair in pairs]),
        "input_ids": np.where(input_ids == llava_text.IMAGE, image_id, input_ids),
        "labels": np.concatenate([np.asarray(pair[1]) for pair in pairs]),
    }

"""Pre-trains the language model: text alone, from scratch, one schedule.

Shapes: B documents, T tokens, D width, V vocabulary.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

from .documents import BOS, EOS, IGNORED, Encoder, collate
from .mimetic import set_attention_start
from .optim import late_decay, minimise
from .texts import training_document
from .tokenizer import VOCABULARY

STEPS = 10_351
BATCH = 12  # documents
RATE = 2e-3
POOL = 16  # batches drawn at once and sorted by length: little padding

CONFIG: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 128,
    "intermediate_size": 344,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "max_position_embeddings": 1024,
    "bos_token_id": BOS,
    "eos_token_id": EOS,
}


def pretrain_language(
    tokenizer_json: Path, seed: int, steps: int, report: Callable[[int, float], None]
) -> LlamaForCausalLM:
    """A Llama that answers questions about scenes told in words."""
    torch.manual_seed(seed)
    encoder = Encoder(tokenizer_json)
    model = LlamaForCausalLM(LlamaConfig(**CONFIG))
    set_attention_start(model)
    batches = _batches(encoder, Random(seed), steps)
    minimise([model], lambda n: answer_loss(model, *next(batches)), steps, RATE, late_decay, report)
    return model


def _batches(encoder: Encoder, rng: Random, steps: int) -> Iterator[tuple[Tensor, Tensor]]:
    for first in range(0, steps, POOL):
        share = first / steps
        documents = [encoder.labelled(training_document(share, rng)) for _ in range(POOL * BATCH)]
        documents.sort(key=lambda document: len(document[0]))
        batches = [documents[i : i + BATCH] for i in range(0, len(documents), BATCH)]
        rng.shuffle(batches)
        yield from (collate(batch, encoder.pad_id) for batch in batches)


def answer_loss(model: LlamaForCausalLM, ids_BT: Tensor, labels_BT: Tensor) -> Tensor:
    """Mean cross-entropy over the supervised tokens; only their rows meet the vocabulary.

    Padding is on the right, so causal attention alone keeps it out of every supervised row.
    """
    hidden_BTD = model.model(input_ids=ids_BT, use_cache=False).last_hidden_state
    targets_BT = labels_BT[:, 1:]
    kept = targets_BT != IGNORED
    logits_RV = model.lm_head(hidden_BTD[:, :-1][kept])
    return nn.functional.cross_entropy(logits_RV, targets_BT[kept])

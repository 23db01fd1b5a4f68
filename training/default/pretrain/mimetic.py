"""Initial weights with which a small Llama learns to look things up.

From a plain random start the model stays a bag of words for most of the run: it has to discover,
all at once, heads that find the right item and heads that know what stands beside it. Both are put
there as initial values; nothing is frozen. After Trockman and Kolter, arXiv 2305.09828.

Shapes: D width, H width of a head.
"""

import torch
from torch import Tensor, nn
from transformers import LlamaForCausalLM

# Layer -> how many tokens each head looks back; 0 = the head matches equal content, or is random.
LOOK_BACK = {0: (1, 1, 2, 3), 1: (0, 0, 1, 2)}
MATCHING_HEADS = (0, 1)
COMMON_SHARE = 0.25
EMBEDDING_STD = 0.5


@torch.no_grad()
def set_attention_start(model: LlamaForCausalLM) -> None:
    """Gives all embeddings a common direction and sets the heads up as described here."""
    embeddings = model.model.embed_tokens.weight
    common_D = nn.functional.normalize(torch.randn(embeddings.shape[1]), dim=0)
    nn.init.normal_(embeddings, std=EMBEDDING_STD)
    size = COMMON_SHARE * embeddings.shape[1] ** 0.5
    embeddings += torch.outer(size - embeddings @ common_D, common_D)
    for number, layer in enumerate(model.model.layers):
        _set_heads(layer.self_attn, LOOK_BACK.get(number, (0, 0, 0, 0)), common_D)


def _set_heads(attention: nn.Module, look_back: tuple[int, ...], common_D: Tensor) -> None:
    """Heads that look back or match copy what they find: W_o = W_v^T / 2 with W_v orthogonal."""
    width = len(common_D)
    values = nn.init.orthogonal_(torch.empty(width, width))
    matching = nn.init.orthogonal_(torch.empty(width, width))
    matching -= torch.outer(matching @ common_D, common_D)  # the common direction is no content
    head = width // len(look_back)
    for number, back in enumerate(look_back):
        rows = slice(number * head, (number + 1) * head)
        if back:
            query_H, key_H = _offset_rows(back, head)
            attention.q_proj.weight[rows] += torch.outer(query_H, common_D)
            attention.k_proj.weight[rows] += torch.outer(key_H, common_D)
        elif number in MATCHING_HEADS:
            attention.q_proj.weight[rows] = matching[rows]
            attention.k_proj.weight[rows] = matching[rows]
        else:
            continue
        attention.v_proj.weight[rows] = values[rows]
        attention.o_proj.weight[:, rows] = values[rows].T / 2


def _offset_rows(back: int, head: int) -> tuple[Tensor, Tensor]:
    """A query and a key, the same for every token, that rotary embedding makes agree best at an
    offset of `back` tokens. Slow frequencies are left out: they tell near offsets apart badly."""
    frequencies = 10_000.0 ** (-torch.arange(0, head, 2) / head)
    fast = (frequencies > 0.05).float()
    angles = frequencies * back
    query_H = torch.cat([angles.cos() * fast, -angles.sin() * fast])
    return query_H, torch.cat([fast, torch.zeros_like(fast)])

"""AdamW, the learning rate of a step, the size of a gradient."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from .config import TrainConfig


def learning_rate(step: int, steps: int, peak: float, warmup: float) -> float:
    """Rate of optimizer step `step` (0-based) of `steps`: linear rise, then cosine to 0.

    `warmup` is a share of the steps, rounded up. The first step has rate 0 if there is a rise, as
    in transformers' `get_cosine_schedule_with_warmup`. A run of one step has none, else it would
    not learn: its rate is the peak.
    """
    rise = math.ceil(warmup * steps) if steps > 1 else 0
    if step < rise:
        return peak * step / rise
    return peak * 0.5 * (1.0 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def build(model: nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW over the parameters that learn; weight decay on matrices only."""
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in named if p[1].ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in named if p[1].ndim < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    return torch.optim.AdamW(groups, lr=config.lr, betas=config.betas, eps=config.eps, fused=True)


def gradient_norm(parameters: Iterable[nn.Parameter], limit: float) -> Tensor:
    """Euclidean norm over all gradients (a scalar tensor, before clipping).

    Gradients longer than `limit` are scaled down to it; 0 = never. If the norm is not finite, the
    scaled gradients are worth nothing: the caller drops that step.
    """
    parameters = list(parameters)
    norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    if limit > 0:
        nn.utils.clip_grads_with_norm_(parameters, limit, norm)
    return norm

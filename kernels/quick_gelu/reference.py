"""CLIP's approximation of GELU."""

import torch


def quick_gelu(x: torch.Tensor) -> torch.Tensor:
    """Same shape: x times the sigmoid of 1.702 x."""
    return x / (1 + torch.exp(-1.702 * x))

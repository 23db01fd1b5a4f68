"""SwiGLU's gate (arXiv 2002.05202). F inner features."""

import torch


def swiglu(gate_TF: torch.Tensor, up_TF: torch.Tensor) -> torch.Tensor:
    """(T, F): gate times its sigmoid, times up."""
    return gate_TF / (1 + torch.exp(-gate_TF)) * up_TF

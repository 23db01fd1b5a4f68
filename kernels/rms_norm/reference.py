"""Root-mean-square norm, as the paper writes it (arXiv 1910.07467). D features."""

import torch


def rms_norm(x_TD: torch.Tensor, weight_D: torch.Tensor, eps: float) -> torch.Tensor:
    """(T, D): each row divided by the root of its mean square, times the weight."""
    mean_square_T1 = (x_TD * x_TD).mean(-1, keepdim=True)
    return x_TD / torch.sqrt(mean_square_T1 + eps) * weight_D

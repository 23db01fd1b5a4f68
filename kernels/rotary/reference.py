"""Rotary positions as complex numbers (arXiv 2104.09864), in Llama's half-split order.

Letters: T tokens, N heads, H head width, R = H / 2 rotated pairs.
"""

import torch


def rotary(x_TNH: torch.Tensor, cos_TR: torch.Tensor, sin_TR: torch.Tensor) -> torch.Tensor:
    """(T, N, H): pair r is (x[r], x[r + R]), turned by the angle of token t."""
    half = x_TNH.shape[-1] // 2
    z_TNR = torch.complex(x_TNH[..., :half].contiguous(), x_TNH[..., half:].contiguous())
    turned_TNR = z_TNR * torch.complex(cos_TR, sin_TR)[:, None, :]
    return torch.cat((turned_TNR.real, turned_TNR.imag), dim=-1)

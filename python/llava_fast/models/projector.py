"""From the tower's width to the language model's.

Source: LLaVA `multimodal_projector/builder.py`; names as transformers' `LlavaMultiModalProjector`.
"""

import torch
import torch.nn.functional as F
from torch import nn


class Projector(nn.Module):
    """`linear` (LLaVA v1): one layer; `mlp2x_gelu` (LLaVA-1.5): two with the exact (erf) GELU
    between.
    """

    def __init__(self, kind: str, vision_width: int, text_width: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(vision_width, text_width)
        self.linear_2 = nn.Linear(text_width, text_width) if kind == "mlp2x_gelu" else None

    def forward(self, f_NPD: torch.Tensor) -> torch.Tensor:
        """(N, P, vision width) to (N, P, text width)."""
        f_NPD = self.linear_1(f_NPD)
        return f_NPD if self.linear_2 is None else self.linear_2(F.gelu(f_NPD))

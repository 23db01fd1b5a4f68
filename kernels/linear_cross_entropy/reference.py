"""Head and loss, slowly: one row at a time. R supervised rows, D features, V vocabulary."""

import torch


def linear_cross_entropy(
    x_RD: torch.Tensor, weight_VD: torch.Tensor, targets_R: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """(sum of -log p(target) over the rows whose target is not -100, logits (R, V))."""
    logits_RV = torch.einsum("rd,vd->rv", x_RD, weight_VD)
    loss = x_RD.new_zeros(())
    for logits_V, target in zip(logits_RV, targets_R.tolist(), strict=True):
        if target == -100:
            continue
        top = logits_V.max()
        loss = loss + top + torch.log(torch.exp(logits_V - top).sum()) - logits_V[target]
    return loss, logits_RV

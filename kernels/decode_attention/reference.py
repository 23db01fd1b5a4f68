"""Attention of one new token per row to that row's cache, slowly: row by row.

Letters: B rows, L cache positions, N query heads, K key-value heads, H head width.
"""

import torch


def decode_attention(
    q_BNH: torch.Tensor, k_BKLH: torch.Tensor, v_BKLH: torch.Tensor, filled_B: torch.Tensor
) -> torch.Tensor:
    """(B, N, H): row b attends to its first `filled_B[b]` cache positions."""
    repeat = q_BNH.shape[1] // k_BKLH.shape[1]
    rows = []
    for q_NH, k_KLH, v_KLH, filled in zip(q_BNH, k_BKLH, v_BKLH, filled_B.tolist(), strict=True):
        k_NLH = k_KLH[:, :filled].repeat_interleave(repeat, dim=0)
        v_NLH = v_KLH[:, :filled].repeat_interleave(repeat, dim=0)
        scores_NL = torch.einsum("nh,nlh->nl", q_NH, k_NLH) / q_NH.shape[-1] ** 0.5
        rows.append(torch.einsum("nl,nlh->nh", scores_NL.softmax(-1), v_NLH))
    return torch.stack(rows)

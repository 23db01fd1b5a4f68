"""Attention inside documents, slowly: one big matrix, everything outside the blocks masked.

Letters: T tokens of all documents in a row, N query heads, K key-value heads, H head width.
"""

import torch


def attention(
    q_TNH: torch.Tensor,
    k_TKH: torch.Tensor,
    v_TKH: torch.Tensor,
    lengths: tuple[int, ...],
    causal: bool,
) -> torch.Tensor:
    """(T, N, H): token t attends to its own document (up to itself when `causal`)."""
    tokens, heads, width = q_TNH.shape
    repeat = heads // k_TKH.shape[1]
    k_TNH = k_TKH.repeat_interleave(repeat, dim=1)
    v_TNH = v_TKH.repeat_interleave(repeat, dim=1)
    document_T = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    allowed_TT = document_T[:, None] == document_T[None, :]
    if causal:
        allowed_TT &= torch.ones(tokens, tokens, dtype=torch.bool).tril()
    scores_NTT = torch.einsum("tnh,snh->nts", q_TNH, k_TNH) / width**0.5
    scores_NTT = scores_NTT.masked_fill(~allowed_TT, float("-inf"))
    return torch.einsum("nts,snh->tnh", scores_NTT.softmax(-1), v_TNH)

"""One function per operation of the models: says where it runs, and nothing else.

Every device runs plain PyTorch here. The slow twin of each function is in
`kernels/<op>/reference.py`; a test compares the two, forward and backward.

Letters: T tokens of all documents in a row, D features, N query heads, K key-value heads (in
`patch_projection`: the stored row), H head width, R = H / 2, B rows, L cache positions, V
    vocabulary.
"""

import torch
import torch.nn.functional as F


def patch_projection(
    pixels: torch.Tensor,
    weight_DCpp: torch.Tensor,
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
) -> torch.Tensor:
    """Patch features (N, P, D).

    pixels: (N, 3, S, S) float, already normalised, or (N, P, K) uint8: rows of one patch in the
        order channel, y, x, zero padded to K; normalised here, so that a picture crosses to the
        device as bytes.
    weight_DCpp: the convolution weight of CLIP's patch embedding.
    """
    size = weight_DCpp.shape[-1]
    if pixels.dtype == torch.uint8:
        wide = torch.promote_types(torch.float32, weight_DCpp.dtype)
        rows_NPK = _normalised(pixels[..., : 3 * size * size].to(wide), mean, std)
    else:
        rows_NPK = _patches(pixels, size)
    # Not a convolution: on CUDA that would be computed in TF32.
    return F.linear(rows_NPK.to(weight_DCpp.dtype), weight_DCpp.flatten(1))


def _normalised(
    x_NPK: torch.Tensor,
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
) -> torch.Tensor:
    """(x / 255 - mean) / std per channel."""
    area = x_NPK.shape[-1] // 3
    scale_C = x_NPK.new_tensor([1 / (255 * s) for s in std])
    shift_C = x_NPK.new_tensor([-m / s for m, s in zip(mean, std, strict=True)])
    scale_K, shift_K = (x_C.repeat_interleave(area) for x_C in (scale_C, shift_C))
    return torch.addcmul(shift_K, x_NPK, scale_K)


def _patches(pixels_NCSS: torch.Tensor, size: int) -> torch.Tensor:
    """Pictures cut into rows of channel, y, x; what does not fill a patch is left out."""
    grid = pixels_NCSS.shape[-1] // size
    whole = pixels_NCSS[..., : grid * size, : grid * size]
    cut_NCgpgp = whole.unflatten(-1, (grid, size)).unflatten(-3, (grid, size))
    return cut_NCgpgp.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)


def attention(
    q_TNH: torch.Tensor,
    k_TKH: torch.Tensor,
    v_TKH: torch.Tensor,
    lengths: tuple[int, ...],
    causal: bool,
) -> torch.Tensor:
    """Attention inside each document (T, N, H).

    lengths: tokens per document, in order; they sum to T. Documents of one length go in one call;
    others one by one, so that nothing is computed for padding.
    """
    if len(set(lengths)) == 1:
        rows = len(lengths)
        q, k, v = (x.unflatten(0, (rows, lengths[0])) for x in (q_TNH, k_TKH, v_TKH))
        return _attend(q, k, v, causal).flatten(0, 1)
    parts = zip(q_TNH.split(lengths), k_TKH.split(lengths), v_TKH.split(lengths), strict=True)
    return torch.cat([_attend(q[None], k[None], v[None], causal)[0] for q, k, v in parts])


def _attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, causal: bool) -> torch.Tensor:
    """Rows of equal length: (B, T, heads, H) each."""
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    grouped = q.shape[1] != k.shape[1]
    out = F.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=grouped)
    return out.transpose(1, 2)


def decode_attention(
    q_BNH: torch.Tensor, k_BKLH: torch.Tensor, v_BKLH: torch.Tensor, filled_B: torch.Tensor
) -> torch.Tensor:
    """One new token per row against that row's cache (B, N, H); row b sees `filled_B[b]`
    positions.
    """
    seen_BL = torch.arange(k_BKLH.shape[2], device=filled_B.device) < filled_B[:, None]
    out_BN1H = F.scaled_dot_product_attention(
        q_BNH[:, :, None], k_BKLH, v_BKLH, seen_BL[:, None, None], enable_gqa=True
    )
    return out_BN1H[:, :, 0]


def rms_norm(x_TD: torch.Tensor, weight_D: torch.Tensor, eps: float) -> torch.Tensor:
    """Root-mean-square norm over the last dimension."""
    return F.rms_norm(x_TD, weight_D.shape, weight_D, eps)


def rotary(x_TNH: torch.Tensor, cos_TR: torch.Tensor, sin_TR: torch.Tensor) -> torch.Tensor:
    """Rotary positions, half-split order: pair r is (x[r], x[r + H / 2])."""
    a_TNR, b_TNR = x_TNH.chunk(2, dim=-1)
    cos_T1R, sin_T1R = cos_TR[:, None], sin_TR[:, None]
    return torch.cat((a_TNR * cos_T1R - b_TNR * sin_T1R, b_TNR * cos_T1R + a_TNR * sin_T1R), dim=-1)


def swiglu(gate_TF: torch.Tensor, up_TF: torch.Tensor) -> torch.Tensor:
    """silu(gate) * up."""
    return F.silu(gate_TF) * up_TF


def quick_gelu(x: torch.Tensor) -> torch.Tensor:
    """CLIP's activation: x * sigmoid(1.702 x)."""
    return x * torch.sigmoid(1.702 * x)


def linear_cross_entropy(
    x_RD: torch.Tensor, weight_VD: torch.Tensor, targets_R: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Head and loss: (sum of -log p(target) over the rows with a target, logits (R, V)).

    targets_R: -100 where a row has none. The loss is computed in float32 at least, whatever the
        model's type is.
    """
    logits_RV = F.linear(x_RD, weight_VD)
    wide_RV = logits_RV.float() if logits_RV.dtype.itemsize < 4 else logits_RV
    return F.cross_entropy(wide_RV, targets_R, reduction="sum"), logits_RV

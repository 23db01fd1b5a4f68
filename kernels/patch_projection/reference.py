"""Patch embedding, slowly: cut each picture into patches, multiply each patch by the weight.

Letters: N pictures, P patches, C channels, S side, p patch side, K stored row, D features.
"""

import torch


def patch_projection(
    pixels: torch.Tensor,
    weight_DCpp: torch.Tensor,
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
) -> torch.Tensor:
    """Features (N, P, D) of `pixel_values` (N, 3, S, S) float or `pixel_patches` (N, P, K) uint8.

    A stored row holds channel, y, x of one patch and then padding that must not count.
    """
    size = weight_DCpp.shape[-1]
    if pixels.dtype == torch.uint8:
        patches_NPCpp = pixels[..., : 3 * size * size].unflatten(-1, (3, size, size))
        column = (1, 1, 3, 1, 1)
        mean_C = torch.tensor(mean, dtype=torch.float64).view(column)
        std_C = torch.tensor(std, dtype=torch.float64).view(column)
        patches_NPCpp = (patches_NPCpp.double() / 255 - mean_C) / std_C
    else:
        grid = pixels.shape[-1] // size
        patches_NPCpp = torch.stack(
            [
                pixels[:, :, y * size : (y + 1) * size, x * size : (x + 1) * size]
                for y in range(grid)
                for x in range(grid)
            ],
            dim=1,
        )
    patches_NPCpp = patches_NPCpp.to(weight_DCpp.dtype)
    return torch.einsum("npcyx,dcyx->npd", patches_NPCpp, weight_DCpp)

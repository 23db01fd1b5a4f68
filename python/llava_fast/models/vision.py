"""CLIP's vision transformer up to the layer LLaVA reads.

Source: transformers `CLIPVisionModel`; module names are its names (`pre_layrnorm` included).
Letters: N pictures, P patches, S = P + 1 tokens (class token first), D features, H head width.
"""

import torch
from torch import nn

from llava_fast import ops
from llava_fast.models.config import VisionConfig


class VisionTower(nn.Module):
    """Pictures to features.

    The layers after `used_layers` and `post_layernorm` hold their weights only so that a
    checkpoint is written back whole; they are never computed.
    """

    def __init__(self, config: VisionConfig, used_layers: int) -> None:
        super().__init__()
        self.config = config
        self.embeddings = VisionEmbeddings(config)
        self.pre_layrnorm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.encoder = VisionEncoder(config, used_layers)
        self.post_layernorm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Features (N, P, D) without the class token.

        pixels: `pixel_values` (N, 3, S, S) float or `pixel_patches` (N, P, K) uint8.
        Raises ValueError when the pictures are not of the tower's size.
        """
        self._check(pixels)
        return self.encoder(self.pre_layrnorm(self.embeddings(pixels)))[:, 1:]

    def _check(self, pixels: torch.Tensor) -> None:
        size, patch = self.config.image_size, self.config.patch_size
        if pixels.dtype == torch.uint8:
            bytes_used = 3 * patch * patch
            if pixels.dim() != 3 or pixels.shape[1] != self.config.num_patches:
                expected = f"(n, {self.config.num_patches}, K)"
                raise ValueError(f"pixel_patches: got {tuple(pixels.shape)}, expected {expected}")
            if pixels.shape[2] < bytes_used:
                raise ValueError(
                    f"pixel_patches: got rows of {pixels.shape[2]}, expected at least {bytes_used}"
                )
        elif pixels.dim() != 4 or pixels.shape[1:] != (3, size, size):
            expected = f"(n, 3, {size}, {size})"
            raise ValueError(f"pixel_values: got {tuple(pixels.shape)}, expected {expected}")


class VisionEmbeddings(nn.Module):
    """Patch features with the class token in front, plus learned positions."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        width, patch = config.hidden_size, config.patch_size
        self.mean, self.std = config.image_mean, config.image_std
        self.class_embedding = nn.Parameter(torch.zeros(width))
        # Modules only for their names and initial values: the projection itself is `ops`' business.
        self.patch_embedding = nn.Conv2d(3, width, patch, stride=patch, bias=False)
        # Zeros: random values on the meta device make torch load its compiler.
        positions = torch.zeros(config.num_patches + 1, width)
        self.position_embedding = nn.Embedding.from_pretrained(positions, freeze=False)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """(N, S, D)."""
        weight = self.patch_embedding.weight
        patches_NPD = ops.patch_projection(pixels, weight, self.mean, self.std)
        class_N1D = self.class_embedding.expand(len(pixels), 1, -1)
        return torch.cat((class_N1D, patches_NPD), dim=1) + self.position_embedding.weight


class VisionEncoder(nn.Module):
    """The layers, of which the first `used` are computed."""

    def __init__(self, config: VisionConfig, used: int) -> None:
        super().__init__()
        self.used = used
        self.layers = nn.ModuleList(VisionLayer(config) for _ in range(config.num_hidden_layers))

    def forward(self, x_NSD: torch.Tensor) -> torch.Tensor:
        """(N, S, D)."""
        for layer in self.layers[: self.used]:
            x_NSD = layer(x_NSD)
        return x_NSD


class VisionLayer(nn.Module):
    """Pre-norm attention and MLP."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        width, eps = config.hidden_size, config.layer_norm_eps
        self.self_attn = VisionAttention(width, config.num_attention_heads)
        self.layer_norm1 = nn.LayerNorm(width, eps)
        self.mlp = VisionMlp(width, config.intermediate_size)
        self.layer_norm2 = nn.LayerNorm(width, eps)

    def forward(self, x_NSD: torch.Tensor) -> torch.Tensor:
        """(N, S, D)."""
        x_NSD = x_NSD + self.self_attn(self.layer_norm1(x_NSD))
        return x_NSD + self.mlp(self.layer_norm2(x_NSD))


class VisionAttention(nn.Module):
    """Attention of every token of a picture to all of them."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x_NSD: torch.Tensor) -> torch.Tensor:
        """(N, S, D)."""
        pictures, tokens, _ = x_NSD.shape
        x_TD = x_NSD.flatten(0, 1)
        heads = (self.heads, -1)
        q, k, v = (p(x_TD).unflatten(-1, heads) for p in (self.q_proj, self.k_proj, self.v_proj))
        out_TNH = ops.attention(q, k, v, (tokens,) * pictures, causal=False)
        return self.out_proj(out_TNH.flatten(1)).view_as(x_NSD)


class VisionMlp(nn.Module):
    """Two linear layers with CLIP's quick GELU between them."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, inner)
        self.fc2 = nn.Linear(inner, width)

    def forward(self, x_NSD: torch.Tensor) -> torch.Tensor:
        """(N, S, D)."""
        return self.fc2(ops.quick_gelu(self.fc1(x_NSD)))

"""The Llama decoder over documents that lie in a row, and its cache for generation.

Source: transformers `LlamaModel`; module names are its names.
Letters: T tokens of all documents in a row, D features, N query heads, K key-value heads, H head
    width, R = H / 2, B rows of the cache, L cache positions.
"""

from functools import lru_cache
from typing import Protocol

import torch
from torch import nn

from llava_fast import ops
from llava_fast.models.config import TextConfig


class Context(Protocol):
    """What the tokens of one call can see: a document, or a cache."""

    def attend(
        self, layer: int, q_TNH: torch.Tensor, k_TKH: torch.Tensor, v_TKH: torch.Tensor
    ) -> torch.Tensor:
        """Attention output (T, N, H) of layer number `layer`."""
        ...


class Documents:
    """Each token sees its own document up to itself.

    lengths: tokens per document, in order. With a cache, document b also fills its row b.
    """

    def __init__(self, lengths: tuple[int, ...], cache: "KeyValueCache | None" = None) -> None:
        self.lengths = lengths
        self.cache = cache

    def attend(
        self, layer: int, q_TNH: torch.Tensor, k_TKH: torch.Tensor, v_TKH: torch.Tensor
    ) -> torch.Tensor:
        """See `Context`."""
        if self.cache is not None:
            self.cache.fill(layer, k_TKH, v_TKH, self.lengths)
        return ops.attention(q_TNH, k_TKH, v_TKH, self.lengths, causal=True)


class KeyValueCache:
    """Keys and values of B texts, allocated once for L positions; as a context, one new token per
    text.
    """

    def __init__(self, config: TextConfig, rows: int, positions: int, like: torch.Tensor) -> None:
        shape = (config.num_hidden_layers, rows, config.num_key_value_heads)
        self.keys = like.new_zeros((*shape, positions, config.head_dim))
        self.values = torch.zeros_like(self.keys)
        self.filled_B = torch.zeros(rows, dtype=torch.long, device=like.device)
        self._rows_B = torch.arange(rows, device=like.device)

    def fill(
        self, layer: int, k_TKH: torch.Tensor, v_TKH: torch.Tensor, lengths: tuple[int, ...]
    ) -> None:
        """Write whole documents from position 0."""
        for store, x_TKH in ((self.keys[layer], k_TKH), (self.values[layer], v_TKH)):
            for row_KLH, x in zip(store, x_TKH.split(lengths), strict=True):
                row_KLH[:, : len(x)] = x.transpose(0, 1)

    def attend(
        self, layer: int, q_TNH: torch.Tensor, k_TKH: torch.Tensor, v_TKH: torch.Tensor
    ) -> torch.Tensor:
        """See `Context`; T = B. The caller advances `filled_B` after the last layer."""
        keys, values = self.keys[layer], self.values[layer]
        keys[self._rows_B, :, self.filled_B] = k_TKH
        values[self._rows_B, :, self.filled_B] = v_TKH
        return ops.decode_attention(q_TNH, keys, values, self.filled_B + 1)


class LanguageModel(nn.Module):
    """Embedding, decoder layers, final norm; the head is `LlavaModel.lm_head`."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.config = config
        # Weights come from a file; random ones on the meta device make torch load its compiler.
        empty = torch.zeros(config.vocab_size, config.hidden_size)
        self.embed_tokens = nn.Embedding.from_pretrained(empty, freeze=False)
        self.layers = nn.ModuleList(
            DecoderLayer(config, number) for number in range(config.num_hidden_layers)
        )
        self.norm = RmsNorm(config.hidden_size, config.rms_norm_eps)

    def forward(
        self, x_TD: torch.Tensor, positions_T: torch.Tensor, context: Context
    ) -> torch.Tensor:
        """Hidden states (T, D) of embedded tokens `x_TD` at `positions_T` of their documents."""
        cos_TR, sin_TR = self._angles(positions_T, x_TD.dtype)
        for layer in self.layers:
            x_TD = layer(x_TD, cos_TR, sin_TR, context)
        return self.norm(x_TD)

    def _angles(
        self, positions_T: torch.Tensor, dtype: torch.dtype
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosine and sine (T, R) of float32 angles, as transformers has them, in any model."""
        frequency_R = _frequencies(self.config.head_dim, self.config.rope_theta, positions_T.device)
        angle_TR = positions_T[:, None].float() * frequency_R
        # In float64 models the devices' own float32 cosines would differ.
        angle_TR = angle_TR.to(torch.promote_types(torch.float32, dtype))
        return angle_TR.cos().to(dtype), angle_TR.sin().to(dtype)


@lru_cache(maxsize=64)
def _frequencies(width: int, theta: float, device: torch.device) -> torch.Tensor:
    """Rotary frequencies (R,). From the CPU: powers differ in the last bit from device to device,
    which a position of some thousands multiplies.
    """
    with torch.inference_mode(mode=False):
        even_R = torch.arange(0, width, 2).float()
        return (1.0 / (theta ** (even_R / width))).to(device)


class DecoderLayer(nn.Module):
    """Pre-norm attention and SwiGLU."""

    def __init__(self, config: TextConfig, number: int) -> None:
        super().__init__()
        width, eps = config.hidden_size, config.rms_norm_eps
        self.self_attn = DecoderAttention(config, number)
        self.mlp = DecoderMlp(width, config.intermediate_size)
        self.input_layernorm = RmsNorm(width, eps)
        self.post_attention_layernorm = RmsNorm(width, eps)

    def forward(
        self, x_TD: torch.Tensor, cos_TR: torch.Tensor, sin_TR: torch.Tensor, context: Context
    ) -> torch.Tensor:
        """(T, D)."""
        x_TD = x_TD + self.self_attn(self.input_layernorm(x_TD), cos_TR, sin_TR, context)
        return x_TD + self.mlp(self.post_attention_layernorm(x_TD))


class DecoderAttention(nn.Module):
    """Grouped-query attention with rotary positions."""

    def __init__(self, config: TextConfig, number: int) -> None:
        super().__init__()
        self.number = number
        self.head_dim = config.head_dim
        width = config.hidden_size
        query, key = (
            heads * config.head_dim
            for heads in (config.num_attention_heads, config.num_key_value_heads)
        )
        self.q_proj = nn.Linear(width, query, bias=False)
        self.k_proj = nn.Linear(width, key, bias=False)
        self.v_proj = nn.Linear(width, key, bias=False)
        self.o_proj = nn.Linear(query, width, bias=False)

    def forward(
        self, x_TD: torch.Tensor, cos_TR: torch.Tensor, sin_TR: torch.Tensor, context: Context
    ) -> torch.Tensor:
        """(T, D)."""
        heads = (-1, self.head_dim)
        q_TNH, k_TKH, v_TKH = (
            p(x_TD).unflatten(-1, heads) for p in (self.q_proj, self.k_proj, self.v_proj)
        )
        q_TNH = ops.rotary(q_TNH, cos_TR, sin_TR)
        k_TKH = ops.rotary(k_TKH, cos_TR, sin_TR)
        return self.o_proj(context.attend(self.number, q_TNH, k_TKH, v_TKH).flatten(1))


class DecoderMlp(nn.Module):
    """SwiGLU."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(width, inner, bias=False)
        self.up_proj = nn.Linear(width, inner, bias=False)
        self.down_proj = nn.Linear(inner, width, bias=False)

    def forward(self, x_TD: torch.Tensor) -> torch.Tensor:
        """(T, D)."""
        return self.down_proj(ops.swiglu(self.gate_proj(x_TD), self.up_proj(x_TD)))


class RmsNorm(nn.Module):
    """Root-mean-square norm with a weight."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x_TD: torch.Tensor) -> torch.Tensor:
        """(T, D)."""
        return ops.rms_norm(x_TD, self.weight, self.eps)

"""What a LLaVA is made of: plain numbers, read from and written to Hugging Face `config.json`.

A model directory is untrusted input: every number has bounds, and an option that these models do
    not implement is refused by name instead of being ignored.
"""

import math
from dataclasses import dataclass, field, replace
from typing import Any, Self

from llava_fast.config import CLIP_MEAN, CLIP_STD

# Far above every published model; a hostile file is stopped before anything is allocated.
MAX_WIDTH = 1 << 17
MAX_LAYERS = 1 << 10
MAX_VOCAB = 1 << 22

PROJECTORS = ("linear", "mlp2x_gelu")


@dataclass(frozen=True, kw_only=True)
class VisionConfig:
    """A CLIP vision tower; defaults as in `transformers.CLIPVisionConfig`.

    image_mean, image_std: what `pixel_patches` are normalised with, per channel, values in 0..1.
    """

    hidden_size: int = 768
    intermediate_size: int = 3072
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    image_size: int = 224
    patch_size: int = 32
    layer_norm_eps: float = 1e-5
    projection_dim: int = 512
    image_mean: tuple[float, float, float] = CLIP_MEAN
    image_std: tuple[float, float, float] = CLIP_STD

    def __post_init__(self) -> None:
        """Bounds."""
        for name in ("hidden_size", "intermediate_size", "projection_dim"):
            _whole(f"vision_config.{name}", getattr(self, name), MAX_WIDTH)
        _whole("vision_config.num_hidden_layers", self.num_hidden_layers, MAX_LAYERS)
        _whole("vision_config.num_attention_heads", self.num_attention_heads, self.hidden_size)
        _whole("vision_config.image_size", self.image_size, 4096)
        _whole("vision_config.patch_size", self.patch_size, self.image_size)
        _small("vision_config.layer_norm_eps", self.layer_norm_eps)
        for name, least in (("image_mean", -10.0), ("image_std", 1e-6)):
            object.__setattr__(self, name, _channels(name, getattr(self, name), least))
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"vision_config: hidden_size {self.hidden_size} is not a multiple of "
                f"num_attention_heads {self.num_attention_heads}"
            )

    @property
    def num_patches(self) -> int:
        """Features per picture, the class token not counted."""
        return (self.image_size // self.patch_size) ** 2

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Self:
        """From a `vision_config` or from the `config.json` of a CLIPVisionModel or a whole CLIP."""
        if raw.get("model_type") == "clip":
            raw = raw.get("vision_config", {})
            if not isinstance(raw, dict):
                raise ValueError(f"vision_config: got {type(raw).__name__}, expected an object")
        _only("vision_config.model_type", raw, "model_type", "clip_vision_model")
        _only("vision_config.hidden_act", raw, "hidden_act", "quick_gelu")
        _only("vision_config.num_channels", raw, "num_channels", 3)
        return cls(**_known(cls, raw, exclude=("image_mean", "image_std")))

    def to_dict(self) -> dict[str, Any]:
        """The `config.json` of a CLIPVisionModel."""
        names = [n for n in self.__dataclass_fields__ if n not in ("image_mean", "image_std")]
        return {
            "model_type": "clip_vision_model",
            "hidden_act": "quick_gelu",
            "num_channels": 3,
            "attention_dropout": 0.0,
            **{name: getattr(self, name) for name in names},
        }


@dataclass(frozen=True, kw_only=True)
class TextConfig:
    """A Llama decoder; defaults as in `transformers.LlamaConfig`.

    num_key_value_heads, head_dim: 0 = the number of heads, hidden_size / heads.
    """

    vocab_size: int = 32000
    hidden_size: int = 4096
    intermediate_size: int = 11008
    num_hidden_layers: int = 32
    num_attention_heads: int = 32
    num_key_value_heads: int = 0
    head_dim: int = 0
    max_position_embeddings: int = 2048
    rms_norm_eps: float = 1e-6
    rope_theta: float = 10000.0
    tie_word_embeddings: bool = False
    bos_token_id: int | None = 1
    eos_token_id: int | tuple[int, ...] | None = 2
    pad_token_id: int | None = None

    def __post_init__(self) -> None:
        """Bounds."""
        _whole("text_config.vocab_size", self.vocab_size, MAX_VOCAB)
        for name in ("hidden_size", "intermediate_size"):
            _whole(f"text_config.{name}", getattr(self, name), MAX_WIDTH)
        _whole("text_config.num_hidden_layers", self.num_hidden_layers, MAX_LAYERS)
        _whole("text_config.num_attention_heads", self.num_attention_heads, self.hidden_size)
        _whole("text_config.max_position_embeddings", self.max_position_embeddings, 1 << 24)
        _small("text_config.rms_norm_eps", self.rms_norm_eps)
        _number("text_config.rope_theta", self.rope_theta, 1.0, 1e12)
        if not isinstance(self.tie_word_embeddings, bool):
            raise ValueError("text_config.tie_word_embeddings: expected true or false")
        self._fill_heads()
        self._check_ids()

    def _fill_heads(self) -> None:
        if not self.num_key_value_heads:
            object.__setattr__(self, "num_key_value_heads", self.num_attention_heads)
        if not self.head_dim:
            object.__setattr__(self, "head_dim", self.hidden_size // self.num_attention_heads)
        heads, kv_heads = self.num_attention_heads, self.num_key_value_heads
        _whole("text_config.num_key_value_heads", kv_heads, heads)
        _whole("text_config.head_dim", self.head_dim, MAX_WIDTH)
        if heads % kv_heads or self.head_dim % 2:
            raise ValueError(
                f"text_config: {heads} heads of {self.head_dim} over {kv_heads} key-value heads; "
                "expected a multiple and an even head_dim"
            )

    def _check_ids(self) -> None:
        if isinstance(self.eos_token_id, list):
            object.__setattr__(self, "eos_token_id", tuple(self.eos_token_id))
        for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
            ids = getattr(self, name)
            for token in ids if isinstance(ids, tuple) else (ids,):
                # -1 is how some published files write "none".
                if token is not None and not (_is_int(token) and -1 <= token < MAX_VOCAB):
                    raise ValueError(f"text_config.{name}: got {token!r}, expected a token id")

    @property
    def eos_ids(self) -> tuple[int, ...]:
        """All ids that end a text."""
        if self.eos_token_id is None:
            return ()
        return self.eos_token_id if isinstance(self.eos_token_id, tuple) else (self.eos_token_id,)

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Self:
        """From a `text_config`, a Llama `config.json`, or that of an original LLaVA."""
        for name, expected in (
            ("hidden_act", "silu"),
            ("attention_bias", False),
            ("mlp_bias", False),
            ("attention_dropout", 0.0),
        ):
            _only(f"text_config.{name}", raw, name, expected)
        return cls(**{**_known(cls, raw, exclude=("rope_theta",)), "rope_theta": _rope_theta(raw)})

    def to_dict(self) -> dict[str, Any]:
        """A Llama `text_config`. RoPE is written twice: transformers 4 reads only `rope_theta`."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        if isinstance(self.eos_token_id, tuple):
            values["eos_token_id"] = list(self.eos_token_id)
        return {
            "model_type": "llama",
            "hidden_act": "silu",
            "attention_bias": False,
            "attention_dropout": 0.0,
            "mlp_bias": False,
            **values,
            "rope_parameters": {"rope_type": "default", "rope_theta": self.rope_theta},
        }


@dataclass(frozen=True, kw_only=True)
class LlavaConfig:
    """A whole LLaVA.

    image_token_id: the id that fills the image slots; a row of the embedding.
    projector: "linear" (LLaVA v1) or "mlp2x_gelu" (LLaVA-1.5).
    feature_layer: index into the tower's hidden states, 0 = the embeddings, -2 = LLaVA's choice.
    dtype: name of the stored type.
    """

    vision: VisionConfig = field(default_factory=VisionConfig)
    text: TextConfig = field(default_factory=TextConfig)
    image_token_id: int = 0
    projector: str = "mlp2x_gelu"
    feature_layer: int = -2
    dtype: str = "float32"

    def __post_init__(self) -> None:
        """Bounds."""
        layers = self.vision.num_hidden_layers
        if not (_is_int(self.image_token_id) and 0 <= self.image_token_id < self.text.vocab_size):
            raise ValueError(
                f"image_token_id: got {self.image_token_id!r}, expected a row of the embedding, "
                f"0..{self.text.vocab_size - 1}"
            )
        if self.projector not in PROJECTORS:
            raise ValueError(
                f"projector: got `{self.projector}`, expected one of {', '.join(PROJECTORS)}"
            )
        if not (_is_int(self.feature_layer) and -layers - 1 <= self.feature_layer <= layers):
            raise ValueError(
                f"vision_feature_layer: got {self.feature_layer!r}, "
                f"expected {-layers - 1}..{layers}"
            )
        if self.dtype not in ("float64", "float32", "bfloat16", "float16"):
            raise ValueError(f"dtype: got `{self.dtype}`, expected a float type")

    @property
    def image_tokens(self) -> int:
        """Slots per picture."""
        return self.vision.num_patches

    def with_dtype(self, dtype: object) -> Self:
        """The same model stored as another type (`torch.float16`, ...)."""
        return replace(self, dtype=str(dtype).removeprefix("torch."))

    @property
    def used_layers(self) -> int:
        """Layers of the tower that are computed."""
        return self.feature_layer % (self.vision.num_hidden_layers + 1)


def _known(cls: Any, raw: dict[str, Any], exclude: tuple[str, ...] = ()) -> dict[str, Any]:
    """The fields of `cls` that `raw` sets; an explicit null means "not set" unless it is an id."""
    names = [n for n in cls.__dataclass_fields__ if n in raw and n not in exclude]
    return {n: raw[n] for n in names if raw[n] is not None or n.endswith("_token_id")}


def _rope_theta(raw: dict[str, Any]) -> float:
    """The base of the rotary frequencies, from either place transformers writes it."""
    rope = raw.get("rope_parameters") or {}
    scaling = raw.get("rope_scaling") or {}
    if not isinstance(rope, dict) or not isinstance(scaling, dict):
        raise ValueError("text_config.rope_parameters: expected an object")
    for kind in (rope, scaling):
        name = kind.get("rope_type", kind.get("type", "default"))
        if name != "default":
            raise ValueError(f"text_config.rope_type: got `{name}`, expected `default`")
    return rope.get("rope_theta", raw.get("rope_theta", 10000.0))


def _only(label: str, raw: dict[str, Any], name: str, expected: object) -> None:
    if raw.get(name) is not None and raw[name] != expected:
        raise ValueError(f"{label}: got {raw[name]!r}, expected {expected!r}")


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _whole(label: str, value: Any, most: int) -> None:
    if not (_is_int(value) and 1 <= value <= most):
        raise ValueError(f"{label}: got {value!r}, expected a whole number 1..{most}")


def _number(label: str, value: Any, least: float, most: float) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (number and math.isfinite(value) and least <= value <= most):
        raise ValueError(f"{label}: got {value!r}, expected a number {least:g}..{most:g}")


def _channels(label: str, values: Any, least: float) -> tuple[float, ...]:
    if not isinstance(values, list | tuple) or len(values) != 3:
        raise ValueError(f"{label}: got {values!r}, expected three numbers")
    for value in values:
        _number(label, value, least, 10.0)
    return tuple(float(value) for value in values)


def _small(label: str, value: object) -> None:
    _number(label, value, 0.0, 1.0)

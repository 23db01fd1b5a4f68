"""The names and settings of LLaVA checkpoints in the wild, to and from ours. No file is touched
here.

Layouts of the names, all read: transformers in memory (`model.vision_tower.*`,
    `model.language_model.*`), transformers on the hub (`language_model.model.*`, `vision_tower.*`
    with and without `vision_model.`), and haotian-liu/LLaVA (`model.layers.*`,
    `model.mm_projector.*`). Written: hub (with `vision_model.`, which older readers want) and
    original.
"""

import re
from typing import Any

import torch

from llava_fast.models.config import LlavaConfig, TextConfig, VisionConfig

Raw = dict[str, Any]
Tensors = dict[str, torch.Tensor]

# First match wins.
_TO_OURS = (
    (r"^model\.vision_tower\.vision_tower\.vision_model\.", "vision_tower."),
    (r"^(model\.)?vision_tower\.(vision_model\.)?", "vision_tower."),
    (r"^(model\.)?multi_modal_projector\.", "projector."),
    (r"^model\.mm_projector\.(0\.)?(?=weight|bias)", "projector.linear_1."),
    (r"^model\.mm_projector\.2\.", "projector.linear_2."),
    (r"^language_model\.lm_head\.", "lm_head."),
    (r"^(model\.language_model|language_model\.model)\.", "language_model."),
    (r"^model\.(?=layers\.|embed_tokens\.|norm\.)", "language_model."),
)
_TO_HUB = (
    (r"^vision_tower\.", "vision_tower.vision_model."),
    (r"^projector\.", "multi_modal_projector."),
    (r"^language_model\.", "language_model.model."),
    (r"^lm_head\.", "language_model.lm_head."),
)
_TO_ORIGINAL = ((r"^language_model\.", "model."),)
_CLIP_TO_OURS = ((r"^(vision_model\.)?", "vision_tower."),)
# What a whole CLIP holds besides the tower.
_CLIP_REST = re.compile(r"^(text_model\.|text_projection\.|visual_projection\.|logit_scale$)")
# Constants that old transformers saved beside the weights.
_CONSTANT = re.compile(r"(rotary_emb\.inv_freq|embeddings\.position_ids)$")


def ours(tensors: Tensors) -> Tensors:
    """Tensors of any LLaVA layout, or of a Llama, under our names."""
    return _rename({n: t for n, t in tensors.items() if not _CONSTANT.search(n)}, _TO_OURS)


def ours_from_clip(tensors: Tensors) -> Tensors:
    """Tensors of a CLIPVisionModel or of a whole CLIP under our names."""
    drop = (_CONSTANT, _CLIP_REST)
    kept = {n: t for n, t in tensors.items() if not any(p.search(n) for p in drop)}
    return _rename(kept, _CLIP_TO_OURS)


def hub(tensors: Tensors) -> Tensors:
    """Our tensors under the names of the hub.

    transformers knows only a two-layer projector: the linear one is written with an identity
    behind it (and `projector_hidden_act: linear`), which changes no bit of the result.
    """
    named = _rename(tensors, _TO_HUB)
    if "projector.linear_2.weight" not in tensors:
        bias = tensors["projector.linear_1.bias"]
        named["multi_modal_projector.linear_2.weight"] = torch.eye(
            len(bias), dtype=bias.dtype, device=bias.device
        )
        named["multi_modal_projector.linear_2.bias"] = torch.zeros_like(bias)
    return named


def original(tensors: Tensors) -> tuple[Tensors, Tensors]:
    """Our tensors under the original names: (main file, the tower as a CLIPVisionModel)."""
    tower = {n: t for n, t in tensors.items() if n.startswith("vision_tower.")}
    projector = (r"^projector\.linear_1\.", "model.mm_projector."), ("$^", "")
    if "projector.linear_2.weight" in tensors:
        projector = (
            (r"^projector\.linear_1\.", "model.mm_projector.0."),
            (r"^projector\.linear_2\.", "model.mm_projector.2."),
        )
    rest = {n: t for n, t in tensors.items() if n not in tower}
    clip = ((r"^vision_tower\.", "vision_model."),)
    return _rename(rest, _TO_ORIGINAL + projector), _rename(tower, clip)


def _rename(tensors: Tensors, rules: tuple[tuple[str, str], ...]) -> Tensors:
    named: Tensors = {}
    for name, tensor in tensors.items():
        new = name
        for pattern, replacement in rules:
            new, matched = re.subn(pattern, replacement, name, count=1)
            if matched:
                break
        if new in named:
            raise ValueError(f"`{name}`: a second tensor for `{new}`")
        named[new] = tensor
    return named


def config_from_hub(raw: Raw, processor: Raw) -> LlavaConfig:
    """From transformers' `config.json`. processor: its image settings, {} = CLIP's."""
    for name, expected in (
        ("model_type", "llava"),
        ("vision_feature_select_strategy", "default"),
        ("multimodal_projector_bias", True),
    ):
        if raw.get(name, expected) != expected:
            raise ValueError(f"{name}: got {raw[name]!r}, expected {expected!r}")
    acts = {"gelu": "mlp2x_gelu", "linear": "linear"}
    act = raw.get("projector_hidden_act", "gelu")
    if not isinstance(act, str) or act not in acts:
        raise ValueError(f"projector_hidden_act: got {act!r}, expected `gelu` or `linear`")
    text = dict(_object(raw, "text_config"))
    if text.get("model_type", "llama") != "llama":
        raise ValueError(f"text_config.model_type: got {text['model_type']!r}, expected `llama`")
    text["tie_word_embeddings"] = raw.get("tie_word_embeddings") or text.get(
        "tie_word_embeddings", False
    )
    image_token: Any = raw.get("image_token_index", raw.get("image_token_id", 32000))
    return LlavaConfig(
        vision=vision_config(_object(raw, "vision_config"), processor),
        text=TextConfig.from_dict(text),
        image_token_id=image_token,
        projector=acts[act],
        feature_layer=raw.get("vision_feature_layer", -2),
        dtype=stored_dtype(raw, text),
    )


def vision_config(raw: Raw, processor: Raw) -> VisionConfig:
    """The tower's settings with the normalisation of its image processor."""
    config = VisionConfig.from_dict(raw)
    means = {n: processor[n] for n in ("image_mean", "image_std") if processor.get(n) is not None}
    values = {n: getattr(config, n) for n in config.__dataclass_fields__}
    return VisionConfig(**(values | means))


def stored_dtype(*raws: Raw) -> str:
    """The type that the first of several `config.json` parts names; float32 when none does."""
    named = [raw.get(key) for raw in raws for key in ("dtype", "torch_dtype")]
    return next((str(name).removeprefix("torch.") for name in named if name), "float32")


def config_to_hub(config: LlavaConfig) -> Raw:
    """The `config.json` that `LlavaForConditionalGeneration.from_pretrained` reads."""
    return {
        "architectures": ["LlavaForConditionalGeneration"],
        "model_type": "llava",
        "dtype": config.dtype,
        "image_seq_length": config.image_tokens,
        "image_token_index": config.image_token_id,
        "multimodal_projector_bias": True,
        "projector_hidden_act": "gelu" if config.projector == "mlp2x_gelu" else "linear",
        "text_config": config.text.to_dict(),
        "tie_word_embeddings": config.text.tie_word_embeddings,
        "vision_config": config.vision.to_dict(),
        "vision_feature_layer": config.feature_layer,
        "vision_feature_select_strategy": "default",
    }


def is_original(raw: Raw) -> bool:
    """Whether a `config.json` is of haotian-liu/LLaVA."""
    return "mm_vision_tower" in raw or "mm_hidden_size" in raw


def config_from_original(raw: Raw, tower: Raw, image_token_id: int, processor: Raw) -> LlavaConfig:
    """From the original's flat `config.json` and that of its tower."""
    for name, absent, expected in (
        ("mm_vision_select_feature", "patch", "patch"),
        ("mm_use_im_start_end", False, False),
        ("mm_patch_merge_type", "flat", "flat"),
    ):
        if raw.get(name, absent) != expected:
            raise ValueError(f"{name}: got {raw[name]!r}, expected {expected!r}")
    if raw.get("model_type") not in ("llava", "llava_llama"):
        raise ValueError(f"model_type: got {raw.get('model_type')!r}, expected `llava_llama`")
    return LlavaConfig(
        vision=vision_config(tower, processor),
        text=TextConfig.from_dict(raw),
        image_token_id=image_token_id,
        projector=raw.get("mm_projector_type", "linear"),
        feature_layer=raw.get("mm_vision_select_layer", -2),
        dtype=stored_dtype(raw),
    )


def config_to_original(config: LlavaConfig, image_mode: str) -> Raw:
    """The original's `config.json`; `image_token_index` is our addition, it keeps no such id."""
    return {
        **config.text.to_dict(),
        "architectures": ["LlavaLlamaForCausalLM"],
        "model_type": "llava_llama",
        "torch_dtype": config.dtype,
        "image_aspect_ratio": "pad" if image_mode == "pad" else "square",
        "image_token_index": config.image_token_id,
        "mm_hidden_size": config.vision.hidden_size,
        "mm_projector_type": config.projector,
        "mm_use_im_patch_token": False,
        "mm_use_im_start_end": False,
        "mm_vision_select_feature": "patch",
        "mm_vision_select_layer": config.feature_layer,
        "mm_vision_tower": "vision_tower",
        "tokenizer_model_max_length": config.text.max_position_embeddings,
        "use_mm_proj": True,
    }


def _object(raw: Raw, name: str) -> Raw:
    if not isinstance(raw.get(name), dict):
        raise ValueError(f"{name}: expected an object")
    return raw[name]

"""Model, tokenizer and image settings of a run, from the directories that its settings name."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from .. import assets, layouts
from ..config import ImageConfig
from ..device import pick_device
from ..files import read_json
from ..models.llava import LlavaModel
from ..tokenizer import Tokenizer
from .config import TrainConfig


def image_config(config: TrainConfig) -> ImageConfig:
    """Size and patches of the vision tower, colours of its processor, `image_mode` of the run."""
    directory = Path(config.model or config.vision)
    values = read_json(directory / "config.json")
    # As the model reads them, so that both have the same colours.
    colours = assets.image_settings(assets.read(directory))
    tower = layouts.vision_config(values.get("vision_config", values), colours)
    return ImageConfig(
        size=tower.image_size,
        mode=config.image_mode,
        patch_size=tower.patch_size,
        mean=tower.image_mean,
        std=tower.image_std,
    )


def tokenizer_of(config: TrainConfig) -> Tokenizer:
    """The tokenizer in the model's directory, or in that of the LLM, or beside the LLM."""
    directory = Path(config.model or config.llm)
    beside = directory.parent
    inside = any((directory / name).exists() for name in ("tokenizer.json", "tokenizer.model"))
    if not inside and config.llm and (beside / "tokenizer.json").exists():
        directory = beside
    return Tokenizer.from_pretrained(directory)


def load_model(config: TrainConfig) -> LlavaModel:
    """The model to start from, with only the parts of `train` learning."""
    device = pick_device(config.device)
    if config.model:
        model = LlavaModel.from_pretrained(config.model, device=device)
    else:
        model = LlavaModel.from_backbones(
            config.vision,
            config.llm,
            projector=config.projector_type,
            seed=config.seed,
            image_token_id=tokenizer_of(config).image_id,
            device=device,
        )
    return freeze(model.float(), config.parts)


def freeze(model: LlavaModel, parts: tuple[str, ...]) -> LlavaModel:
    """Lets only `parts` learn; what is frozen gets no gradient and no optimizer state."""
    model.eval().requires_grad_(False)
    for part in parts:
        for module in _modules(model, part):
            module.train().requires_grad_(True)
    return model


def _modules(model: LlavaModel, part: str) -> list[nn.Module]:
    if part == "projector":
        return [model.projector]
    if part == "vision":
        return [model.vision_tower]
    return [module for module in (model.language_model, model.lm_head) if module is not None]

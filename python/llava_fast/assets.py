"""The small files of a model directory: tokenizer, image processor, generation settings,
`llava_fast.json`.

They travel with the model as bytes, so that it can be saved when the directory it came from is
gone.
"""

from pathlib import Path
from typing import Any

from llava_fast import processor_config
from llava_fast.config import ImageConfig
from llava_fast.files import json_bytes, parse_json, read_small
from llava_fast.models.config import LlavaConfig, TextConfig, VisionConfig
from llava_fast.template import Template, template_setting

Files = dict[str, bytes]

# The modes that both layouts of a model directory can name.
MODES = ("crop", "pad")

TOKENIZER = (
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
)
GENERATION = "generation_config.json"
PROCESSOR = "processor_config.json"
OLD_PROCESSOR = "preprocessor_config.json"
OURS = "llava_fast.json"
NAMES = (*TOKENIZER, GENERATION, PROCESSOR, OLD_PROCESSOR, OURS)


def read(directory: Path) -> Files:
    """The small files that are there."""
    return {name: read_small(directory / name) for name in NAMES if (directory / name).exists()}


def tokenizer_place(llm_dir: Path) -> Path:
    """Where the tokenizer of a language model lies: beside its weights, or one directory up."""
    here = any((llm_dir / name).exists() for name in ("tokenizer.json", "tokenizer.model"))
    return llm_dir if here else llm_dir.parent


def tokenizer_files(files: Files) -> Files:
    """Only the tokenizer's files."""
    return {name: content for name, content in files.items() if name in TOKENIZER}


def generation_files(files: Files) -> Files:
    """Only the generation settings."""
    return {name: content for name, content in files.items() if name == GENERATION}


def eos_ids(files: Files, text: TextConfig) -> set[int]:
    """Ids that end an answer: of the generation settings, else of the language model."""
    ids = (
        parse_json(files[GENERATION], GENERATION).get("eos_token_id")
        if GENERATION in files
        else None
    )
    if ids is None:
        return set(text.eos_ids)
    ids = ids if isinstance(ids, list) else [ids]
    if not all(isinstance(token, int) for token in ids):
        raise ValueError(f"{GENERATION}: eos_token_id: got {ids!r}, expected token ids")
    return set(ids)


def image_settings(files: Files) -> dict[str, Any]:
    """The image processor's settings, from either file that transformers writes; {} without one."""
    if PROCESSOR in files:
        settings = parse_json(files[PROCESSOR], PROCESSOR).get("image_processor")
        if isinstance(settings, dict):
            return settings
    return parse_json(files[OLD_PROCESSOR], OLD_PROCESSOR) if OLD_PROCESSOR in files else {}


def settings(files: Files) -> dict[str, Any]:
    """`llava_fast.json`: {"template", "image_mode", "version"}; {} without it."""
    return parse_json(files[OURS], OURS) if OURS in files else {}


def image_mode(files: Files) -> str:
    """How pictures become squares: `llava_fast.json`'s word, else the image processor's."""
    padded = bool(image_settings(files).get("do_pad"))
    mode = settings(files).get("image_mode", "pad" if padded else "crop")
    if mode not in MODES:
        known = ", ".join(MODES)
        raise ValueError(f"{OURS}: image_mode: got {mode!r}, expected one of {known} for a model")
    return mode


def set_image_mode(files: Files, mode: str) -> None:
    """Note the mode, unless the directory has its own word on it."""
    files[OURS] = json_bytes({"image_mode": mode} | settings(files))


def updated(
    files: Files, config: LlavaConfig, template: Template | None, image: ImageConfig | None
) -> Files:
    """The files to save; None = as they were, or the defaults when there were none."""
    from llava_fast import __version__

    files = dict(files)
    said = settings(files) | {"version": __version__}
    if template is not None:
        said["template"] = template_setting(template)
    if image is not None:
        _check_image(image, config.vision)
        said["image_mode"] = image.mode
        files.pop(OLD_PROCESSOR, None)
    said.setdefault("image_mode", image_mode(files))
    files[OURS] = json_bytes(said)
    if image is not None or PROCESSOR not in files:
        files[PROCESSOR] = json_bytes(_llava_processor(config.vision, said["image_mode"]))
    if GENERATION not in files:
        files[GENERATION] = json_bytes(_generation(config))
    return files


def _check_image(image: ImageConfig, vision: VisionConfig) -> None:
    for name, got, expected in (
        ("size", image.size, vision.image_size),
        ("patch_size", image.patch_size, vision.patch_size),
        ("mean", tuple(image.mean), tuple(vision.image_mean)),
        ("std", tuple(image.std), tuple(vision.image_std)),
    ):
        if got != expected:
            raise ValueError(f"image: {name}: got {got}, expected the tower's {expected}")


def clip_processor(vision: VisionConfig) -> dict[str, Any]:
    """The settings of CLIP's image processor for this tower."""
    return processor_config.settings(_image(vision, "crop"))


def _image(vision: VisionConfig, mode: str) -> ImageConfig:
    return ImageConfig(
        size=vision.image_size,
        mode=mode,
        patch_size=vision.patch_size,
        mean=vision.image_mean,
        std=vision.image_std,
    )


def _llava_processor(vision: VisionConfig, mode: str) -> dict[str, Any]:
    """transformers' `LlavaProcessor`: the class token is counted and dropped ("default")."""
    return {
        "image_processor": processor_config.settings(_image(vision, mode)),
        "image_token": "<image>",
        "num_additional_image_tokens": 1,
        "patch_size": vision.patch_size,
        "processor_class": "LlavaProcessor",
        "vision_feature_select_strategy": "default",
    }


def _generation(config: LlavaConfig) -> dict[str, Any]:
    text = config.text
    ids = {"bos_token_id": text.bos_token_id, "pad_token_id": text.pad_token_id}
    eos = list(text.eos_ids) if len(text.eos_ids) > 1 else next(iter(text.eos_ids), None)
    return {
        name: value for name, value in (ids | {"eos_token_id": eos}).items() if value is not None
    }

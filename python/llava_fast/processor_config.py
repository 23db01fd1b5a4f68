"""transformers' image processor settings to `ImageConfig`, and back."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llava_fast.config import CLIP_MEAN, CLIP_STD, ImageConfig
from llava_fast.files import read_json

Settings = dict[str, Any]

FILES = ("processor_config.json", "preprocessor_config.json")

_COMMON: Settings = {
    "do_resize": True,
    "do_rescale": True,
    "do_normalize": True,
    "do_convert_rgb": True,
    "resample": 3,
    "rescale_factor": 1 / 255,
}
_CLIP: Settings = _COMMON | {
    "do_center_crop": True,
    "size": {"shortest_edge": 224},
    "crop_size": {"height": 224, "width": 224},
    "default_to_square": False,
    "image_mean": CLIP_MEAN,
    "image_std": CLIP_STD,
}
# What each class takes for a key that its file leaves out; with it, all keys that it reads.
_DEFAULTS: dict[str, Settings] = {
    "CLIPImageProcessor": _CLIP,
    "LlavaImageProcessor": _CLIP | {"do_pad": False},
    "LlavaNextImageProcessor": _CLIP | {"do_pad": True, "image_grid_pinpoints": None},
    "SiglipImageProcessor": _COMMON
    | {
        "do_center_crop": False,
        "size": {"height": 224, "width": 224},
        "default_to_square": True,
        "image_mean": (0.5, 0.5, 0.5),
        "image_std": (0.5, 0.5, 0.5),
    },
}
# Keys with the only value under which the pixels are those of this processor.
_FIXED: Settings = {
    "do_resize": True,
    "do_rescale": True,
    "do_normalize": True,
    "do_convert_rgb": True,
    "resample": 3,
    "data_format": "channels_first",
    "use_square_size": False,
    "aspect_ratio_setting": "anyres",
}
# Keys that change no pixel.
NEUTRAL = {
    "image_processor_type",
    "feature_extractor_type",
    "processor_class",
    "device",
    "disable_grouping",
    "return_tensors",
    "image_seq_length",
}


def read(folder: Path) -> tuple[str, Settings]:
    """The file that has the settings of an image processor, and the settings.

    Raises ValueError if none has.
    """
    for name in FILES:
        raw = read_json(folder / name) if (folder / name).is_file() else None
        if raw is not None and name == FILES[0]:
            # In older directories this file speaks of the text side alone.
            raw = raw.get("image_processor")
        if raw is not None:
            return name, raw
    raise ValueError(f"{folder}: no image settings in {', '.join(FILES)}")


def fields(file: str, raw: Settings) -> Settings:
    """Fields of the `ImageConfig` that gives the pixels of these settings.

    Raises ValueError naming file, key and value of the first setting that cannot be honoured.
    """
    kind = _kind(file, raw)
    given = {key: value for key, value in raw.items() if value is not None and key not in NEUTRAL}
    settings = _DEFAULTS[kind] | {key: value for key, value in given.items() if key[0] != "_"}
    for key, value in settings.items():
        if value != _FIXED[key] if key in _FIXED else key not in _known(kind):
            raise _unhonoured(file, key, value)
    if not math.isclose(settings["rescale_factor"], 1 / 255, rel_tol=1e-9):
        raise _unhonoured(file, "rescale_factor", settings["rescale_factor"])
    mode, size = _fitting(file, kind, settings)
    result = {
        "size": size,
        "mode": mode,
        "mean": _channels(file, "image_mean", settings),
        "std": _channels(file, "image_std", settings),
        "grid_rule": "hf",
    }
    if mode == "anyres" and settings["image_grid_pinpoints"] is not None:
        result["grid_pinpoints"] = settings["image_grid_pinpoints"]
    return result


def settings(config: ImageConfig) -> Settings:
    """What a processor of transformers has to be told to give the pixels of `config`."""
    side = config.size
    square = {"height": side, "width": side}
    kind = {
        "crop": "CLIPImageProcessor",
        # CLIP's own `do_pad` is another thing; LLaVA's pads to a square of the mean colour.
        "pad": "LlavaImageProcessor",
        "stretch": "SiglipImageProcessor",
        "anyres": "LlavaNextImageProcessor",
    }[config.mode]
    found = _DEFAULTS[kind] | {
        "image_processor_type": kind,
        "image_mean": list(config.mean),
        "image_std": list(config.std),
        "size": square if config.mode == "stretch" else {"shortest_edge": side},
    }
    del found["default_to_square"]
    if found["do_center_crop"]:
        found["crop_size"] = square
    if config.mode == "pad":
        found["do_pad"] = True
    if config.mode == "anyres":
        # Height and width, whatever the rule; its choice among equals stays ours.
        pairs = [list(pair) for pair in config.pinpoints]
        found["image_grid_pinpoints"] = [
            pair if config.grid_rule == "hf" else pair[::-1] for pair in pairs
        ]
    return found


def patch_size(folder: Path) -> int | None:
    """From the model's own configuration: the vision tower's, or that of the tower in a LLaVA."""
    config = read_json(folder / "config.json") if (folder / "config.json").is_file() else {}
    vision = config.get("vision_config")
    return (vision if isinstance(vision, dict) else config).get("patch_size")


def _kind(file: str, raw: Settings) -> str:
    """The class, without what names its implementation; CLIP's where none is named."""
    key = "image_processor_type" if raw.get("image_processor_type") else "feature_extractor_type"
    named = str(raw.get(key) or "CLIPImageProcessor")
    kind = (
        named.removesuffix("Fast").removesuffix("Pil").replace("FeatureExtractor", "ImageProcessor")
    )
    if kind not in _DEFAULTS:
        raise _unhonoured(file, key, named)
    return kind


def _known(kind: str) -> set[str]:
    # `do_pad` is saved by classes that do not read it.
    return {*_DEFAULTS[kind], "crop_size", "do_pad"}


def _fitting(file: str, kind: str, settings: Settings) -> tuple[str, int]:
    """Mode and side of the square."""
    size, square = _side(file, "size", settings)
    crops, pads = settings["do_center_crop"], bool(settings.get("do_pad"))
    if crops and _side(file, "crop_size", settings) != (size, True):
        raise _unhonoured(file, "crop_size", settings["crop_size"])
    if kind == "LlavaNextImageProcessor":
        if not pads:
            raise _unhonoured(file, "do_pad", False)
        return "anyres", size
    if pads:
        if kind != "LlavaImageProcessor":
            raise _unhonoured(file, "do_pad", True)
        return "pad", size
    if square:
        return "stretch", size
    if not crops:
        raise _unhonoured(file, "do_center_crop", crops)
    return "crop", size


def _side(file: str, key: str, settings: Settings) -> tuple[int, bool]:
    """S, and whether both sides have it: of `336`, `{"shortest_edge": 336}` or
    `{"height": 336, "width": 336}`."""
    value = settings[key]
    sides = value if isinstance(value, Mapping) else {}
    if not isinstance(value, Mapping):
        both = key == "crop_size" or settings["default_to_square"]
        sides = dict.fromkeys(("height", "width") if both else ("shortest_edge",), value)
    sides = {name: side for name, side in sides.items() if side is not None}
    first = next(iter(sides.values()), None)
    whole = isinstance(first, int) and not isinstance(first, bool)
    if not whole or set(sides) not in ({"shortest_edge"}, {"height", "width"}):
        raise _unhonoured(file, key, value)
    if len(set(sides.values())) != 1:
        raise _unhonoured(file, key, value)
    return first, len(sides) == 2


def _channels(file: str, key: str, settings: Settings) -> tuple[float, ...]:
    value = settings[key]
    if not isinstance(value, list | tuple) or len(value) != 3:
        raise _unhonoured(file, key, value)
    return tuple(value)


def _unhonoured(file: str, key: str, value: Any) -> ValueError:
    return ValueError(f"{file}: cannot honour {key} = {value!r}")

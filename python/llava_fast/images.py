"""Pictures: decoding as Pillow decodes, preparing as `CLIPImageProcessorPil` prepares, bit for bit.

Legend of shapes: N pictures, S side of the model input, P patches, K bytes per patch.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np

from llava_fast import _rust
from llava_fast.config import ImageConfig
from llava_fast.files import read_json

# Keys of a processor configuration with the one value under which this processor gives its pixels.
_FIXED: dict[str, Any] = {
    "do_resize": True,
    "do_center_crop": True,
    "do_rescale": True,
    "do_normalize": True,
    "do_convert_rgb": True,
    "resample": 3,
    "data_format": "channels_first",
    "use_square_size": False,
    "default_to_square": False,
}
_READ = {"size", "crop_size", "rescale_factor", "image_mean", "image_std", "do_pad"}
# Keys that change no pixel.
_NEUTRAL = {
    "image_processor_type",
    "feature_extractor_type",
    "processor_class",
    "device",
    "disable_grouping",
    "return_tensors",
    "image_seq_length",
}

_BYTES = (bytes, bytearray, memoryview)


def decode_image(
    source: bytes | bytearray | memoryview | str | PathLike[str],
    *,
    truncated: Literal["error", "fill"] = "error",
    png16: Literal["clip", "scale"] = "clip",
    exif_rotation: bool = False,
) -> np.ndarray:
    """The pixels of a JPEG, PNG, WebP, GIF or BMP, (H, W, 3) uint8.

    Equal to Pillow's `Image.open(source).convert("RGB")`: EXIF rotation and colour profiles are
    ignored, alpha is dropped, an animation gives its first frame.

    source: the bytes of a file, or its path.
    truncated: what becomes of a file that ends early; "fill" gives the pixels that Pillow gives
        with `LOAD_TRUNCATED_IMAGES`.
    png16: 16-bit gray cut at 255, as Pillow does, or scaled to 8 bits.
    exif_rotation: turn the picture as `ImageOps.exif_transpose` does.

    Raises `ImageError` for a file that is damaged, unreadable, of another kind, over 64 Mi pixels
    or over 200:1; the message names the path and the cause.
    """
    options = {"truncated": truncated, "png16": png16, "exif_rotation": exif_rotation}
    if isinstance(source, _BYTES):
        return _rust.decode_image(bytes(source), **options)
    return _rust.decode_image_file(os.fspath(source), **options)


class ImageProcessor:
    """Pictures to model input; takes the place of transformers' `CLIPImageProcessor`.

    config: size, mode and output form, see `ImageConfig`.
    num_threads: how many pictures are worked on at once; default: the CPUs this process may use.
    """

    def __init__(self, config: ImageConfig | None = None, num_threads: int | None = None) -> None:
        self.config = config or ImageConfig()
        self.num_threads = num_threads or _rust.available_threads()
        if self.num_threads < 1:
            raise ValueError(f"num_threads: got {num_threads}, expected at least 1")
        self._pipeline = _rust.ImagePipeline(
            self.config.size,
            self.config.mode,
            self.config.patch_size,
            self.config.mean,
            self.config.std,
            self.config.output,
        )

    @classmethod
    def from_pretrained(
        cls,
        directory: str | PathLike[str],
        num_threads: int | None = None,
        **overrides: Any,
    ) -> "ImageProcessor":
        """Reads `processor_config.json` or `preprocessor_config.json` of a CLIP or LLaVA directory,
        and the `image_mode` of `llava_fast.json` if there is one.

        overrides: fields of `ImageConfig`, such as `output="pixel_patches"`.

        Raises `ValueError` naming the first key that this processor cannot honour.
        """
        folder = Path(directory)
        name, raw = _processor_settings(folder)
        fields = _image_fields(name, raw)
        own = _read_json(folder / "llava_fast.json") or {}
        if "image_mode" in own:
            fields["mode"] = own["image_mode"]
        patch_size = _patch_size(folder)
        if patch_size is not None:
            fields["patch_size"] = patch_size
        return cls(ImageConfig(**(fields | overrides)), num_threads)

    def __call__(self, images: Any, return_tensors: Literal["pt", "np"] = "pt") -> dict[str, Any]:
        """One picture or a sequence of N: bytes, paths, PIL images or (H, W, 3) uint8 arrays.

        Returns "pixel_values" (N, 3, S, S) float32, or "pixel_patches" (N, P, K) uint8, and
        "image_sizes" (N, 2) int64: height and width of each picture before it was fitted; as torch
        tensors ("pt") or numpy arrays ("np"). The arrays are the caller's own.

        Raises `ImageError` naming the picture (its path, or `images[3]`) and the cause.
        """
        if return_tensors not in ("pt", "np"):
            raise ValueError(f"return_tensors: got `{return_tensors}`, expected one of pt, np")
        pictures = [images] if _is_one(images) else list(images)
        pixels, sizes = self._pipeline.process([_source(p) for p in pictures], self.num_threads)
        batch = {self.config.output: pixels, "image_sizes": sizes}
        if return_tensors == "np":
            return batch
        import torch

        return {key: torch.from_numpy(array) for key, array in batch.items()}

    def __repr__(self) -> str:
        return f"ImageProcessor({self.config!r}, num_threads={self.num_threads})"


def _is_pil(image: Any) -> bool:
    # A PIL image can only exist where PIL has been imported.
    pil = sys.modules.get("PIL.Image")
    return pil is not None and isinstance(image, pil.Image)


def _is_one(images: Any) -> bool:
    return (
        isinstance(images, (*_BYTES, str, PathLike))
        or _is_pil(images)
        or getattr(images, "ndim", 0) == 3
    )


def _source(image: Any) -> Any:
    if isinstance(image, _BYTES):
        # Also keeps a buffer that the caller writes to meanwhile out of the threads.
        return bytes(image)
    return np.asarray(image.convert("RGB")) if _is_pil(image) else image


def _read_json(path: Path) -> dict[str, Any] | None:
    return read_json(path) if path.is_file() else None


def _processor_settings(folder: Path) -> tuple[str, dict[str, Any]]:
    """File name and the settings of the image processor in it."""
    for name in ("processor_config.json", "preprocessor_config.json"):
        raw = _read_json(folder / name)
        if raw is not None and name == "processor_config.json":
            # In older directories this file speaks of the text side alone.
            raw = raw.get("image_processor")
        if raw is not None:
            return name, raw
    raise ValueError(
        f"{folder}: no image settings in processor_config.json, preprocessor_config.json"
    )


def _image_fields(name: str, raw: dict[str, Any]) -> dict[str, Any]:
    """`ImageConfig` fields from transformers' keys."""
    for key, value in raw.items():
        if key in _READ | _NEUTRAL or key.startswith("_") or value is None:
            continue
        if key not in _FIXED or value != _FIXED[key]:
            raise ValueError(f"{name}: cannot honour {key} = {value!r}")
    size = _side(name, "size", raw.get("size", {"shortest_edge": 224}))
    crop = _side(name, "crop_size", raw.get("crop_size", size))
    if crop != size:
        raise ValueError(f"{name}: crop_size: got {crop}, expected the size, {size}")
    factor = raw.get("rescale_factor", 1 / 255)
    if not np.isclose(factor, 1 / 255, rtol=1e-9):
        raise ValueError(f"{name}: rescale_factor: got {factor}, expected 1/255")
    fields: dict[str, Any] = {"size": size, "mode": "pad" if _pads(name, raw) else "crop"}
    for key, field in (("image_mean", "mean"), ("image_std", "std")):
        if raw.get(key) is not None:
            fields[field] = tuple(raw[key])
    return fields


def _pads(name: str, raw: Mapping[str, Any]) -> bool:
    """`do_pad` is padding to a square in LLaVA's processor, something else in CLIP's."""
    if not raw.get("do_pad"):
        return False
    kind = str(raw.get("image_processor_type", ""))
    if not kind.startswith("Llava"):
        raise ValueError(f"{name}: cannot honour do_pad = True of `{kind}`")
    return True


def _side(name: str, key: str, value: Any) -> int:
    """S of `336`, `{"shortest_edge": 336}` or `{"height": 336, "width": 336}` (a crop)."""
    sides: Sequence[Any] = list(value.values()) if isinstance(value, Mapping) else [value]
    known = ({"shortest_edge"},) if key == "size" else ({"shortest_edge"}, {"height", "width"})
    fits = not isinstance(value, Mapping) or set(value) in known
    if not fits or len(set(sides)) != 1 or not isinstance(sides[0], int):
        raise ValueError(f"{name}: cannot honour {key} = {value!r}")
    return sides[0]


def _patch_size(folder: Path) -> int | None:
    """From the model's own configuration: the vision tower's, or that of the tower in a LLaVA."""
    config = _read_json(folder / "config.json") or {}
    vision = config.get("vision_config")
    return (vision if isinstance(vision, dict) else config).get("patch_size")

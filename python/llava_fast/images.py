"""Pictures: decoding as Pillow decodes, preparing as transformers' processors prepare, bit for bit.

Legend of shapes: N pictures, S side of a square, P patches, K bytes per patch.
"""

import os
import sys
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np

from llava_fast import _rust, processor_config
from llava_fast.cache import GIBIBYTE, located
from llava_fast.checks import integer
from llava_fast.config import DecodeOptions, ImageConfig
from llava_fast.features import Features
from llava_fast.files import read_json

MOST_THREADS = 1024

_BYTES = (bytes, bytearray, memoryview)
_PILLOW = DecodeOptions()
# How transformers opens the files that its processors are given by name.
_UPRIGHT = DecodeOptions(exif_rotation=True)


def decode_image(
    source: bytes | bytearray | memoryview | str | PathLike[str],
    options: DecodeOptions | None = None,
) -> np.ndarray:
    """The pixels of a JPEG, PNG, WebP, GIF or BMP, (H, W, 3) uint8.

    Equal to Pillow's `Image.open(source).convert("RGB")`: EXIF rotation and colour profiles are
    ignored, alpha is dropped, an animation gives its first frame.

    source: the bytes of a file, or its path.
    options: what else than that is wanted, and limits.

    Raises `ImageError` for a file that is damaged, unreadable, of another kind or beyond the
    limits; the message names the path and the cause.
    """
    file = bytes(source) if isinstance(source, _BYTES) else os.fspath(source)
    return _rust.decode_image(file, options or _PILLOW)


class ImageProcessor:
    """Pictures to model input; takes the place of transformers' `CLIPImageProcessor`,
    `LlavaImageProcessor`, `LlavaNextImageProcessor` and `SiglipImageProcessor`, also inside of a
    `LlavaProcessor`. Has the attributes that those are asked for: `size`, `crop_size`,
    `image_mean`, `image_grid_pinpoints` and so on.

    Transparency is dropped, as Pillow and the original LLaVA do; transformers 5.23 lays a PIL image
    that has some on white.

    config: size, mode and output form, see `ImageConfig`.
    num_threads: how many pictures are worked on at once, 1..1024; None = the CPUs this process may
        use, 1 in a worker process of a `DataLoader`.
    cache: folder in which prepared pictures are kept by content and settings, for any number of
        processes at once; what comes as a file (bytes or a path) is looked for there first. The
        pixels are the same with and without.
    cache_bytes: size of that folder, at least 1 MiB; the oldest pictures make room.
    """

    _auto_class = None

    def __init__(
        self,
        config: ImageConfig | None = None,
        num_threads: int | None = None,
        cache: str | PathLike[str] | None = None,
        cache_bytes: int = 64 * GIBIBYTE,
    ) -> None:
        if num_threads is not None:
            num_threads = integer("num_threads", num_threads, 1, MOST_THREADS)
        self.config = config or ImageConfig()
        self.num_threads = num_threads
        self._cache = located(cache, cache_bytes)
        self._pipeline = _rust.ImagePipeline(self.config, self._cache)

    @classmethod
    def from_pretrained(
        cls,
        directory: str | PathLike[str],
        num_threads: int | None = None,
        cache: str | PathLike[str] | None = None,
        cache_bytes: int = 64 * GIBIBYTE,
        **overrides: Any,
    ) -> "ImageProcessor":
        """Reads `processor_config.json` or `preprocessor_config.json` of a CLIP, SigLIP, LLaVA or
        LLaVA-NeXT directory, and the `image_mode` of `llava_fast.json` if there is one.

        overrides: fields of `ImageConfig`, such as `output="pixel_patches"`.

        Raises `ValueError` naming the first key that this processor cannot honour.
        """
        folder = Path(directory)
        fields = processor_config.fields(*processor_config.read(folder))
        own = (
            read_json(folder / "llava_fast.json") if (folder / "llava_fast.json").is_file() else {}
        )
        if "image_mode" in own:
            fields["mode"] = own["image_mode"]
        patch_size = processor_config.patch_size(folder)
        if patch_size is not None:
            fields["patch_size"] = patch_size
        return cls(ImageConfig(**(fields | overrides)), num_threads, cache, cache_bytes)

    def __call__(
        self,
        images: Any,
        return_tensors: Literal["pt", "np", "default"] | None = "default",
        **same: Any,
    ) -> Features:
        """One picture or a sequence of N, also of sequences: bytes, paths, PIL images, or
        (H, W, 3) uint8 arrays and tensors. The channels of an array are never guessed: those of
        (3, H, W) need `input_data_format="channels_first"`.

        return_tensors: "pt" (the default), "np", or None for lists of arrays.
        same: settings as transformers' processors take them, if they say what is so already.

        Returns "pixel_values" (N, 3, S, S) float32 or "pixel_patches" (N, P, K) uint8. With
        "anyres" also "image_sizes" (N, 2) int64, height and width of each picture; pixel_values
        have shape (N, tiles, 3, S, S), zeros where a picture has fewer tiles than another;
        pixel_patches are those of all tiles, and "tiles" (N,) int32 says how many are whose. The
        arrays are the caller's own: their memory is used again only when nothing refers to it.

        Raises `ImageError` naming the picture (its path, or `images[3]`) and the cause,
        `ValueError` for a setting that is not so.
        """
        if return_tensors == "default":
            return_tensors = None if isinstance(images, _Fetched) else "pt"
        if return_tensors not in ("pt", "np", None):
            raise ValueError(
                f"return_tensors: got `{return_tensors}`, expected one of pt, np, None"
            )
        first = _channels_first(same.pop("input_data_format", None))
        self._refuse_other(same)
        pictures = [_source(index, one, first) for index, one in enumerate(_flat(images))]
        pixels, tiles, sizes = self._pipeline.process(pictures, self._threads())
        batch = {self.config.output: pixels}
        if self.config.mode == "anyres":
            batch["image_sizes"] = sizes
            if self.config.output == "pixel_patches":
                batch["tiles"] = tiles
        return _as_tensors(batch, return_tensors)

    preprocess = __call__

    def fetch_images(self, images: Any) -> Any:
        """What transformers' processors call first: files become pixels, upright by their EXIF
        orientation, as transformers opens them; what is in memory stays as it is."""
        if isinstance(images, list | tuple):
            return _Fetched(self.fetch_images(image) for image in images)
        if isinstance(images, (*_BYTES, str, PathLike)):
            return decode_image(images, _UPRIGHT)
        return images

    @property
    def cache_stats(self) -> dict[str, int]:
        """What the cache did in this process: "hits", "misses", "damaged" records among those,
        "written" and "unwritten" ones (a full disk ends the writing). Empty without a cache."""
        return dict(self._pipeline.cache_stats())

    def to_dict(self) -> dict[str, Any]:
        """The settings in transformers' words, as they stand in `preprocessor_config.json`."""
        return processor_config.settings(self.config)

    @property
    def model_input_names(self) -> list[str]:
        """Keys of a batch that a model takes."""
        sizes = ["image_sizes"] if self.config.mode == "anyres" else []
        return [self.config.output, *sizes]

    @property
    def __class__(self) -> type:
        """transformers asks for its own base class before it takes or saves a processor."""
        module = sys.modules.get("transformers.image_processing_utils")
        return type(self) if module is None else module.BaseImageProcessor

    def __getattr__(self, name: str) -> Any:
        settings = self.to_dict() if name[0] != "_" and "config" in self.__dict__ else {}
        if name not in settings:
            raise AttributeError(f"`ImageProcessor` has no attribute `{name}`")
        return settings[name]

    def __reduce__(self) -> tuple[Any, ...]:
        return ImageProcessor, (self.config, self.num_threads, *(self._cache or ()))

    def __repr__(self) -> str:
        return f"ImageProcessor({self.config!r}, num_threads={self.num_threads})"

    def _threads(self) -> int:
        data = sys.modules.get("torch.utils.data")
        if self.num_threads is None and data is not None and data.get_worker_info() is not None:
            return 1
        return self.num_threads or _rust.available_threads()

    def _refuse_other(self, given: dict[str, Any]) -> None:
        """A setting of a call has to be what the pixels are made with anyway."""
        settings = self.to_dict()
        for key, value in given.items():
            if value is not None and key not in processor_config.NEUTRAL:
                expected = settings.get(key, False)
                as_list = list(value) if isinstance(value, tuple) else value
                if as_list != expected:
                    raise ValueError(f"{key}: got {value!r}, this processor has {expected!r}")


class _Fetched(list[Any]):
    """Pictures on their way through a processor of transformers, where no `return_tensors` means
    lists of arrays."""


def _as_tensors(batch: dict[str, np.ndarray], return_tensors: str | None) -> Features:
    if return_tensors == "np":
        return Features(batch)
    if return_tensors is None:
        lists = {key: list(array) for key, array in batch.items()}
        if "image_sizes" in lists:
            lists["image_sizes"] = [tuple(size.tolist()) for size in lists["image_sizes"]]
        return Features(lists)
    import torch

    return Features({key: torch.from_numpy(array) for key, array in batch.items()})


def _channels_first(data_format: Any) -> bool:
    known = {None: False, "channels_last": False, "channels_first": True}
    name = getattr(data_format, "value", data_format)
    if name not in known:
        raise ValueError(
            f"input_data_format: got {data_format!r}, expected one of channels_last, channels_first"
        )
    return known[name]


def _is_a(image: Any, module: str, name: str) -> bool:
    # An object of a class can only exist where its module has been imported.
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(image, getattr(loaded, name))


def _flat(images: Any) -> Iterator[Any]:
    """The pictures in a picture, a batch or a nested list of them, in order."""
    one = isinstance(images, (*_BYTES, str, PathLike)) or _is_a(images, "PIL.Image", "Image")
    if one or getattr(images, "ndim", 0) in (2, 3) or not hasattr(images, "__iter__"):
        yield images
        return
    for image in images:
        yield from _flat(image)


def _source(index: int, image: Any, channels_first: bool) -> Any:
    """Bytes, a path, or height, width and pixels: copies, which nobody can write to meanwhile."""
    if isinstance(image, _BYTES):
        return bytes(image)
    if isinstance(image, str | PathLike):
        return os.fspath(image)
    if _is_a(image, "PIL.Image", "Image"):
        return image.height, image.width, image.convert("RGB").tobytes()
    array = image.numpy(force=True) if _is_a(image, "torch", "Tensor") else image
    if isinstance(array, np.ndarray) and array.dtype == np.uint8 and array.ndim == 3:
        array = np.moveaxis(array, 0, 2) if channels_first else array
        if array.shape[2] == 3:
            return *array.shape[:2], array.tobytes()
    got = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else f"{type(image)}"
    raise TypeError(
        f"images[{index}]: got {got}, expected bytes, a path, a PIL image or an (H, W, 3) uint8 "
        'array (with input_data_format="channels_first", (3, H, W))'
    )

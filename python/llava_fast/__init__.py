"""llava_fast: data path, training and generation for LLaVA models.

Names are loaded on first use: `import llava_fast` imports neither numpy nor torch.
"""

from importlib import import_module
from typing import Any

from llava_fast._rust import __version__
from llava_fast.config import DecodeOptions, ImageConfig
from llava_fast.errors import DataError, ImageError

_HOME = {
    "DataLoader": "data",
    "Generator": "generate",
    "ImageProcessor": "images",
    "LlavaDataset": "data",
    "LlavaModel": "models.llava",
    "LlavaOutput": "models.llava",
    "Request": "request",
    "Result": "generate",
    "Sample": "text",
    "Tokenizer": "tokenizer",
    "decode_image": "images",
    "encode": "text",
    "templates": "text",
}

__all__ = ["DataError", "DecodeOptions", "ImageConfig", "ImageError", "__version__", *sorted(_HOME)]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module `llava_fast` has no attribute `{name}`")
    return getattr(import_module(f"llava_fast.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)

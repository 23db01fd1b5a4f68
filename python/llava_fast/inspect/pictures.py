"""Pictures to look at: what the file has and what the model gets."""

import base64
import io

import numpy as np

from llava_fast import _rust
from llava_fast.config import DecodeOptions, ImageConfig
from llava_fast.inspect.views import ImageFile

# Longer side of a thumbnail in pixels; twice what a page shows, for fine screens.
THUMBNAIL = 320

_MAGIC = (
    (b"\xff\xd8", "JPEG"),
    (b"\x89PNG", "PNG"),
    (b"GIF8", "GIF"),
    (b"RIFF", "WebP"),
    (b"BM", "BMP"),
)


def header(content: bytes, options: DecodeOptions) -> ImageFile:
    """What the header of a picture file says. Raises ImageError for what is no picture."""
    width, height = _rust.image_size(content, options)
    kind = next((name for magic, name in _MAGIC if content.startswith(magic)), "picture")
    return ImageFile(kind, height, width, len(content))


def described(config: ImageConfig, tiles: int) -> str:
    """What preprocessing makes of a picture, in words."""
    if not tiles:
        return "no pixels"
    many = "tile" if tiles == 1 else "tiles"
    return f"{config.mode}, {tiles} {many} of {config.size}x{config.size}"


def restored(values: np.ndarray, config: ImageConfig) -> np.ndarray:
    """Normalised squares (3, S, S) or (tiles, 3, S, S) as pixels (tiles, S, S, 3) uint8."""
    squares = values[None] if values.ndim == 3 else values
    # A batch fills up with zeros to the picture with most tiles.
    squares = squares[squares.any(axis=(1, 2, 3))]
    mean, std = (np.asarray(x, np.float32)[:, None, None] for x in (config.mean, config.std))
    pixels = np.rint((squares * std + mean) * 255).clip(0, 255).astype(np.uint8)
    return pixels.transpose(0, 2, 3, 1)


def reduced(pixels: np.ndarray, side: int = THUMBNAIL) -> np.ndarray:
    """(H, W, 3) uint8 with a longer side of at most `side`."""
    from PIL import Image

    image = Image.fromarray(pixels)
    image.thumbnail((side, side))
    return np.asarray(image)


def data_uri(pixels: np.ndarray) -> str:
    """(H, W, 3) uint8 as the address of a PNG that holds nothing but these pixels."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")

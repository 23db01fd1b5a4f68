"""File bytes to normalised pixels as people write it with one library, without transformers.

A `Process` takes the bytes of one picture and gives (3, S, S) float32 as its library has it. All of
them follow the reference in sides (truncated), corner of the crop and padding.
"""

import io
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image

from benches.apart import needs
from llava_fast.config import CLIP_MEAN, CLIP_STD

Process = Callable[[bytes], object]

SIZE = 336
BACKGROUND = (122, 116, 104)
MEAN = np.asarray(CLIP_MEAN, np.float32)
STD = np.asarray(CLIP_STD, np.float32)
# (x / 255 - mean) / std as one multiplication and one addition.
FACTOR = 1 / (255 * STD)
OFFSET = -MEAN / STD


def shortest_edge(width: int, height: int) -> tuple[int, int]:
    """Width and height with the shorter one scaled to SIZE, the other one truncated."""
    if width <= height:
        return SIZE, int(SIZE * height / width)
    return int(SIZE * width / height), SIZE


def corner(width: int, height: int) -> tuple[int, int]:
    """Left and top of the central square."""
    return (width - SIZE) // 2, (height - SIZE) // 2


def normalised(square: np.ndarray) -> np.ndarray:
    """(S, S, 3) uint8 to (3, S, S) float32."""
    values = square * FACTOR
    values += OFFSET
    return np.ascontiguousarray(values.transpose(2, 0, 1))


def padded(image: np.ndarray) -> np.ndarray:
    """(H, W, 3) centred on a square."""
    height, width = image.shape[:2]
    if height == width:
        return image
    side = max(height, width)
    square = np.empty((side, side, 3), np.uint8)
    square.reshape(side, -1)[:] = np.tile(np.array(BACKGROUND, np.uint8), side)
    left, top = (side - width) // 2, (side - height) // 2
    square[top : top + height, left : left + width] = image
    return square


def decode_pillow(file: bytes) -> Image.Image:
    """RGB by Pillow."""
    return Image.open(io.BytesIO(file)).convert("RGB")


def decode_torchvision(file: bytes) -> torch.Tensor:
    """(3, H, W) uint8 RGB by torchvision."""
    from torchvision.io import ImageReadMode, decode_jpeg

    data = torch.frombuffer(bytearray(file), dtype=torch.uint8)
    return decode_jpeg(data, mode=ImageReadMode.RGB)


def expand_to_square(image: Image.Image) -> Image.Image:
    """LLaVA's padding: centred on a square of CLIP's mean colour."""
    width, height = image.size
    if width == height:
        return image
    side = max(width, height)
    square = Image.new("RGB", (side, side), BACKGROUND)
    square.paste(image, ((side - width) // 2, (side - height) // 2))
    return square


def pillow(mode: str) -> Process:
    """Pillow decodes, pads and resizes, numpy normalises."""

    def process(file: bytes) -> np.ndarray:
        image = Image.open(io.BytesIO(file)).convert("RGB")
        if mode == "pad":
            square = expand_to_square(image).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
            return normalised(np.asarray(square))
        width, height = shortest_edge(*image.size)
        left, top = corner(width, height)
        image = image.resize((width, height), Image.Resampling.BICUBIC)
        return normalised(np.asarray(image.crop((left, top, left + SIZE, top + SIZE))))

    return process


def torchvision(mode: str, decode: Callable | None = None) -> Process:
    """`torchvision.io` decodes, `transforms.v2` resizes with antialiasing and normalises."""
    functional = needs("torchvision.transforms.v2").functional
    if decode is None:
        needs("torchvision.io")
        decode = decode_torchvision
    options = {"interpolation": functional.InterpolationMode.BICUBIC, "antialias": True}

    def process(file: bytes) -> object:
        image = decode(file)
        if mode == "pad":
            square = functional.resize(_padded(image), [SIZE, SIZE], **options)
        else:
            width, height = shortest_edge(image.shape[2], image.shape[1])
            left, top = corner(width, height)
            whole = functional.resize(image, [height, width], **options)
            square = whole[:, top : top + SIZE, left : left + SIZE]
        values = square.to(torch.float32).mul_(1 / 255)
        return functional.normalize(values, CLIP_MEAN, CLIP_STD, inplace=True).contiguous()

    def _padded(image: torch.Tensor) -> torch.Tensor:
        height, width = image.shape[1:]
        if height == width:
            return image
        side = max(height, width)
        # Channels last, which is how the decoder has them and what the resize is fastest on.
        square = torch.empty(side, side, 3, dtype=torch.uint8)
        square[:] = torch.tensor(BACKGROUND, dtype=torch.uint8)
        square = square.permute(2, 0, 1)
        left, top = (side - width) // 2, (side - height) // 2
        square[:, top : top + height, left : left + width] = image
        return square

    return process


def torchcodec(mode: str) -> Process:
    """torchcodec decodes, the rest as by torchvision."""
    return torchvision(mode, needs("torchcodec.decoders").decode_jpeg)


def opencv(mode: str, interpolation: str) -> Process:
    """OpenCV decodes and resizes (never with Pillow's filter), numpy normalises."""
    cv2 = needs("cv2")
    cv2.setNumThreads(1)
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    kind = getattr(cv2, interpolation)

    def process(file: bytes) -> np.ndarray:
        image = cv2.imdecode(np.frombuffer(file, np.uint8), flags)
        if mode == "pad":
            return normalised(cv2.resize(padded(image), (SIZE, SIZE), interpolation=kind))
        width, height = shortest_edge(image.shape[1], image.shape[0])
        left, top = corner(width, height)
        whole = cv2.resize(image, (width, height), interpolation=kind)
        return normalised(whole[top : top + SIZE, left : left + SIZE])

    return process


def kornia(mode: str) -> Process:
    """libjpeg-turbo decodes, one fused pass resizes (bilinear, not antialiased) and normalises.

    Only in a process that does not fork afterwards: its thread pool does not survive one.
    """
    library = needs("kornia_rs")
    mean, std = tuple(CLIP_MEAN), tuple(CLIP_STD)

    def process(file: bytes) -> np.ndarray:
        image = library.io.decode_image_jpegturbo(file, "rgb")
        square = padded(image) if mode == "pad" else _central(image)
        return library.pipeline.resize_normalize_to_tensor(square, (SIZE, SIZE), mean, std)

    return process


def _central(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    return np.ascontiguousarray(image[top : top + side, left : left + side])

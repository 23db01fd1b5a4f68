"""File bytes to RGB by other libraries; each `make()` gives a function of the bytes."""

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from benches.apart import needs

Decode = Callable[[bytes], object]
JPEG = ("coco", "photos", "progressive", "restart", "large", "large progressive")
WITH_TORCH = (*JPEG, "png", "webp", "webp lossless")
ALL = (*WITH_TORCH, "gif", "bmp")


@dataclass(frozen=True)
class Decoder:
    """make: the decoder, or `MissingError`. sets: the picture sets it reads."""

    title: str
    make: Callable[[], Decode]
    sets: tuple[str, ...]


def pillow(file: bytes) -> np.ndarray:
    """The reference: (H, W, 3) uint8."""
    return np.asarray(Image.open(io.BytesIO(file)).convert("RGB"))


def _simplejpeg() -> Decode:
    return needs("simplejpeg").decode_jpeg


def _torchvision() -> Decode:
    torch, io_module = needs("torch"), needs("torchvision.io")
    mode = io_module.ImageReadMode.RGB

    def decode(file: bytes) -> object:
        data = torch.frombuffer(bytearray(file), dtype=torch.uint8)
        return io_module.decode_image(data, mode=mode)

    return decode


def _torchcodec() -> Decode:
    decode = needs("torchcodec.decoders").decode_image
    return lambda file: decode(file, mode="RGB")


def _opencv() -> Decode:
    cv2 = needs("cv2")
    cv2.setNumThreads(1)
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    return lambda file: cv2.imdecode(np.frombuffer(file, np.uint8), flags)


def _kornia() -> Decode:
    decode = needs("kornia_rs").io.decode_image_jpegturbo
    return lambda file: decode(file, "rgb")


DECODERS = {
    "pillow": Decoder("Pillow", lambda: pillow, ALL),
    "simplejpeg": Decoder("libjpeg-turbo (simplejpeg)", _simplejpeg, JPEG),
    "torchvision": Decoder("torchvision.io", _torchvision, WITH_TORCH),
    "torchcodec": Decoder("torchcodec", _torchcodec, WITH_TORCH),
    "opencv": Decoder("OpenCV", _opencv, ALL),
    "kornia": Decoder("kornia_rs", _kornia, JPEG),
}


def rgb(result: object) -> np.ndarray:
    """(H, W, 3) of what a decoder gave: such an array, or a tensor (3, H, W)."""
    if isinstance(result, np.ndarray):
        return result
    return np.ascontiguousarray(np.asarray(result).transpose(1, 2, 0))

"""Ours and Pillow on the same file."""

from collections.abc import Callable

import numpy as np

from llava_fast import DecodeOptions, ImageError, _rust, decode_image
from tests.pillow_oracle import pillow_rgb


def outcome(read: Callable[[bytes], np.ndarray], data: bytes) -> np.ndarray | None:
    """The pixels, or None where reading fails."""
    try:
        return read(data)
    except ImageError:
        assert read is not pillow_rgb
        return None
    except Exception:
        assert read is pillow_rgb
        return None


def agree(data: bytes, name: object = "") -> bool:
    """Both read the file to the same pixels (true), or neither reads it (false)."""
    ours, theirs = outcome(decode_image, data), outcome(pillow_rgb, data)
    assert (ours is None) == (theirs is None), (name, ours is None)
    if ours is None:
        return False
    np.testing.assert_array_equal(ours, theirs, str(name))
    assert _rust.image_size(data, DecodeOptions()) == (ours.shape[1], ours.shape[0]), name
    return True

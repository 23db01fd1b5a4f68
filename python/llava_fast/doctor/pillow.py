"""What of the self-test's pictures the installed Pillow shows in another way. Needs Pillow."""

import io

from PIL import Image

from llava_fast.selftest import PICTURES, RESIZED, digest, expected


def disagreements() -> list[str]:
    """`file: what` for each difference from the stored hashes; empty when there is none."""
    return [line for name, hashes in expected().items() for line in _compare(name, hashes)]


def _compare(name: str, hashes: dict[str, str]) -> list[str]:
    try:
        with Image.open(io.BytesIO((PICTURES / name).read_bytes())) as image:
            rgb = image.convert("RGB")
    except (OSError, ValueError) as error:
        return [f"{name}: {error}"]
    resized = rgb.resize(RESIZED, Image.Resampling.BICUBIC)
    found = {"rgb": digest(rgb.tobytes()), "resized": digest(resized.tobytes())}
    return [f"{name}: {kind} differs" for kind, value in found.items() if hashes[kind] != value]

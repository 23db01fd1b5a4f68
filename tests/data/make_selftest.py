"""Write the pictures that `llava-fast doctor` tests itself with, and the hashes beside them.

    python -m tests.data.make_selftest [FOLDER]

The hashes come from Pillow 13 and from the oracle of the tests, never from ours. The same Pillow
writes the same files.
"""

import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from llava_fast.selftest import PICTURES, RESIZED, SIZE, digest
from tests.data.make_pictures import scene
from tests.pillow_oracle import pillow_rgb, values

# Sides that no vector length divides; tall ones are resized in another order of passes.
KINDS: dict[str, tuple[tuple[int, int], dict[str, Any]]] = {
    "baseline.jpg": ((147, 109), {"format": "JPEG", "quality": 85, "subsampling": "4:2:0"}),
    "progressive.jpg": (
        (131, 85),
        {"format": "JPEG", "quality": 80, "subsampling": "4:2:2", "progressive": True},
    ),
    "tall.jpg": ((37, 151), {"format": "JPEG", "quality": 90, "subsampling": "4:4:4"}),
    "palette.png": ((61, 47), {"format": "PNG"}),
    "lossy.webp": ((91, 70), {"format": "WEBP", "quality": 80}),
    "palette.gif": ((61, 47), {"format": "GIF"}),
    "rgb.bmp": ((33, 21), {"format": "BMP"}),
}


def files() -> dict[str, bytes]:
    """Name -> contents."""
    found = {}
    for seed, (name, (size, options)) in enumerate(KINDS.items()):
        picture = scene(*size, seed)
        buffer = io.BytesIO()
        (picture.quantize(64) if "palette" in name else picture).save(buffer, **options)
        found[name] = buffer.getvalue()
    return found


def hashes(data: bytes) -> dict[str, str]:
    """What Pillow and the arithmetic of transformers give."""
    rgb = pillow_rgb(data)
    found = {"rgb": digest(rgb)}
    for mode in ("crop", "pad"):
        found[mode] = digest(np.ascontiguousarray(values(rgb, SIZE, mode)))
    resized = Image.fromarray(rgb).resize(RESIZED, Image.Resampling.BICUBIC)
    return found | {"resized": digest(np.asarray(resized))}


def main(folder: Path = PICTURES) -> None:
    """Write files and INDEX.json."""
    folder.mkdir(parents=True, exist_ok=True)
    written = files()
    for name, data in written.items():
        (folder / name).write_bytes(data)
    index = {name: hashes(data) for name, data in written.items()}
    (folder / "INDEX.json").write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))

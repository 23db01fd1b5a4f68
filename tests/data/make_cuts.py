"""Writes small JPEGs and what Pillow shows of their first bytes: `python -m tests.data.make_cuts`.

`cuts/INDEX.json` holds, per file and number of bytes, the CRC-32 of the RGB pixels with
`LOAD_TRUNCATED_IMAGES`. The Rust tests read it; a Python test compares it with Pillow at hand.
"""

import io
import json
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile

from tests.data.make_pictures import jpeg, scene
from tests.odd_jpegs import odd_jpeg

CUTS = Path(__file__).parent / "cuts"
PER_FILE = 60
# A seed whose random tables make whole blocks of the zero bits behind a cut.
THREE_SCANS = 299


def files() -> dict[str, bytes]:
    """The whole files by name."""
    picture = scene(61, 43, 5, noise=8)
    made = {
        f"{name}.jpg": jpeg(picture, subsampling=sampling, quality=60)
        for name, sampling in (("444", "4:4:4"), ("422", "4:2:2"), ("420", "4:2:0"))
    }
    made["420_optimised.jpg"] = jpeg(picture, subsampling="4:2:0", quality=85, optimize=True)
    made["420_restart.jpg"] = jpeg(picture, subsampling="4:2:0", restart_marker_blocks=3)
    made["gray.jpg"] = jpeg(picture.convert("L"), quality=70)
    made["gray_restart.jpg"] = jpeg(picture.convert("L"), restart_marker_rows=1)
    made["rgb.jpg"] = jpeg(picture, keep_rgb=True, quality=40)
    made["cmyk.jpg"] = jpeg(picture.convert("CMYK"), quality=40)
    made["progressive.jpg"] = jpeg(picture, progressive=True, subsampling="4:2:0")
    made["progressive_gray.jpg"] = jpeg(picture.convert("L"), progressive=True)
    made["three_scans.jpg"] = odd_jpeg(
        np.random.default_rng(THREE_SCANS), ((2, 1), (1, 1), (1, 1)), 61, 43
    )
    return made


def shown(data: bytes) -> int:
    """CRC-32 of what Pillow shows of a file that was cut."""
    before = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        with Image.open(io.BytesIO(data)) as picture:
            return zlib.crc32(picture.convert("RGB").tobytes())
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before


def index(made: dict[str, bytes]) -> dict[str, list[tuple[int, int]]]:
    """Per file the number of bytes that are left, and what Pillow shows of them."""
    found = {}
    for number, (name, data) in enumerate(made.items()):
        # Behind the first scan header; one cut just before the end marker.
        start = data.index(b"\xff\xda") + 2
        start += int.from_bytes(data[start : start + 2], "big")
        rng = np.random.default_rng(number)
        cuts = {start, len(data) - 2, len(data) - 1, *rng.integers(start, len(data), PER_FILE)}
        found[name] = [(int(cut), shown(data[:cut])) for cut in sorted(cuts)]
    return found


def main(folder: Path = CUTS) -> None:
    """Write all files and the index."""
    folder.mkdir(parents=True, exist_ok=True)
    made = files()
    for name, data in made.items():
        (folder / name).write_bytes(data)
    (folder / "INDEX.json").write_text(json.dumps(index(made)) + "\n")


if __name__ == "__main__":
    main()

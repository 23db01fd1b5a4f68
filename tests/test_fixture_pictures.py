"""Every picture of the larger sets: equal to Pillow, or refused as the list here says.

The files stay outside the repository; what is listed are names of files that are valid, or that
Pillow shows although they are damaged, and why they are refused. Any other refusal is a failure,
and so is an entry whose file is no longer refused.
"""

import hashlib
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from llava_fast import ImageError, decode_image
from tests.fixture_refusals import REFUSED
from tests.pillow_oracle import pillow_rgb, pixels_only


@pytest.mark.parametrize("part", ["valid", "photos"])
def test_every_valid_picture(fixtures: Path, part: str):
    folder = fixtures / "images" / part
    refused: dict[str, str] = {}
    wrong = []
    lines = (folder / "INDEX.jsonl").read_text().splitlines()
    for entry in map(json.loads, lines):
        path = entry["path"]
        try:
            pixels = decode_image(folder / path)
        except ImageError as error:
            refused[path] = str(error).removeprefix(f"image `{folder / path}`: ")
            continue
        if hashlib.sha256(pixels.tobytes()).hexdigest() != entry["rgb_sha256"]:
            wrong.append(path)
    assert wrong == []
    expected = REFUSED if part == "valid" else {}
    for path, reason in sorted(refused.items()):
        print(f"{path}: {reason}")
        assert path in expected, f"`{path}` is refused: {reason}"
        assert expected[path] in reason, path
    assert refused.keys() == expected.keys(), "files that are listed as refused are not"
    print(f"{part}: {len(lines) - len(refused)} equal, {len(refused)} refused")


def test_every_hostile_picture(fixtures: Path):
    folder = fixtures / "images" / "hostile"
    outcomes: Counter[str] = Counter()
    for line in (folder / "INDEX.jsonl").read_text().splitlines():
        path = folder / json.loads(line)["path"]
        outcome = outcome_of(path)
        assert outcome in ("refused", "equal"), (path, outcome)
        outcomes[outcome] += 1
    print(dict(outcomes))
    assert outcomes["refused"] > 150


def outcome_of(path: Path) -> str:
    try:
        ours = decode_image(path)
    except ImageError as error:
        return "panicked" if "panicked" in str(error) else "refused"
    theirs = pillow_rgb(pixels_only(path.read_bytes()))
    return "equal" if np.array_equal(ours, theirs) else "different pixels"

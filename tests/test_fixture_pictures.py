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

from llava_fast import ImageError, decode_image
from tests.fixture_refusals import REFUSED
from tests.pillow_oracle import pillow_pixels

LISTED = {path: reason for reason, paths in REFUSED.items() for path in paths}


def test_every_valid_picture(fixtures: Path):
    refused = refusals(fixtures / "images" / "valid")
    for path, reason in sorted(refused.items()):
        print(f"{path}: {reason}")
    unexpected = [path for path in refused if LISTED.get(path, "an entry") not in refused[path]]
    assert not unexpected, [(path, refused[path]) for path in unexpected]
    assert LISTED.keys() - refused.keys() == set(), "they are not refused"


def test_every_photograph(fixtures: Path):
    assert refusals(fixtures / "images" / "photos") == {}


def refusals(folder: Path) -> dict[str, str]:
    """The message for each file of the folder's index that is refused; the others are equal."""
    refused: dict[str, str] = {}
    wrong = []
    entries = [json.loads(line) for line in (folder / "INDEX.jsonl").read_text().splitlines()]
    for path, digest in ((entry["path"], entry["rgb_sha256"]) for entry in entries):
        try:
            pixels = decode_image(folder / path)
        except ImageError as error:
            refused[path] = str(error).removeprefix(f"image `{folder / path}`: ")
            continue
        if hashlib.sha256(pixels.tobytes()).hexdigest() != digest:
            wrong.append(path)
    print(f"{folder.name}: {len(entries) - len(refused)} equal, {len(refused)} refused")
    assert wrong == []
    return refused


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
    theirs = pillow_pixels(path.read_bytes())
    return "equal" if np.array_equal(ours, theirs) else "different pixels"

"""A small LLaVA data set on disk: JPEG and PNG files, text-only records, several rounds."""

import json
import random
from pathlib import Path

import numpy as np
from PIL import Image

from llava_fast import ImageConfig, LlavaDataset, Tokenizer

TOKENIZERS = Path(__file__).parent / "data" / "tokenizers"
IMAGE = ImageConfig(size=28)  # four image tokens
MAX_LENGTH = 128
PACK = 160


def records(count: int, seed: int = 0) -> list[dict]:
    """Two thirds with a picture, one to three rounds, answers of one to ten words."""
    rng = random.Random(seed)
    out = []
    for number in range(count):
        turns = []
        for question in range(rng.randint(1, 3)):
            answer = " ".join(["blue"] * rng.randint(1, 10))
            turns += [
                {"from": "human", "value": f"What is {number} and {question}?"},
                {"from": "gpt", "value": answer},
            ]
        record = {"id": f"r{number}", "conversations": turns}
        if number % 3:
            turns[0]["value"] = "<image>\n" + turns[0]["value"]
            record["image"] = f"{number}.{'png' if number % 5 == 0 else 'jpg'}"
        out.append(record)
    return out


def write(folder: Path, count: int, seed: int = 0) -> list[dict]:
    """train.json and its pictures in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    made = records(count, seed)
    for record in made:
        if "image" in record:
            height, width = rng.integers(20, 60, 2)
            pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / record["image"])
    save(folder, made)
    return made


def save(folder: Path, made: list[dict]) -> None:
    (folder / "train.json").write_text(json.dumps(made, indent=0))


def tokenizer(family: str = "sp_legacy") -> Tokenizer:
    return Tokenizer.from_pretrained(TOKENIZERS / family)


def dataset(folder: Path, tokenizer: str = "sp_legacy", **options: object) -> LlavaDataset:
    settings = {"image": IMAGE, "template": "v1_short", "max_length": MAX_LENGTH} | options
    words = Tokenizer.from_pretrained(TOKENIZERS / tokenizer)
    return LlavaDataset(folder / "train.json", folder, words, **settings)

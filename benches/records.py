"""Conversations for the benches, in LLaVA's JSON form, made from a seed.

Shape of LLaVA's 665k mixture: mostly short visual question answering in several rounds, some long
answers, one record in sixteen without a picture. Word frequencies fall like Zipf's law.
"""

import functools
import json
from pathlib import Path

import numpy as np

from benches.pictures import jpegs
from benches.results import ROOT

TEXT = (
    "the a of in on and is with to picture what color there at near two man woman people street "
    "table dog cat red blue green white black large small left right side front behind standing "
    "sitting holding wearing looking next water tree building car train bus sign light window "
    "food plate cup bottle chair bed ball player field grass sky cloud mountain beach road bridge "
    "bird horse boat bicycle umbrella phone book clock it are this that which how many does any "
    "other between several various scene appears suggests possibly background foreground area "
    "visible placed positioned surrounded enjoying activity atmosphere together because however "
    "additionally overall image shows features object number answer question short long wooden "
    "metal bright dark old young open closed full empty busy quiet morning evening summer winter"
)
WORDS = TEXT.split()
TEXT_ONLY = 16
TOKENIZER = ROOT / "tests" / "data" / "tokenizers" / "sp_legacy"


@functools.cache
def records(count: int, seed: int = 665) -> tuple[dict, ...]:
    """`count` records; those with a picture name `<index>.jpg`."""
    rng = np.random.default_rng(seed)
    return tuple(_record(index, rng) for index in range(count))


def _record(index: int, rng: np.random.Generator) -> dict:
    pictured = index % TEXT_ONLY != TEXT_ONLY - 1
    rounds = int(rng.integers(1, 12))
    turns = []
    for number in range(rounds):
        tag = "<image>\n" if pictured and number == 0 else ""
        turns.append({"from": "human", "value": tag + _sentence(rng, 6, 14) + "?"})
        turns.append({"from": "gpt", "value": _answer(rng)})
    record = {"id": f"bench-{index:06d}", "conversations": turns}
    return record | ({"image": f"{index:06d}.jpg"} if pictured else {})


def _answer(rng: np.random.Generator) -> str:
    if rng.random() < 0.5:
        return _sentence(rng, 1, 3)
    return " ".join(_sentence(rng, 8, 20) + "." for _ in range(int(rng.integers(1, 5))))


def _sentence(rng: np.random.Generator, least: int, most: int) -> str:
    weights = 1 / (np.arange(len(WORDS)) + 3)
    chosen = rng.choice(WORDS, int(rng.integers(least, most + 1)), p=weights / weights.sum())
    return " ".join(chosen).capitalize()


def write_dataset(folder: Path, count: int) -> Path:
    """Write `train.json` with its pictures beside it, and return its path."""
    made = records(count)
    for record, picture in zip(made, jpegs(count), strict=True):
        if "image" in record:
            (folder / record["image"]).write_bytes(picture)
    path = folder / "train.json"
    path.write_text(json.dumps(made), encoding="utf-8")
    return path

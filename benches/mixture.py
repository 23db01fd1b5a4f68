"""A file of conversations as large as LLaVA's 665k mixture, written in seconds.

Per record 12 messages, and 1.6 thousand characters in the template "v1", in the mean; a few are
very long, one in sixteen has no picture. Each is put together at random from a pool of rounds.
Words fall like Zipf's law over tens of thousands of forms, so that a cache of words meets new ones
all the time, as in real text.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benches.records import TEXT_ONLY, WORDS

RECORDS = 665_298
POOL = 50_000
FORMS = 60_000
MOST_ROUNDS = 11
# Shares of LLaVA's mixture.
FOLDERS = (
    *["coco/train2017"] * 9,
    *["vg/VG_100K"] * 3,
    *["ocr_vqa/images"] * 2,
    *["gqa/images"] * 2,
)
SYLLABLES = "an ber co den el fi gra hol in jo ki lan mer no or pa que ri sta tor ul ven wa xi zu"


def write(path: Path, count: int = RECORDS, seed: int = 665) -> Path:
    """Write `count` records to `path` as one JSON list, a record per line."""
    with path.open("w", encoding="utf-8") as file:
        separator = "[\n"
        for line in _records(count, np.random.default_rng(seed)):
            file.write(separator + line)
            separator = ",\n"
        file.write("\n]\n")
    return path


def _records(count: int, rng: np.random.Generator) -> Iterator[str]:
    """Records as JSON text."""
    pool = _rounds(min(POOL, 6 * count), rng)
    for index in range(count):
        chosen = rng.integers(0, len(pool), int(rng.integers(1, MOST_ROUNDS + 1)))
        turns = ", ".join([pool[number] for number in chosen])
        head = f'"id": "{index:012d}", '
        if index % TEXT_ONLY != TEXT_ONLY - 1:
            folder = FOLDERS[index % len(FOLDERS)]
            head += f'"image": "{folder}/{index:012d}.jpg", '
            turns = turns.replace('"value": "', '"value": "<image>\\n', 1)
        yield f'{{{head}"conversations": [{turns}]}}'


def _rounds(count: int, rng: np.random.Generator) -> list[str]:
    """Questions and answers, each pair as the text of two turns."""
    questions = rng.integers(6, 15, count)
    answers = np.minimum(rng.lognormal(2.0, 1.6, count).astype(int) + 1, 4000)
    words = iter(_words(int(questions.sum() + answers.sum()), rng))

    def sentence(length: int, end: str) -> str:
        return " ".join([next(words) for _ in range(length)]).capitalize() + end

    pairs = zip(questions.tolist(), answers.tolist(), strict=True)
    return [_turns(sentence(q, "?"), sentence(a, ".")) for q, a in pairs]


def _turns(question: str, answer: str) -> str:
    turns = [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]
    return json.dumps(turns)[1:-1]


def _words(count: int, rng: np.random.Generator) -> list[str]:
    syllables = SYLLABLES.split()
    made = ["".join(rng.choice(syllables, int(rng.integers(1, 5)))) for _ in range(FORMS)]
    forms = [*WORDS, *made]
    weights = np.cumsum(1 / (np.arange(len(forms)) + 3))
    places = np.searchsorted(weights, rng.random(count) * weights[-1])
    return [forms[place] for place in places]

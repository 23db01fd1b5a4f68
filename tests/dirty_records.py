"""Record files with known faults, and the counts that a check of them has to give.

Nothing here uses the package: lengths come from the oracle, the rest from how a record was made.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests import oracle_text as oracle

Record = dict
TEMPLATE = "v1"
FOLDERS = ("coco", "gqa", "")


def _without(key: str) -> Callable[[Record], Record]:
    return lambda record: {name: value for name, value in record.items() if name != key}


def _turn(position: int, **fields: object) -> Callable[[Record], Record]:
    """Fields of a turn replaced; None takes the field away."""

    def change(record: Record) -> Record:
        turns = [dict(turn) for turn in record["conversations"]]
        turns[position] |= fields
        turns[position] = {key: x for key, x in turns[position].items() if x is not None}
        return record | {"conversations": turns}

    return change


def _one_picture_more(record: Record) -> Record:
    return record | {"image": [*record["image"], "coco/more.jpg"]}


# By reason code; each turns a good record into one that is bad for just that reason.
FAULTS: dict[str, tuple[Callable[[Record], object], ...]] = {
    "malformed_record": (lambda record: 3, lambda record: [record]),
    "missing_field": (_without("conversations"),),
    "bad_field": (
        lambda record: record | {"image": 3},
        lambda record: record | {"conversations": "Q"},
    ),
    "empty_conversation": (lambda record: record | {"conversations": []},),
    "bad_turn": (
        _turn(-1, value=3),
        _turn(-1, value=None),
        _turn(-1, **{"from": "critic"}),
        lambda record: record | {"conversations": record["conversations"][-1:] * 2},
    ),
    "empty_answer": (_turn(-1, value=" \n"),),
    "image_tag_count": (_one_picture_more,),
    "nothing_supervised": (
        lambda record: {"id": record["id"], "conversations": [{"from": "human", "value": "Q"}]},
    ),
}


@dataclass
class Expected:
    """What a check has to count."""

    records: int = 0
    usable: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    rows: list[tuple[int, str]] = field(default_factory=list)
    tokens: int = 0
    text_tokens: int = 0
    supervised_tokens: int = 0
    cut_samples: int = 0
    cut_rounds: int = 0
    lengths: list[int] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)


def clean(rng: random.Random, number: int) -> Record:
    """A good record; ids repeat now and then, and some records have none."""
    record = oracle.random_record(rng, TEMPLATE)
    folder = rng.choice(FOLDERS)
    record["image"] = [f"{folder}/{name}".strip("/") for name in record["image"]]
    record["id"] = rng.choice([f"r{number}", number, f"r{number // 2}", f"r{number % 7}"])
    if rng.random() < 0.1:
        del record["id"]
    if rng.random() < 0.2:
        record["data_source"] = rng.choice(["flan", "näïve\n"])
    return record


def made(
    rng: random.Random, count: int, family: str, image_tokens: int, max_length: int
) -> tuple[list[object], Expected]:
    """Records, one in four of them bad, and what is expected of them."""
    records, expected = [], Expected(records=count)
    for number in range(count):
        record: object = clean(rng, number)
        code = rng.choice(list(FAULTS)) if rng.random() < 0.25 else None
        if code is not None and "id" in record:
            record = rng.choice(FAULTS[code])(record)
        else:
            code = _measured(record, family, image_tokens, max_length, expected)
        records.append(record)
        if code is not None:
            expected.faults[code] += 1
            expected.rows.append((number, code))
    return records, expected


def _measured(
    record: Record, family: str, image_tokens: int, max_length: int, expected: Expected
) -> str | None:
    """Adds the figures of a good record, or says that it is too long."""
    tokenizer, _, _ = oracle.structure(family)
    for cut, kept in enumerate(_shorter(record)):
        slots = [image_tokens] * len(record["image"])
        ids, labels, starts = oracle.encode(oracle.rendered(kept, TEMPLATE), tokenizer, slots)
        if len(ids) > max_length:
            continue
        text, supervised = len(ids) - image_tokens * len(starts), sum(x != -100 for x in labels)
        expected.usable += 1
        expected.tokens += len(ids)
        expected.text_tokens += text
        expected.supervised_tokens += supervised
        expected.cut_samples += cut > 0
        expected.cut_rounds += cut
        expected.lengths.append(len(ids))
        expected.shares.append(supervised / text)
        return None
    return "too_long"


def _shorter(record: Record) -> Iterator[Record]:
    """The record with all its rounds, one less, ..., one."""
    turns = record["conversations"]
    first = 2 + (turns[0]["from"] == "system")
    for stop in range(len(turns), first - 1, -2):
        yield record | {"conversations": turns[:stop]}

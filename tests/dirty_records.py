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
ABSENT = object()


def _without(key: str) -> Callable[[Record], Record]:
    return lambda record: {name: value for name, value in record.items() if name != key}


def _answer(**fields: object) -> Callable[[Record], Record]:
    """Fields of the last turn replaced, or taken away by `ABSENT`."""

    def change(record: Record) -> Record:
        *others, last = record["conversations"]
        changed = {key: x for key, x in (last | fields).items() if x is not ABSENT}
        return record | {"conversations": [*others, changed]}

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
    "not_text": (_answer(value=3),),
    "null_text": (_answer(value=None),),
    "missing_text": (_answer(value=ABSENT),),
    "missing_role": (_answer(**{"from": ABSENT}),),
    "unknown_role": (_answer(**{"from": "critic"}),),
    "repeated_role": (lambda record: record | {"conversations": record["conversations"][-1:] * 2},),
    "empty_answer": (_answer(value=" \n"),),
    "image_tag_count": (_one_picture_more,),
    "nothing_supervised": (
        lambda record: {"id": record["id"], "conversations": [{"from": "human", "value": "Q"}]},
    ),
}


def _leading_answer(record: Record) -> Record:
    turns = list(record["conversations"])
    turns.insert(turns[0]["from"] == "system", {"from": "gpt", "value": "Hello!"})
    return record | {"conversations": turns}


def _open_question(record: Record) -> Record:
    turns = [*record["conversations"], {"from": "human", "value": "And now?"}]
    return record | {"conversations": turns}


# By code; each adds what is left out again.
REPAIRS: dict[str, Callable[[Record], Record]] = {
    "misspelled_key": lambda record: {
        key.replace("conversations", "conversatons"): value for key, value in record.items()
    },
    "dropped_leading_answer": _leading_answer,
    "dropped_open_question": _open_question,
}


@dataclass
class Expected:
    """What a check has to count."""

    records: int = 0
    usable: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    repairs: Counter[str] = field(default_factory=Counter)
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
            if rng.random() < 0.2:
                repair = rng.choice(list(REPAIRS))
                record = REPAIRS[repair](record)
                expected.repairs[repair] += code is None
        records.append(record)
        if code is not None:
            expected.faults[code] += 1
            expected.rows.append((number, code))
    return records, expected


def _measured(
    record: Record, family: str, image_tokens: int, max_length: int, expected: Expected
) -> str | None:
    """Adds the figures of a good record, or says that it is too long."""
    structure = oracle.structure(family)
    for cut, kept in enumerate(_shorter(record)):
        slots = [image_tokens] * len(record["image"])
        ids, labels, starts = structure.encode(oracle.rendered(kept, TEMPLATE), slots)
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

"""Which records a mixture takes: LLaVA-NeXT's rule, with our chance and our weights, as plain as
can be."""

import math

from tests.oracle_plan import MASK, splitmix64

OFFSET, PRIME = 0xCBF29CE484222325, 0x9E3779B97F4A7C15


def taken(content: bytes, ids: list, strategy: str = "all", weight: float = 1, seed: int = 0):
    """`ids` of the records of a file with that content, as often as they are taken."""
    file = fingerprint(content)
    rule, _, number = strategy.partition(":")
    if "%" in number:
        amount = math.ceil(int(number.split("%")[0]) * len(ids) / 100)
    else:
        amount = int(number or 0)
    if rule == "first":
        ids = ids[:amount]
    elif rule == "end":
        ids = ids[-amount:]
    elif rule == "random":
        ids = shuffled(ids, key(seed, file, 0))[:amount]
    more = math.floor(math.modf(weight)[0] * len(ids) + 0.5)
    once_more = sorted(shuffled(range(len(ids)), key(seed, file, 1))[:more])
    return ids * int(weight) + [ids[place] for place in once_more]


def shuffled(items, chance: int) -> list:
    return [item for _, item in sorted((splitmix64(chance, i), x) for i, x in enumerate(items))]


def key(*numbers: int) -> int:
    value = 0
    for number in numbers:
        value = splitmix64(value ^ number, 0)
    return value


def fingerprint(content: bytes) -> int:
    words = [content[i : i + 8] for i in range(0, len(content) - len(content) % 8, 8)]
    words += [content[len(words) * 8 :], len(content).to_bytes(8, "little")]
    value = OFFSET
    for word in words:
        value = (value ^ int.from_bytes(word, "little")) * PRIME & MASK
        value ^= value >> 32
    return value

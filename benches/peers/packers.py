"""Other ways to put documents together, written anew from their published behaviour; TRL's is its
own.

Each takes lengths in tokens and returns lists of record numbers.
"""

import bisect

import numpy as np


def llava_batches(
    lengths: np.ndarray, images: np.ndarray, size: int, world: int = 8, seed: int = 0
) -> list[list[int]]:
    """LLaVA's `group_by_modality_length`: random mega-batches of `world * size` records of one
    modality, sorted by length and dealt over the ranks so that their totals are even."""
    rng = np.random.default_rng(seed)
    groups = []
    for pictured in (True, False):
        numbers = rng.permutation(np.flatnonzero((images > 0) == pictured))
        groups.append([numbers[i : i + world * size] for i in range(0, len(numbers), world * size)])
    rest = [group.pop() for group in groups if group]
    groups = [group for kind in groups for group in kind]
    megabatches = [groups[place] for place in rng.permutation(len(groups))]
    megabatches.append(np.concatenate(rest))
    return [batch for mega in megabatches for batch in _even_chunks(mega, lengths, world)]


def _even_chunks(numbers: np.ndarray, lengths: np.ndarray, world: int) -> list[list[int]]:
    """The longest first, each to the rank with the fewest tokens that has room."""
    most = -(-len(numbers) // world)
    chunks: list[list[int]] = [[] for _ in range(world)]
    totals = [0] * world
    for number in numbers[np.argsort(-lengths[numbers], kind="stable")].tolist():
        rank = min((r for r in range(world) if len(chunks[r]) < most), key=totals.__getitem__)
        chunks[rank].append(number)
        totals[rank] += int(lengths[number])
    return [chunk for chunk in chunks if chunk]


def first_fit_decreasing(lengths: np.ndarray, room: int) -> list[list[int]]:
    """The longest first, each to the first pack that has room. Packs by what is left in them."""
    packs: list[list[int]] = []
    left: list[int] = []
    tree = _Rooms(len(lengths))
    for number in np.argsort(-lengths, kind="stable").tolist():
        length = int(lengths[number])
        place = tree.first(length)
        if place is None:
            place = len(packs)
            packs.append([])
            left.append(room)
        packs[place].append(number)
        left[place] -= length
        tree.set(place, left[place])
    return packs


class _Rooms:
    """A tree of the largest room below each node."""

    def __init__(self, count: int) -> None:
        self._size = 1 << max(count - 1, 1).bit_length()
        self._rooms = [0] * (2 * self._size)

    def set(self, place: int, room: int) -> None:
        node = place + self._size
        self._rooms[node] = room
        while node > 1:
            node //= 2
            self._rooms[node] = max(self._rooms[2 * node], self._rooms[2 * node + 1])

    def first(self, wanted: int) -> int | None:
        if self._rooms[1] < wanted:
            return None
        node = 1
        while node < self._size:
            node = 2 * node if self._rooms[2 * node] >= wanted else 2 * node + 1
        return node - self._size


def trl_packs(lengths: np.ndarray, room: int) -> list[list[int]]:
    """What `trl.data_utils.pack_dataset` makes of documents of these lengths, each of which is
    nothing but its own number."""
    from datasets import Dataset
    from trl.data_utils import pack_dataset

    documents = [np.full(length, number, np.int32) for number, length in enumerate(lengths)]
    packed = pack_dataset(Dataset.from_dict({"input_ids": documents}), room, strategy="bfd")
    packs = []
    for row in packed:
        ends = np.cumsum(row["seq_lengths"]) - 1
        packs.append([row["input_ids"][end] for end in ends.tolist()])
    return packs


def next_fit(lengths: np.ndarray, room: int) -> list[list[int]]:
    """In order, a new pack where the next document does not fit."""
    ends = np.cumsum(lengths)
    packs, start = [], 0
    while start < len(lengths):
        before = int(ends[start - 1]) if start else 0
        stop = bisect.bisect_right(ends, before + room)
        packs.append(list(range(start, stop)))
        start = stop
    return packs

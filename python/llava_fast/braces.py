"""Many paths written as one: `{a,b}.json` as LLaVA-NeXT has it, `{00000..00099}.tar` as WebDataset.

The rules are those of a shell. `{a,b}` is a list, `{8..10}` a range of numbers with both its ends,
`{0..10..5}` one in steps; numbers are as wide as an end that is written with leading zeros. Braces
may be several and lie in each other; what is neither a list nor a range stays as it is.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from os import PathLike, fspath
from os.path import exists

from llava_fast.errors import DataError

MOST_PATHS = 1_000_000
_DEEPEST = 20
_RANGE = re.compile(r"(-?[0-9]{1,18})\.\.(-?[0-9]{1,18})(?:\.\.(-?[0-9]{1,18}))?")

Places = str | PathLike[str] | Sequence[str | PathLike[str]]


def expanded(path: str) -> list[str]:
    """The paths that `path` stands for, in order; a file of just that name comes first.

    Raises DataError for more than a million.
    """
    if "{" not in path or exists(path):
        return [path]
    try:
        return _alternatives(path, 0)
    except OverflowError:
        raise DataError(f"`{path:.200}`: stands for more than {MOST_PATHS} paths") from None


def places(images: Places | None) -> tuple[str, ...] | None:
    """Folders and archives of pictures: one, a list, or either with braces.

    Raises DataError for an empty list and for what is no path.
    """
    if images is None:
        return None
    single = isinstance(images, str | PathLike)
    if not single and not isinstance(images, Iterable):
        raise DataError(f"images: got a {type(images).__name__}, expected a path or a list of them")
    listed = [images] if single else list(images)
    if not listed:
        raise DataError("images: got an empty list, expected folders or archives")
    if wrong := [place for place in listed if not isinstance(place, str | PathLike)]:
        raise DataError(f"images: got a {type(wrong[0]).__name__} in the list, expected a path")
    return tuple(path for place in listed for path in expanded(fspath(place)))


def _alternatives(text: str, depth: int) -> list[str]:
    """Every text that the braces of `text` stand for."""
    found = [""]
    for piece in _pieces(text, depth):
        if len(found) * len(piece) > MOST_PATHS:
            raise OverflowError
        found = [start + end for start in found for end in piece]
    return found


def _pieces(text: str, depth: int) -> Iterator[Sequence[str]]:
    """What stands at each place of `text`, one after the other."""
    start = 0
    for opened, closed in _outer_braces(text) if depth < _DEEPEST else ():
        inside = text[opened + 1 : closed]
        if numbers := _numbers(inside):
            yield [text[start:opened]]
            yield numbers
            start = closed + 1
        elif len(listed := _split(inside)) > 1:
            yield [text[start:opened]]
            yield [word for part in listed for word in _alternatives(part, depth + 1)]
            start = closed + 1
        else:
            # These braces are ordinary characters, but others may lie in them.
            yield [text[start : opened + 1]]
            yield _alternatives(inside, depth + 1)
            start = closed
    yield [text[start:]]


def _numbers(text: str) -> list[str]:
    """The numbers of a range; none if `text` is not one."""
    match = _RANGE.fullmatch(text)
    if not match:
        return []
    first, last = int(match[1]), int(match[2])
    step = abs(int(match[3] or 1)) or 1
    numbers = range(first, last + 1, step) if first <= last else range(first, last - 1, -step)
    if len(numbers) > MOST_PATHS:
        raise OverflowError
    padded = any(re.match("-?0[0-9]", end) for end in match.groups()[:2])
    width = max(len(match[1]), len(match[2])) if padded else 0
    return [f"{number:0{width}d}" for number in numbers]


def _outer_braces(text: str) -> Iterator[tuple[int, int]]:
    """Positions of the braces that match and lie in no others."""
    opened: list[int] = []
    pairs: list[tuple[int, int]] = []
    for at, character in enumerate(text):
        if character == "{":
            opened.append(at)
        elif character == "}" and opened:
            start = opened.pop()
            # What lies inside this pair is no outer pair any more.
            while pairs and pairs[-1][0] > start:
                pairs.pop()
            pairs.append((start, at))
    yield from pairs


def _split(text: str) -> list[str]:
    """The parts between the commas that lie in no braces."""
    parts, depth, start = [], 0, 0
    for at, character in enumerate(text):
        depth += (character == "{") - (character == "}")
        if character == "," and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    return [*parts, text[start:]]

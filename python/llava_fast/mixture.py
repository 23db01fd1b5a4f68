"""What `data=` stands for: files of records, which of their records are taken, and how often.

A path is a file, several in braces (`llava_fast.braces`), or a folder with the files of a data set:
parquet, tars of pairs, JSONL or JSON, one of these kinds only.

A mixture is a YAML file as LLaVA-NeXT reads it, with keys of our own marked *:

    seed: 0                                # * for `random` and for fractions of a weight
    datasets:
      - json_path: llava_v1_5_mix665k.json
        sampling_strategy: first:30%       # all, first:N, end:N, random:N; N a number or P%
        weight: 2.5                        # * every record twice, and a half of them once more
        images: coco.zip                   # * pictures of these records alone; also a list
      - json_path: shards/{000..099}.tar   # * several files, of all of which the strategy speaks

P% is rounded up. `random` takes the same records of a file for the same seed wherever it is asked;
LLaVA-NeXT shuffles by the generator of the process. `json_path` is looked up beside the YAML file
and then in the working directory, `images` beside the YAML file.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from os import PathLike, fspath, listdir
from os.path import exists, isdir, join
from pathlib import Path
from typing import Any, NoReturn

from llava_fast.braces import Places, expanded, places
from llava_fast.checks import LARGEST_SEED
from llava_fast.errors import DataError
from llava_fast.files import read_small

Data = str | PathLike[str] | Sequence[str | PathLike[str]] | Sequence[Mapping[str, Any]]

YAML = (".yaml", ".yml")
RECORD_FILES = (".parquet", ".tar", ".jsonl", ".json")
LARGEST_WEIGHT = 1000

_KEYS = ("json_path", "sampling_strategy", "weight", "images")
_STRATEGY = re.compile(r"(first|end|random):\s*([0-9]{1,18})\s*(%?)")


@dataclass(frozen=True, kw_only=True)
class Part:
    """Records of one file. rule: "all", or "first", "end", "random" with `amount` records, of each
    hundred if `percent`. continues: rule and weight are about the records of the part before and of
    this one together. text: the file's content where there is no file.
    """

    path: str
    text: str | None = None
    rule: str = "all"
    amount: int = 0
    percent: bool = False
    weight: float = 1.0
    continues: bool = False
    images: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """Everything that a data set's records come from; `name` stands for it in messages."""

    name: str
    parts: tuple[Part, ...]
    seed: int = 0

    def images(self, shared: Places | None) -> list[tuple[str, ...] | None]:
        """By part, where the pictures are; `shared`, folders and archives, where the mixture does
        not say."""
        named = places(shared)
        return [part.images or named for part in self.parts]


def mixture(data: Data) -> Mixture:
    """One path, a list of them, several in braces (`/p/{a,b}.json`, `/p/{000..099}.tar`), a folder
    of such files, a `.yaml` mixture, or a list of records.

    Raises DataError naming the file and the key.
    """
    if isinstance(data, str | PathLike):
        return _of_path(fspath(data))
    if isinstance(data, Mapping) or not isinstance(data, Iterable):
        raise DataError(f"data: got a {type(data).__name__}, expected a path or a list of records")
    items = list(data)
    if items and all(isinstance(item, str | PathLike) for item in items):
        return _together([_of_path(fspath(item)) for item in items])
    return Mixture(name="records", parts=(Part(path="records", text=_as_json(items)),))


def _together(several: list[Mixture]) -> Mixture:
    seeds = {one.seed for one in several if Path(one.name).suffix in YAML}
    if len(seeds) > 1:
        raise DataError(f"data: mixtures with different seeds: {sorted(seeds)}")
    return Mixture(
        name=",".join(one.name for one in several),
        parts=tuple(part for one in several for part in one.parts),
        seed=seeds.pop() if seeds else 0,
    )


def _of_path(path: str) -> Mixture:
    if path.endswith(YAML):
        return _Yaml(path).mixture()
    return Mixture(name=path, parts=tuple(Part(path=name) for name in _files(expanded(path))))


def _files(paths: list[str]) -> list[str]:
    """The paths, with the files of records in place of a folder."""
    return [name for path in paths for name in (_inside(path) if isdir(path) else [path])]


def _inside(folder: str) -> list[str]:
    """The files of records in a folder, in the order of their names. Other files, such as a
    README.md, are passed over, and so are hidden ones."""
    names = sorted(name for name in listdir(folder) if not name.startswith("."))
    kinds = {kind: [n for n in names if n.lower().endswith(kind)] for kind in RECORD_FILES}
    found = {kind: matching for kind, matching in kinds.items() if matching}
    if not found:
        raise DataError(f"`{folder}`: a folder without {', '.join(RECORD_FILES)} files")
    if len(found) > 1:
        both = " and ".join(f"`{matching[0]}`" for matching in found.values())
        raise DataError(f"`{folder}`: got {both}, expected one kind of record files in a folder")
    return [join(folder, name) for matching in found.values() for name in matching]


class _Yaml:
    """A mixture file being read."""

    def __init__(self, path: str) -> None:
        self.path = path

    def mixture(self) -> Mixture:
        content = self._content()
        self._known("", content, ("datasets", "seed"))
        datasets = content.get("datasets")
        if not isinstance(datasets, list) or not datasets:
            self._bad("datasets", datasets, "a list of data sets")
        seed = content.get("seed", 0)
        if type(seed) is not int or not 0 <= seed <= LARGEST_SEED:
            self._bad("seed", seed, f"a number from 0 to {LARGEST_SEED}")
        parts = (self._parts(f"datasets[{i}]", entry) for i, entry in enumerate(datasets))
        return Mixture(name=self.path, parts=tuple(chain.from_iterable(parts)), seed=seed)

    def _content(self) -> dict[Any, Any]:
        import yaml

        try:
            text = read_small(Path(self.path))
        except ValueError as error:
            raise DataError(f"data: {error}") from None
        try:
            content = yaml.safe_load(text)
        except Exception as error:
            # PyYAML lets through whatever its constructors raise: KeyError for `!!bool x`.
            cause = " ".join(f"{type(error).__name__}: {error}".split())
            raise DataError(f"`{self.path}`: not YAML: {cause}") from None
        if not isinstance(content, dict):
            self._bad("", content, "`datasets:` and a list")
        return content

    def _parts(self, key: str, entry: Any) -> Iterator[Part]:
        if not isinstance(entry, dict):
            self._bad(key, entry, "`json_path:` and what else there is to say")
        self._known(key, entry, _KEYS)
        json_path = entry.get("json_path")
        if not isinstance(json_path, str) or not json_path:
            self._bad(f"{key}.json_path", json_path, "a path")
        if json_path.endswith(YAML):
            self._bad(f"{key}.json_path", json_path, "a file of records, not a mixture")
        part = replace(
            self._rule(f"{key}.sampling_strategy", entry.get("sampling_strategy", "all")),
            weight=self._weight(f"{key}.weight", entry.get("weight", 1)),
            images=self._images(f"{key}.images", entry.get("images")),
        )
        for number, path in enumerate(_files(self._found(json_path))):
            yield replace(part, path=path, continues=number > 0)

    def _rule(self, key: str, strategy: Any) -> Part:
        if strategy == "all":
            return Part(path="")
        match = _STRATEGY.fullmatch(strategy) if isinstance(strategy, str) else None
        if not match:
            self._bad(key, strategy, "`all`, `first:N`, `end:N` or `random:N`, N a number or P%")
        rule, amount = match[1], int(match[2])
        if rule == "end" and not amount:
            self._bad(key, strategy, "1 or more: LLaVA-NeXT takes all records for 0")
        return Part(path="", rule=rule, amount=amount, percent=bool(match[3]))

    def _weight(self, key: str, weight: Any) -> float:
        number = isinstance(weight, int | float) and not isinstance(weight, bool)
        if not number or not 0 < weight <= LARGEST_WEIGHT:
            self._bad(key, weight, f"a number above 0, at most {LARGEST_WEIGHT}")
        return float(weight)

    def _images(self, key: str, images: Any) -> tuple[str, ...] | None:
        if images is None:
            return None
        listed = images if isinstance(images, list) else [images]
        if not listed or not all(isinstance(place, str) and place for place in listed):
            self._bad(key, images, "a folder or an archive, or a list of them")
        beside = Path(self.path).parent
        return places([str(beside / place) for place in listed])

    def _found(self, path: str) -> list[str]:
        """Beside the mixture, or where LLaVA-NeXT would look: in the working directory."""
        beside, here = expanded(str(Path(self.path).parent / path)), expanded(path)
        return here if exists(here[0]) and not exists(beside[0]) else beside

    def _known(self, key: str, entry: dict[Any, Any], known: tuple[str, ...]) -> None:
        for name in entry:
            if name not in known:
                place = f"{key}.{name!s:.80}".lstrip(".")
                self._bad(place, entry[name], f"only the keys {', '.join(known)}")

    def _bad(self, key: str, got: Any, expected: str) -> NoReturn:
        # Not the text of lists: aliases can make a short one endless.
        plain = isinstance(got, str | int | float)
        shown = f"`{got!s:.80}`" if plain else "nothing" if got is None else type(got).__name__
        place = f"`{self.path}`: {key}" if key else f"`{self.path}`"
        raise DataError(f"{place}: got {shown}, expected {expected}")


def _as_json(records: list[Any]) -> str:
    """The JSON list of records that were passed as objects."""
    try:
        return json.dumps(records)
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(f"data: a record that is no JSON: {error}") from None

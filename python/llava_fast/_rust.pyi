"""The compiled half of `llava_fast`; see rust/py/src."""

from collections.abc import Sequence
from os import PathLike
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from llava_fast.config import DecodeOptions, ImageConfig
from llava_fast.mixture import Part

__all__ = [
    "Check",
    "Counts",
    "Dataset",
    "Epoch",
    "ImagePipeline",
    "Loading",
    "Records",
    "Stream",
    "Tokenizer",
    "__version__",
    "available_threads",
    "cpu_path",
    "cpu_paths",
    "decode_image",
    "decode_limits",
    "encode",
    "encode_prompt",
    "image_size",
    "image_tokens",
    "template_name",
    "templates",
]

__version__: str

_Int64 = NDArray[np.int64]
_Segments = list[tuple[str, str, bool, int, int]]
_Counted = tuple[NDArray[np.int32], NDArray[np.uint16], list[_BadRow], dict[str, int]]
_Encoded = tuple[_Int64, _Int64, _Int64, _Segments]
_File = bytes | str | PathLike[str]
_Picture = _File | tuple[int, int, bytes]
_BadRow = tuple[int, str, str]
_Fault = tuple[str, int, str, str, str]
_Cache = tuple[str, int]
_Made = tuple[dict[str, Any], list[_BadRow], tuple[int, int, float, float]]

@final
class Check:
    """Looks at a data set slice by slice, so that Python stays in between."""

    def __new__(cls, dataset: Dataset, look: str) -> Check: ...
    def advance(self, start: int, stop: int, threads: int) -> list[_Fault]: ...
    def report(self) -> str: ...

@final
class Counts:
    """Counts a data set slice by slice, so that Python stays in between."""

    @property
    def total(self) -> int: ...
    @property
    def done(self) -> int: ...
    @property
    def found(self) -> int: ...
    @property
    def over(self) -> bool: ...
    def __new__(cls, dataset: Dataset, *, fresh: bool = False) -> Counts: ...
    def advance(self, threads: int) -> int: ...
    def result(self, skip: bool) -> _Counted: ...
    def kept(self) -> list[tuple[str | None, str]]: ...

@final
class Dataset:
    """Records, and everything that turns one into model input."""

    @property
    def fingerprint(self) -> int: ...
    def fingerprints(self) -> list[tuple[str, int]]: ...
    def __new__(
        cls,
        records: Records,
        *,
        images: Sequence[Sequence[str | PathLike[str]] | None],
        follow_links: bool,
        tokenizer: Tokenizer,
        template: str,
        image: ImageConfig,
        max_length: int,
        reading: tuple[bool, bool],
        cache: _Cache | None,
        read_timeout: float = 300.0,
    ) -> Dataset: ...
    def __len__(self) -> int: ...
    def batch(
        self,
        records: Sequence[int],
        layout: str,
        skip: bool,
        threads: int,
        lengths: Sequence[int] = ...,
    ) -> _Made: ...
    def describe(self, index: int) -> tuple[str, int, str, list[str]]: ...
    def cache_counts(self) -> tuple[int, int]: ...
    def json(self, index: int) -> str: ...
    def view(
        self, index: int
    ) -> tuple[_Encoded | None, _BadRow | None, int, list[tuple[str, int]], list[str]]: ...
    def picture(self, index: int, path: str) -> bytes: ...

@final
class ImagePipeline:
    """Model input from pictures, a batch at a time."""

    def __new__(cls, config: ImageConfig, cache: _Cache | None = None) -> ImagePipeline: ...
    def cache_stats(self) -> list[tuple[str, int]]: ...
    def process(
        self, /, images: Sequence[_Picture], num_threads: int
    ) -> tuple[NDArray[Any], NDArray[np.int32], NDArray[np.int64]]: ...

@final
class Loading:
    """Batches of one data set, made in the background by number."""

    def __new__(cls, dataset: Dataset, layout: str, skip: bool, threads: int) -> Loading: ...
    def submit(
        self, step: int, records: Sequence[int], lengths: Sequence[int], first: bool
    ) -> None: ...
    def keep(self, steps: Sequence[int]) -> None: ...
    def take(self, step: int, timeout: float) -> _Made | None: ...

@final
class Records:
    """Records of one or more files, numbered through."""

    @property
    def fingerprint(self) -> int: ...
    def __new__(cls, parts: Sequence[Part], seed: int, index_dir: str | None = None) -> Records: ...
    def __len__(self) -> int: ...
    def json(self, index: int) -> str: ...
    def origin(self, index: int) -> tuple[int, str, int]: ...

@final
class Stream:
    """All epochs of one data set: a pure function of its arguments."""

    @property
    def samples(self) -> int: ...
    def __new__(
        cls,
        lengths: NDArray[np.int32],
        images: NDArray[np.uint16],
        *,
        pack_tokens: int | None,
        batch_size: int | None,
        shuffle: bool,
        drop_last: bool,
        group_by_length: bool,
        batches_per_step: int,
        seed: int,
        fingerprint: int,
    ) -> Stream: ...
    def __getnewargs_ex__(
        self,
    ) -> tuple[tuple[NDArray[np.int32], NDArray[np.uint16]], dict[str, Any]]: ...
    def steps(self, world: int) -> int: ...
    def epoch(self, epoch: int, done: int) -> Epoch: ...

@final
class Epoch:
    """The rest of one epoch."""

    def steps(self, world: int) -> int: ...
    def batch(self, step: int, rank: int, world: int) -> list[int]: ...
    def lengths(self, records: Sequence[int]) -> list[int]: ...
    def samples_after(self, steps: int, world: int) -> int: ...

@final
class Tokenizer:
    """A tokenizer and the ids that stand for structure."""

    @property
    def bos(self) -> int | None: ...
    @property
    def vocab_size(self) -> int: ...
    @property
    def uncut(self) -> str | None: ...
    @property
    def fingerprint(self) -> int: ...
    def __new__(
        cls,
        json: bytes,
        *,
        eos: int,
        pad: int,
        image: int,
        bos: int | None = None,
        add_bos: bool = False,
        image_prefix: bool | None = None,
    ) -> Tokenizer: ...
    def encode(self, text: str) -> list[int]: ...
    def decode(self, ids: Sequence[int], skip_special: bool) -> str: ...
    def tokens(self, ids: Sequence[int]) -> list[str]: ...
    def stop(self, template: str) -> tuple[list[int], str]: ...

def available_threads() -> int: ...
def cpu_path() -> str: ...
def cpu_paths() -> list[tuple[str, bool]]: ...
def decode_image(source: _File, options: DecodeOptions) -> NDArray[np.uint8]: ...
def decode_limits() -> list[tuple[str, int]]: ...
def image_size(data: bytes, options: DecodeOptions) -> tuple[int, int]: ...
def encode(
    record: str,
    tokenizer: Tokenizer,
    template: str,
    image_tokens: int | Sequence[int],
    max_length: int,
    reading: tuple[bool, bool],
    shown: bool,
) -> _Encoded: ...
def encode_prompt(
    messages: Sequence[tuple[str, str]],
    tokenizer: Tokenizer,
    template: str,
    image_tokens: Sequence[int],
    shown: bool,
) -> _Encoded: ...
def image_tokens(config: ImageConfig, height: int, width: int) -> int: ...
def template_name(template: str) -> str: ...
def templates() -> list[str]: ...

"""The compiled half of `llava_fast`. T tokens, n pictures, N records."""

from collections.abc import Sequence
from os import PathLike
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Dataset",
    "Epoch",
    "Stream",
    "Tokenizer",
    "__version__",
    "available_threads",
    "encode",
    "encode_prompt",
    "templates",
]

__version__: str

# input_ids (T,), labels (T,), image_starts (n,), and (text, kind, supervised) of each segment
_Sample = tuple[
    NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], list[tuple[str, str, bool]]
]
# record, reason code, message
_Bad = tuple[int, str, str]
# size, mode, patch size, mean, standard deviation
_ImageSettings = tuple[int, str, int, Sequence[float], Sequence[float]]

@final
class Tokenizer:
    def __new__(
        cls,
        json: bytes,
        *,
        eos: int,
        pad: int,
        image: int,
        bos: int | None = None,
        add_bos: bool = False,
    ) -> Tokenizer: ...
    def encode(self, /, text: str) -> list[int]: ...
    def decode(self, /, ids: Sequence[int], skip_special: bool) -> str: ...
    @property
    def bos(self) -> int | None: ...
    @property
    def vocab_size(self) -> int: ...
    @property
    def fingerprint(self) -> int: ...

def encode(
    record: str,
    tokenizer: Tokenizer,
    template: str,
    image_tokens: int | Sequence[int],
    max_length: int,
) -> _Sample: ...
def encode_prompt(
    messages: Sequence[tuple[str, str]],
    tokenizer: Tokenizer,
    template: str,
    image_tokens: Sequence[int],
) -> _Sample: ...
def templates() -> list[str]: ...
def available_threads() -> int: ...

@final
class Dataset:
    def __new__(
        cls,
        path: str | PathLike[str],
        text: str | None,
        *,
        root: str | PathLike[str] | None,
        tokenizer: Tokenizer,
        template: str,
        image: _ImageSettings,
        max_length: int,
    ) -> Dataset: ...
    def __len__(self, /) -> int: ...
    @property
    def fingerprint(self) -> int: ...
    def survey(self, /, skip: bool, threads: int) -> tuple[NDArray[np.int32], int, list[_Bad]]: ...
    def batch(
        self, /, indices: Sequence[int], layout: str, skip: bool, threads: int
    ) -> tuple[dict[str, Any], list[_Bad]]: ...

@final
class Stream:
    def __new__(
        cls,
        lengths: NDArray[np.int32],
        *,
        pack_tokens: int | None,
        batch_size: int | None,
        shuffle: bool,
        drop_last: bool,
        seed: int,
        fingerprint: int,
    ) -> Stream: ...
    def steps(self, /, world: int) -> int: ...
    @property
    def samples(self) -> int: ...
    def epoch(self, /, epoch: int, done: int) -> Epoch: ...

@final
class Epoch:
    def steps(self, /, world: int) -> int: ...
    def batch(self, /, step: int, rank: int, world: int) -> list[int]: ...
    def samples_after(self, /, steps: int, world: int) -> int: ...

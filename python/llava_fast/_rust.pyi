from typing import final

import numpy as np
from numpy.typing import NDArray

__all__ = ["Tokenizer", "__version__", "encode", "encode_prompt", "templates"]

__version__: str

_Arrays = tuple[
    NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], list[tuple[str, str, bool]]
]

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
    def decode(self, /, ids: list[int], skip_special: bool) -> str: ...
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
    image_tokens: int | list[int],
    max_length: int,
) -> _Arrays: ...
def encode_prompt(
    messages: list[tuple[str, str]],
    tokenizer: Tokenizer,
    template: str,
    image_tokens: list[int],
) -> _Arrays: ...
def templates() -> list[str]: ...

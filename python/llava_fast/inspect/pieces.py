"""Ids as text to look at."""

import re

from llava_fast.printable import escaped
from llava_fast.tokenizer import Tokenizer

# What stands for a space inside a token; the character itself is escaped where it occurs.
SPACE = "\N{OPEN BOX}"
ESCAPED_SPACE = "\\u2423"
_SENTENCEPIECE_SPACE = "\N{LOWER ONE EIGHTH BLOCK}"
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_BYTE_LEVEL = re.compile(rb'"type"\s*:\s*"ByteLevel"')


class Pieces:
    """What each id of a tokenizer stands for, on one line and without control characters.

    The bytes of a character that is spread over several tokens are shown as `\\xe6`.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Of a loaded tokenizer; what was looked up once is kept."""
        self._tokenizer = tokenizer
        self._bytes = _byte_alphabet() if _BYTE_LEVEL.search(tokenizer._json) else None
        self._known: dict[int, str] = {}

    def __getitem__(self, index: int) -> str:
        """The text of one id; an id without a token is shown as `?`."""
        if index not in self._known:
            [token] = self._tokenizer.tokens([index])
            self._known[index] = self._shown(token) if token else "?"
        return self._known[index]

    def _shown(self, token: str) -> str:
        byte = _BYTE.fullmatch(token)
        if byte:
            return _text(bytes([int(byte[1], 16)]))
        if self._bytes is None:
            return _spaced(token.replace(_SENTENCEPIECE_SPACE, " "))
        if any(character not in self._bytes for character in token):
            return _spaced(token)  # an added token is written as it is
        return _text(bytes(self._bytes[character] for character in token))


def _text(data: bytes) -> str:
    try:
        return _spaced(data.decode())
    except UnicodeDecodeError:
        return "".join(f"\\x{byte:02x}" if byte > 0x7F else _spaced(chr(byte)) for byte in data)


def _spaced(text: str) -> str:
    return escaped(text).replace(SPACE, ESCAPED_SPACE).replace(" ", SPACE)


def _byte_alphabet() -> dict[str, int]:
    """GPT-2's printable stand-ins for the 256 bytes.

    Source: openai/gpt-2 `encoder.py`, `bytes_to_unicode`.
    """
    own = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in own]
    shifted = {chr(0x100 + place): byte for place, byte in enumerate(others)}
    return {chr(byte): byte for byte in own} | shifted

"""Tokens to text, piece by piece: what has been handed out never changes and never holds a stop
string.
"""

from collections.abc import Callable, Sequence

# What decoders write for bytes that are no character (yet).
BROKEN = "\ufffd"


class TextStream:
    """The text of one answer while its tokens arrive.

    decode: ids to text. stops: strings that end the answer and do not belong to it.
    """

    def __init__(self, decode: Callable[[list[int]], str], stops: Sequence[str] = ()) -> None:
        self.text = ""
        self.stopped = False
        self._decode = decode
        self._stops = stops
        self._ids: list[int] = []
        # Tokens before `_read` are in the text. Decoding starts at `_start`, one piece earlier: the
        # space in front of a token is written only where something stands before it.
        self._start = 0
        self._read = 0
        self._pending = ""

    def push(self, token: int) -> str:
        """Take one token; the text that is certain now, "" while it may still change."""
        self._ids.append(token)
        fresh = self._fresh()
        # The bytes of one character may come as several tokens.
        if not fresh or fresh.endswith(BROKEN):
            return ""
        self._start, self._read = self._read, len(self._ids)
        return self._release(fresh)

    def finish(self, *, whole: bool) -> str:
        """The rest, when no more tokens come.

        whole: the model ended by itself; otherwise the bytes of an unfinished character are
            dropped.
        """
        if self.stopped:
            return ""
        fresh = self._fresh()
        self._start = self._read = len(self._ids)
        piece = self._release(fresh if whole else fresh.rstrip(BROKEN))
        if self.stopped:
            return piece
        # The beginning of a stop string that was never completed is text after all.
        rest, self._pending = self._pending, ""
        self.text += rest
        return piece + rest

    def _fresh(self) -> str:
        """Text of the tokens not read yet."""
        before = self._decode(self._ids[self._start : self._read])
        return self._decode(self._ids[self._start :])[len(before) :]

    def _release(self, fresh: str) -> str:
        """Add to the pending text and take from it what no stop string can claim any more."""
        self._pending += fresh
        found = [at for stop in self._stops if (at := self._pending.find(stop)) >= 0]
        if found:
            self.stopped = True
            cut = min(found)
        else:
            cut = len(self._pending) - max(
                (_overlap(self._pending, stop) for stop in self._stops), default=0
            )
        piece, self._pending = self._pending[:cut], self._pending[cut:]
        self.text += piece
        return piece


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that begins `stop` without being all of it."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)

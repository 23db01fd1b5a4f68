"""Which files of some folders are opened, by whatever code and thread: the kernel says it."""

import ctypes
import os
import struct
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

OPENED = 0x20
EVENT = struct.Struct("iIII")
# Larger than any event, and what one read may bring of them.
ROOM = 1 << 16


class Opens:
    """A context that notes the files opened directly in `folders` while it lasts; Linux only."""

    def __init__(self, folders: Iterable[Path]) -> None:
        self._library = ctypes.CDLL(None, use_errno=True)
        self._folders = list(folders)
        self._watched: dict[int, Path] = {}
        self._notes = -1

    def __enter__(self) -> "Opens":
        self._notes = self._library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        for folder in self._folders:
            number = self._library.inotify_add_watch(self._notes, os.fsencode(folder), OPENED)
            if number < 0:
                raise OSError(ctypes.get_errno(), "cannot watch", str(folder))
            self._watched[number] = folder
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._notes)

    def so_far(self) -> set[Path]:
        """The files opened since the last call."""
        found = set()
        while events := self._read():
            start = 0
            while start < len(events):
                number, _, _, size = EVENT.unpack_from(events, start)
                start += EVENT.size + size
                name = events[start - size : start].rstrip(b"\0")
                # Without a name it is the folder itself.
                if name:
                    found.add(self._watched[number] / os.fsdecode(name))
        return found

    def _read(self) -> bytes:
        try:
            return os.read(self._notes, ROOM)
        except BlockingIOError:
            return b""

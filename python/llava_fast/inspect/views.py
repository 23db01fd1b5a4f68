"""What there is to show of a record, a picture and a pack: plain data, made by `source`."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from llava_fast.text import Segment

# What the template writes.
OWN = ("mark", "token")


class Fault(NamedTuple):
    """Why a record cannot be used: reason code and whole message."""

    code: str
    message: str


@dataclass(frozen=True)
class Picture:
    """A picture of a record.

    start: its first token; tokens: how many it takes.
    file: format, height, width and bytes of its file, None if that cannot be read.
    became: what preprocessing makes of it, such as `pad, 1 tile of 336x336`.
    pixels: the squares that the model gets, (tiles, S, S, 3) uint8; original: the picture in its
        file, (H, W, 3) uint8, made smaller. None if they were not asked for, or it is damaged.
    """

    path: str
    start: int
    tokens: int
    file: "ImageFile | None"
    became: str
    pixels: np.ndarray | None = None
    original: np.ndarray | None = None

    @property
    def stop(self) -> int:
        """One past its last token."""
        return self.start + self.tokens


class ImageFile(NamedTuple):
    """What the header of a picture file says."""

    format: str
    height: int
    width: int
    size: int


@dataclass(frozen=True)
class Record:
    """One record: the sample that the loader makes of it, or the reason why there is none.

    number: position in the data; id: its own name. json: as it is written.
    input_ids, labels: (T,) int64, -100 where nothing is learned; empty if it has none.
    repairs: codes of what was put right. cut_rounds: rounds at the end that do not fit.
    fault: None for a good record.
    """

    number: int
    id: str
    json: str
    input_ids: np.ndarray
    labels: np.ndarray
    segments: list[Segment]
    pictures: list[Picture] = field(default_factory=list)
    repairs: list[str] = field(default_factory=list)
    cut_rounds: int = 0
    fault: Fault | None = None

    @property
    def learned(self) -> int:
        """Supervised tokens."""
        return int((self.labels >= 0).sum())

    @property
    def text_tokens(self) -> int:
        """Tokens that are no picture's."""
        return len(self.input_ids) - sum(picture.tokens for picture in self.pictures)

    @property
    def stops(self) -> list[tuple[int, int]]:
        """[start, stop) of each end of an answer."""
        ends = (segment for segment in self.segments if segment.kind == "stop")
        return [(segment.start, segment.stop) for segment in ends]

    @property
    def rows(self) -> list["Row"]:
        """The segments as they are shown: what the template writes in one go is one row."""
        rows: list[Row] = []
        for segment in self.segments:
            if rows and rows[-1].goes_on_with(segment):
                rows[-1] = Row(self, (*rows[-1].segments, segment))
            else:
                rows.append(Row(self, (segment,)))
        return rows

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "record": self.number,
            "id": self.id,
            "tokens": len(self.input_ids),
            "supervised": self.learned,
            "segments": [segment._asdict() for segment in self.segments],
            "input_ids": self.input_ids.tolist(),
            "labels": self.labels.tolist(),
            "stops": self.stops,
            "images": [_picture_json(picture) for picture in self.pictures],
            "repairs": self.repairs,
            "cut_rounds": self.cut_rounds,
            "fault": self.fault and self.fault._asdict(),
        }


@dataclass(frozen=True)
class Row:
    """Neighbouring segments of a record."""

    record: Record
    segments: tuple[Segment, ...]

    def goes_on_with(self, segment: Segment) -> bool:
        """Whether the template writes `segment` in one go with this."""
        last = self.segments[-1]
        both = last.kind in OWN and segment.kind in OWN
        return both and last.supervised == segment.supervised

    @property
    def kind(self) -> str:
        """Of its only segment, else "mark"."""
        return self.segments[0].kind if len(self.segments) == 1 else "mark"

    @property
    def start(self) -> int:
        """Its first token."""
        return self.segments[0].start

    @property
    def stop(self) -> int:
        """One past its last token."""
        return self.segments[-1].stop

    @property
    def symbol(self) -> str:
        """`+` if all of it is learned, `~` if a part is, else a space."""
        targets = int((self.record.labels[self.start : self.stop] >= 0).sum())
        if targets == 0:
            return " "
        return "+" if targets == self.stop - self.start else "~"

    @property
    def tokens(self) -> Iterator["Token"]:
        """Its tokens in order."""
        for segment in self.segments:
            for place in range(segment.start, segment.stop):
                learned = bool(self.record.labels[place] >= 0)
                yield Token(int(self.record.input_ids[place]), learned, segment.kind == "token")


class Token(NamedTuple):
    """learned: whether it is a target. control: whether the template put it there as an id."""

    id: int
    learned: bool
    control: bool

    @property
    def symbol(self) -> str:
        """`+` learned, `*` control, else a space."""
        return "+" if self.learned else "*" if self.control else " "


def _picture_json(picture: Picture) -> dict[str, Any]:
    return {
        "path": picture.path,
        "start": picture.start,
        "stop": picture.stop,
        "file": picture.file and picture.file._asdict(),
        "became": picture.became,
    }


class Document(NamedTuple):
    """A record inside a pack: its tokens [start, stop), the first and the last of their positions.

    fault: reason code of a record whose place is a hole of pad tokens, empty for the others.
    """

    record: int
    id: str
    start: int
    stop: int
    positions: tuple[int, int]
    supervised: int
    fault: str


@dataclass(frozen=True)
class Pack:
    """One batch of the loader. room: tokens it may hold. restarts: where positions begin anew."""

    step: int
    room: int
    documents: list[Document]
    restarts: list[int]

    @property
    def used(self) -> int:
        """Tokens of its documents."""
        return self.documents[-1].stop if self.documents else 0

    @property
    def words(self) -> str:
        """Its sizes in words."""
        count = len(self.documents)
        return (
            f"{count} document{'' if count == 1 else 's'}, {self.used} of {self.room} tokens, "
            f"{100 * (1 - self.used / self.room):.1f} % padding"
        )

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "batch": self.step,
            "tokens": self.used,
            "room": self.room,
            "padding": 1 - self.used / self.room,
            "documents": [document._asdict() for document in self.documents],
            "position_restarts": self.restarts,
        }

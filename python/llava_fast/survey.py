"""What is known of the records of a data set before a batch is asked for.

The lengths are counted once and kept beside the data (`rust/core/src/counts`). No torch in here.
"""

from typing import NamedTuple

import numpy as np

from llava_fast import _rust
from llava_fast.progress import PATIENCE, Progress, asked_for


class Survey(NamedTuple):
    """Figures of all n records.

    lengths: (n,) int32 tokens, 0 = not usable. image_counts: (n,) uint16 pictures. bad: (record,
    reason code, message) of those that are not usable. repairs: in how many usable records
    something was put right, by code.
    """

    lengths: np.ndarray
    image_counts: np.ndarray
    bad: list[tuple[int, str, str]]
    repairs: dict[str, int]


def survey(
    dataset: _rust.Dataset,
    threads: int,
    *,
    skip: bool = True,
    progress: bool | None = None,
    fresh: bool = False,
) -> Survey:
    """Reads the counts of a data set, and counts what is not kept yet.

    skip: False makes the first bad record an error. progress: whether to say on stderr how far
    that is; None: after two seconds, and in one process of several. fresh: count anew.

    Raises DataError and ImageError as the loader does.
    """
    counts = _rust.Counts(dataset, fresh=fresh)
    patience = PATIENCE if progress is None else None
    notes = Progress(
        counts.total, asked_for(progress), patience=patience, doing="counting tokens: "
    )
    with notes as said:
        while not counts.over:
            said.at(counts.advance(threads), counts.found)
    lengths, images, bad, repairs = counts.result(skip)
    lengths.flags.writeable = images.flags.writeable = False
    return Survey(lengths, images, bad, repairs)

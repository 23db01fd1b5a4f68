"""`llava-fast index`: index and counts of a data set, made once and kept for every later run."""

from collections import Counter
from time import perf_counter
from typing import Any, TextIO

import numpy as np

from llava_fast import _rust
from llava_fast.index.report import Built
from llava_fast.index.request import Request
from llava_fast.mixture import mixture
from llava_fast.progress import Progress


def build(request: Request, progress: TextIO) -> Built:
    """Counts what is not kept yet; `progress` is told how far that is.

    Raises DataError for data that cannot be read at all; a bad record is a finding.
    """
    began = perf_counter()
    dataset = request.open()
    opened = perf_counter()
    counts = _rust.Counts(dataset, fresh=request.fresh)
    threads = request.threads or _rust.available_threads()
    with Progress(counts.total, progress) as said:
        while not counts.over:
            said.at(counts.advance(threads), counts.found)
    figures = _figures(dataset, counts)
    seconds = {"opened_in": opened - began, "counted_in": perf_counter() - opened}
    rounded = {key: round(value, 3) for key, value in seconds.items()}
    return Built(request.settings | figures | rounded | {"files": _files(request, counts)})


def _figures(dataset: _rust.Dataset, counts: _rust.Counts) -> dict[str, Any]:
    lengths, images, bad, repairs = counts.result(True)
    return {
        "fingerprint": f"{dataset.fingerprint:016x}",
        "records": len(lengths),
        "usable": int(np.count_nonzero(lengths)),
        "tokens": int(lengths.sum(dtype=np.int64)),
        "longest": int(lengths.max(initial=0)),
        "images": int(images.sum(dtype=np.int64)),
        "faults": _faults(dataset, bad),
        "repairs": repairs,
        "kept_before": counts.found,
    }


def _faults(dataset: _rust.Dataset, bad: list[tuple[int, str, str]]) -> dict[str, Any]:
    """By reason code, how many records and the first of them."""
    found: dict[str, Any] = {}
    number = Counter(code for _, code, _ in bad)
    for record, code, message in bad:
        if code not in found:
            file, place, name, _ = dataset.describe(record)
            example = {"file": file, "record": place, "id": name, "message": message}
            found[code] = {"records": number[code], "example": example}
    return found


def _files(request: Request, counts: _rust.Counts) -> list[dict[str, str | None]]:
    """By file of the records, where its counts are, or why they are nowhere."""
    parts = mixture(request.data).parts
    return [
        {"data": part.path, "counts": path, "cause": cause or None}
        for part, (path, cause) in zip(parts, counts.kept(), strict=True)
    ]

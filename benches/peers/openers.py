"""What it takes others to open a file of records; each in a process of its own, which says the
seconds, and the MB that are resident before, afterwards and at most: `python -m
benches.peers.openers NAME FILE`."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter


def read_json(path: Path) -> object:
    """As LLaVA does."""
    return json.loads(path.read_text(encoding="utf-8"))


def read_orjson(path: Path) -> object:
    """The fastest parser that makes Python objects."""
    import orjson

    return orjson.loads(path.read_bytes())


def llava(path: Path) -> object:
    """What LLaVA's data set does before the first batch: the file, and the length of each record in
    words, for its sampler."""
    records = read_json(path)
    lengths = []
    for record in records:
        words = sum(len(turn["value"].split()) for turn in record["conversations"])
        lengths.append(words if "image" in record else -words)
    return records, lengths


def hub_datasets(path: Path, cache: str) -> object:
    """`datasets.load_dataset`, which converts the file to Arrow unless it has done so before."""
    from datasets import load_dataset
    from datasets.utils.logging import disable_progress_bar

    disable_progress_bar()
    return load_dataset("json", data_files=str(path), split="train", cache_dir=cache)


OPENERS: dict[str, Callable[..., object]] = {
    "json.load": read_json,
    "orjson": read_orjson,
    "LLaVA: json.load, modality_lengths": llava,
    "datasets": hub_datasets,
}


def resident(field: str = "VmRSS") -> float:
    """MB of this process."""
    status = Path("/proc/self/status").read_text()
    found = re.search(rf"{field}:\s*(\d+)", status)
    return int(found[1]) * 1024 / 1e6 if found else 0.0


if __name__ == "__main__":
    name, *arguments = sys.argv[1:]
    path, *more = arguments
    before, began = resident(), perf_counter()
    kept = OPENERS[name](Path(path), *more)
    seconds = perf_counter() - began
    after, most = resident(), resident("VmHWM")
    print(json.dumps({"seconds": seconds, "before": before, "after": after, "most": most}))

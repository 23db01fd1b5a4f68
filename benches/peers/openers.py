"""What it takes others to open a file of records; each in a process of its own, which says the
seconds, and the MB that are resident before, afterwards and at most: `python -m
benches.peers.openers NAME FILE`. Libraries are imported before the clock starts."""

import importlib
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


# With the modules that each needs.
OPENERS: dict[str, tuple[Callable[..., object], tuple[str, ...]]] = {
    "json.load": (read_json, ()),
    "orjson": (read_orjson, ("orjson",)),
    "LLaVA: json.load, modality_lengths": (llava, ()),
    "datasets": (hub_datasets, ("datasets", "datasets.packaged_modules.json.json")),
}


def resident(field: str = "VmRSS") -> float:
    """MB of this process."""
    status = Path("/proc/self/status").read_text()
    found = re.search(rf"{field}:\s*(\d+)", status)
    return int(found[1]) * 1024 / 1e6 if found else 0.0


def main(name: str, path: str, *more: str) -> dict[str, float]:
    """Open the file as the peer of that name does."""
    opener, modules = OPENERS[name]
    for module in modules:
        importlib.import_module(module)
    before, began = resident(), perf_counter()
    kept = opener(Path(path), *more)
    seconds = perf_counter() - began
    after, most = resident(), resident("VmHWM")
    del kept
    return {"seconds": seconds, "before": before, "after": after, "most": most}


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))

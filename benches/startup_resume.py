"""The first batch of a run that goes on near the end of an epoch.

`python -m benches.startup_resume prepare FILE FOLDER` writes the state of a loader after 99 % of an
epoch, and pictures: those of the batches that follow, and of the first and last ones that are
skipped. `... resume FILE FOLDER`, in a process of its own, prints the seconds until the batch, and
how many pictures were opened: all of them, and those of skipped batches.
"""

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from time import perf_counter

from benches.opens import Opens
from benches.pictures import jpegs
from benches.records import TOKENIZER
from llava_fast import DataLoader, LlavaDataset, Tokenizer

ROOM = 4096
# Batches with pictures: at the start of the epoch, before the place in it, and behind it.
NEAR = 64


def _opened(data: Path, folder: Path) -> DataLoader:
    tokenizer = Tokenizer.from_pretrained(TOKENIZER)
    # The longest conversations do not fit.
    skip = {"on_bad_sample": "skip", "max_bad": 0.01}
    dataset = LlavaDataset(data, folder, tokenizer, **skip, progress=False)
    return DataLoader(dataset, pack_tokens=ROOM)


def prepare(data: Path, folder: Path) -> dict[str, int]:
    """Counts of batches, and of pictures on each side of the place."""
    loader = _opened(data, folder)
    steps = len(loader)
    place = steps * 99 // 100
    before = {*range(min(NEAR, place)), *range(max(place - NEAR, 0), place)}
    after = range(place, min(place + NEAR, steps))
    rest = loader.batch_sampler.stream.epoch(0, 0)

    def pictures(steps: Iterable[int]) -> set[str]:
        records = [record for step in steps for record in rest.batch(step, 0, 1)]
        return {name for r in records for name in loader.dataset.describe(r)["images"]}

    skipped, needed = pictures(before), pictures(after)
    source = folder / "picture.jpg"
    source.write_bytes(jpegs(1)[0])
    for name in skipped | needed:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        os.link(source, folder / name)
    state = loader.state_dict() | {"samples": rest.samples_after(place, 1)}
    kept = {"state": state, "skipped": sorted(skipped)}
    (folder / "kept.json").write_text(json.dumps(kept))
    return {"batches": steps, "skipped": len(skipped), "needed": len(needed)}


def resume(data: Path, folder: Path) -> dict[str, float]:
    """Seconds from the files to the batch, and pictures that were opened on the way."""
    kept = json.loads((folder / "kept.json").read_text())
    skipped = {folder / name for name in kept["skipped"]}
    with Opens({path.parent for path in skipped}) as opens:
        began = perf_counter()
        loader = _opened(data, folder)
        loader.load_state_dict(kept["state"])
        next(iter(loader))
        seconds = perf_counter() - began
        found = opens.so_far()
    return {"seconds": seconds, "opened": len(found), "skipped": len(found & skipped)}


if __name__ == "__main__":
    step = {"prepare": prepare, "resume": resume}[sys.argv[1]]
    print(json.dumps(step(Path(sys.argv[2]), Path(sys.argv[3]))))

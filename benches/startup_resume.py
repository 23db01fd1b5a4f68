"""The first batch of a run that goes on near the end of an epoch: `python -m benches.startup_resume
FOLDER RECORDS` prints the seconds from the state to the batch, and how many of the files of earlier
batches were opened. Those files do not exist, so each would be a bad sample."""

import json
import sys
from pathlib import Path
from time import perf_counter

from benches import mixture
from benches.pictures import jpegs
from benches.records import TOKENIZER
from llava_fast import DataLoader, LlavaDataset, Tokenizer

ROOM = 4096


def main(folder: Path, count: int) -> dict[str, float]:
    data = mixture.write(folder / "mixture.json", count)
    tokenizer = Tokenizer.from_pretrained(TOKENIZER)

    def opened() -> DataLoader:
        dataset = LlavaDataset(data, folder, tokenizer, on_bad_sample="skip", progress=False)
        return DataLoader(dataset, pack_tokens=ROOM)

    loader = opened()
    step = len(loader) * 99 // 100
    rest = loader.batch_sampler.stream.epoch(0, 0)
    state = loader.state_dict() | {"samples": rest.samples_after(step, 1)}
    picture = jpegs(1)[0]
    for number in rest.batch(step, 0, 1):
        for path in loader.dataset.describe(number)["images"]:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(picture)
    began = perf_counter()
    again = opened()
    again.load_state_dict(state)
    next(iter(again))
    seconds = perf_counter() - began
    return {
        "seconds": seconds,
        "opened": len([b for b in again.dataset.bad if b.code == "missing_image"]),
    }


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]))))

"""One opening of a file of records with ours, step by step: `python -m benches.startup FILE THREADS
ROOM` prints seconds, and MB above what the process had with everything imported."""

import json
import sys
from time import perf_counter

from benches.peers.openers import resident
from benches.records import TOKENIZER
from llava_fast import _rust
from llava_fast.config import ImageConfig
from llava_fast.mixture import mixture
from llava_fast.survey import survey
from llava_fast.template import template_text
from llava_fast.tokenizer import Tokenizer


def main(path: str, threads: int, room: int) -> dict[str, float]:
    tokenizer = Tokenizer.from_pretrained(TOKENIZER)
    before, clock = resident(), [perf_counter()]
    files = mixture(path)
    records = _rust.Records(files.parts, files.seed)
    clock.append(perf_counter())
    dataset = _rust.Dataset(
        records,
        images=files.images(None),
        follow_links=False,
        tokenizer=tokenizer._core,
        template=template_text("v1"),
        image=ImageConfig(),
        max_length=2048,
        reading=(False, False),
        cache=None,
    )
    found = survey(dataset, threads, progress=False)
    clock.append(perf_counter())
    stream = _rust.Stream(
        found.lengths,
        found.image_counts,
        pack_tokens=room,
        batch_size=None,
        shuffle=True,
        drop_last=False,
        group_by_length=False,
        batches_per_step=1,
        seed=0,
        fingerprint=dataset.fingerprint,
    )
    planned = perf_counter()
    stream.epoch(1, 0)
    clock.append(perf_counter() - planned)
    return {
        "index": clock[1] - clock[0],
        "counts": clock[2] - clock[1],
        "plan": clock[3],
        "memory": resident() - before,
        "most": resident("VmHWM") - before,
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))

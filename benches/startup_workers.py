"""What worker processes add to the memory of a loader over a file of records: `python -m
benches.startup_workers FILE ROOM METHOD` prints the MB of each, shared pages counted in parts."""

import json
import sys

from benches.memory import tree
from benches.records import TOKENIZER
from llava_fast import DataLoader, LlavaDataset, Tokenizer

WORKERS = 2


def main(path: str, room: int, method: str) -> dict[str, float]:
    """The pictures do not exist: they are bad samples, and the text is all that is worked on."""
    tokenizer = Tokenizer.from_pretrained(TOKENIZER)
    dataset = LlavaDataset(path, None, tokenizer, on_bad_sample="skip", max_bad=1.0)
    options = {"num_workers": WORKERS, "multiprocessing_context": method}
    batches = iter(DataLoader(dataset, pack_tokens=room, **options))
    before = tree()
    for _ in range(2 * WORKERS):
        next(batches)
    return {"each": (tree() - before) / WORKERS}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]), sys.argv[3])))

"""Peak memory of a loader in a process of its own, all its workers counted: `python -m
benches.loader_memory SIDE FILE WORKERS` prints the MB above what torch alone takes."""

import json
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

import torch

from benches.memory import tree

PAUSE = 0.05


def _loader(side: str, data: Path, workers: int) -> Iterable[object]:
    """Imports what the side needs: that is a part of its memory."""
    from benches import loaders

    if side == "threads":
        return loaders.ours(data, **loaders.PADDED, num_threads=workers)
    if side == "workers":
        return loaders.ours(data, **loaders.PADDED, num_workers=workers)
    from benches.peers.llava_loader import fast_tokenizer

    return loaders.peer(data, workers, loaders.PEERS[side][0](), fast_tokenizer())


class Peak:
    """The largest memory of this process and its children while it runs."""

    def __init__(self) -> None:
        self.most = tree()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> "Peak":
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._over.wait(PAUSE):
            self.most = max(self.most, tree())

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def main(side: str, data: Path, workers: int) -> dict[str, float]:
    torch.set_num_threads(1)
    before = tree()
    with Peak() as peak:
        loader = _loader(side, data, workers)
        for _ in range(2):
            for _ in loader:
                pass
    return {"peak": peak.most - before}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))))

"""File bytes to RGB, one picture after the other, against the decoders that a user could pick.

Every decoder must give Pillow's pixels, bit for bit, or nothing is timed.
"""

import numpy as np
import pytest

from benches import pictures
from benches.apart import Case
from benches.conftest import Apart, Gallery
from benches.gates import EXACT, Verdict, against_reference
from benches.peers.decoders import DECODERS, pillow, rgb
from benches.peers.elsewhere import best_path, elsewhere

# Picture sets of which both heap modes are measured.
BOTH_HEAPS = ("coco", "photos")
ROWS = [
    (name, heap, peer)
    for name in pictures.SETS
    for heap in ("default", "warm")
    for peer, decoder in DECODERS.items()
    if name in decoder.sets and (heap == "default" or name in BOTH_HEAPS)
]


@pytest.mark.parametrize(("pictures_", "heap", "peer"), ROWS)
def bench_decode(apart: Apart, gallery: Gallery, pictures_: str, heap: str, peer: str) -> None:
    setting = {"pictures": pictures_, "peer": peer, "heap": heap}
    apart(setting, DECODERS[peer].title, decoder_case, folder=gallery(pictures_), peer=peer)


@pytest.mark.parametrize("cpu", ["avx2", "scalar"])
@pytest.mark.parametrize("peer", ["best_path", "pillow"])
def bench_decode_path(apart: Apart, gallery: Gallery, cpu: str, peer: str) -> None:
    setting = {"pictures": "coco", "peer": peer, "heap": "default", "cpu": cpu}
    if peer == "best_path":
        apart(setting, "ours on the best path", path_case, folder=gallery("coco"))
    else:
        apart(setting, "Pillow", decoder_case, folder=gallery("coco"), peer=peer)


def decoder_case(folder: str, peer: str) -> Case:
    """Ours against one decoder over the files of a folder."""
    from llava_fast import decode_image

    files = pictures.read(folder)
    decode = DECODERS[peer].make()
    return Case(
        ours=lambda: [decode_image(file) for file in files],
        peer=lambda: [decode(file) for file in files],
        check=lambda: _check(files, decode_image, decode),
        items=len(files),
    )


def path_case(folder: str) -> Case:
    """Ours on the path of this process against ours on the best path, in another process."""
    files = pictures.read(folder)

    def ours() -> list[np.ndarray]:
        from llava_fast import decode_image

        return [decode_image(file) for file in files]

    other = elsewhere(ours, best_path())
    return Case(ours, other.run, lambda: other.check(ours()), len(files))


def _check(files: list[bytes], ours: object, peer: object) -> Verdict:
    for file in files:
        against_reference(ours(file), rgb(peer(file)), pillow(file), EXACT)
    return Verdict(exact=True, error=(0.0, 0.0))

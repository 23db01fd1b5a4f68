"""Memory of outputs is used again, and never while anything refers to it."""

import gc
import hashlib
import os
import pickle
import random
import threading
import weakref

import numpy as np
import pytest
import torch

from llava_fast import ImageConfig, ImageProcessor, decode_image
from tests.data.make_pictures import jpeg, scene
from tests.scale import scaled

CONFIGS = [
    ImageConfig(size=196),
    ImageConfig(size=224, mode="pad", output="pixel_patches"),
    ImageConfig(size=112, mode="anyres"),
    ImageConfig(size=112, mode="anyres", output="pixel_patches"),
]
FILES = [jpeg(scene(40 + 7 * i, 90 - 5 * i, i)) for i in range(8)]


def outputs(rng: random.Random, processors: list[ImageProcessor]) -> np.ndarray:
    """The pixels of some pictures, each time another number of them."""
    processor = rng.choice(processors)
    files = rng.choices(FILES, k=rng.randint(1, 6))
    return processor(files, "np")[processor.config.output]


def digest(array) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(array), digest_size=8).digest()


def held(array: np.ndarray, rng: random.Random):
    """Something that keeps the array's memory alive; the array itself may go."""
    kind = rng.randrange(6)
    if kind == 0:
        return array[len(array) // 2 :, 1:]
    if kind == 1:
        return torch.from_numpy(array)
    if kind == 2:
        return torch.from_dlpack(array)[:1]
    if kind == 3:
        return memoryview(array)
    if kind == 4:
        return pickle.loads(pickle.dumps(array))
    return array


def test_outputs_that_are_held_stay_as_they_are():
    """Random calls on several threads: most outputs are dropped at once, in another thread."""
    most = scaled(1_000, least=60)
    processors = [ImageProcessor(config, num_threads=2) for config in CONFIGS]
    kept: list[tuple[object, bytes]] = []
    failures: list[BaseException] = []

    def work(seed: int) -> None:
        rng = random.Random(seed)
        try:
            while len(kept) < most:
                array = outputs(rng, processors)
                if rng.random() < 0.6:
                    threading.Thread(target=lambda gone: None, args=(array,)).start()
                    continue
                thing = held(array, rng)
                kept.append((thing, digest(thing)))
                if rng.random() < 0.2:
                    thing, expected = kept.pop(rng.randrange(len(kept) // 2 + 1))
                    assert digest(thing) == expected
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(kept) >= most
    assert all(digest(thing) == expected for thing, expected in kept)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.mode}, {c.output}")
def test_used_memory_shows_nothing_of_its_past(config):
    """Every byte is written again, padding too."""
    processor = ImageProcessor(config, num_threads=1)
    first = {key: array.copy() for key, array in processor(FILES, "np").items()}
    for _ in range(3):
        dirty = processor(FILES[:6] * 2, "np")
        dirty[config.output].view(np.uint8)[...] = 0xAB
        del dirty
        again = processor(FILES, "np")
        again_dirty = {key: array.copy() for key, array in again.items()}
        again[config.output].view(np.uint8)[...] = 0xCD
        del again
        assert all(np.array_equal(first[key], again_dirty[key]) for key in first)


def place(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


def test_memory_comes_back_with_its_last_user():
    processor = ImageProcessor(num_threads=1)
    batch = processor(FILES[:3], "np")["pixel_values"]
    before = place(batch)
    view = torch.from_numpy(batch)[1:, 0]
    del batch
    gc.collect()
    other = processor(FILES[:3], "np")["pixel_values"]
    assert place(other) != before
    del view
    assert place(processor(FILES[:3], "np")["pixel_values"]) == before


def test_a_decoded_picture_has_its_memory_to_itself():
    """Beyond 256 KiB it comes from the pool, and goes back there with its last user."""
    files = [jpeg(scene(500, 400, seed)) for seed in (1, 2)]
    first, second = decode_image(files[0]), decode_image(files[1])
    assert not np.shares_memory(first, second)
    expected = digest(second)
    first[:] = 7
    assert first.flags.carray
    assert digest(second) == expected
    before, view = place(first), first[3:, ::2]
    del first
    other = decode_image(files[1])
    assert place(other) != before
    assert (view == 7).all()
    del view
    again = decode_image(files[1])
    assert place(again) == before
    assert digest(again) == digest(other) == expected


def test_an_array_is_the_callers_own():
    batch = ImageProcessor(num_threads=1)(FILES, "np")["pixel_values"]
    assert batch.flags.carray
    assert not batch.flags.owndata
    with pytest.raises(ValueError, match="own"):
        batch.resize(3, refcheck=False)
    gone = weakref.ref(batch)
    del batch
    assert gone() is None


def test_no_page_is_faulted_in_twice():
    """Where the allocator hands out fresh memory, a batch costs 330 page faults a picture."""
    import resource

    smaller = ImageProcessor(ImageConfig(size=112), num_threads=2)
    many = [smaller(FILES * 8, "np") for _ in range(32)]  # 32 x 9 MiB, more than may lie idle
    del many  # memory of a size that nobody asks for any more
    processor = ImageProcessor(num_threads=1)
    batch = FILES * 4
    faults = []
    for _ in range(4):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        processor(batch, "np")
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    assert min(faults) < 20 * len(batch)


def test_little_memory_lies_idle():
    """256 MiB at most, whatever was in use at once."""
    processor = ImageProcessor(num_threads=2)
    many = [processor(FILES * 2, "np") for _ in range(16)]  # 16 x 21 MiB
    in_use = resident()
    del many
    assert resident() <= in_use - (16 * 20 - 256 << 20)


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_forked_child_has_memory_of_its_own():
    processor = ImageProcessor(num_threads=2)
    batches = [processor(FILES, "np")["pixel_values"] for _ in range(4)]
    expected = [digest(batch) for batch in batches]
    del batches[1], expected[1]  # lies idle in the parent
    child = os.fork()
    if child == 0:
        code = 1
        try:
            mine = [processor(FILES[::-1], "np")["pixel_values"] for _ in range(5)]
            good = [digest(batch) for batch in mine] == [digest(mine[0])] * 5
            good &= [digest(batch) for batch in batches] == expected
            del batches, mine
            good &= digest(processor(FILES, "np")["pixel_values"]) == expected[0]
            code = 0 if good else 2
        finally:
            os._exit(code)
    mine = [processor(FILES, "np")["pixel_values"] for _ in range(5)]
    assert os.waitpid(child, 0)[1] == 0
    assert [digest(batch) for batch in batches] == expected
    assert [digest(batch) for batch in mine] == [expected[0]] * 5

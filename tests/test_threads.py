"""Threads, worker processes, signals and the end of the interpreter."""

import hashlib
import multiprocessing
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch

from llava_fast import DataLoader, ImageConfig, ImageProcessor
from tests import tiny_data
from tests.data.make_pictures import jpeg, scene
from tests.scale import scaled
from tests.tiny_data import PACK

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("threads")
    tiny_data.write(folder, 40)
    return folder


def digest(loader):
    state = hashlib.sha256()
    for batch in loader:
        state.update(batch["input_ids"].numpy().tobytes())
        if "pixel_values" in batch:
            state.update(batch["pixel_values"].numpy().tobytes())
    return state.hexdigest()


def tell(queue, loader):
    queue.put(digest(loader))


def digest_in_a_child(loader, method):
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    child = context.Process(target=tell, args=(queue, loader))
    child.start()
    answer = queue.get(timeout=60)
    child.join(60)
    assert child.exitcode == 0
    return answer


# Where the loader is, how many worker processes it has, and how all of them begin; the cheap first.
STARTS = [
    ("here", 2, "fork"),
    ("child", 0, "fork"),
    ("child", 2, "fork"),
    ("child", 0, "forkserver"),
    ("here", 2, "spawn"),
    ("here", 4, "fork"),
    ("here", 2, "forkserver"),
    ("child", 2, "forkserver"),
    ("here", 4, "forkserver"),
    ("child", 0, "spawn"),
    ("child", 2, "spawn"),
    ("here", 4, "spawn"),
]


@pytest.mark.filterwarnings("ignore:This DataLoader will create 4 worker processes")
def test_start_methods_after_the_parent_used_its_threads(folder):
    """With an iterator open in the parent, whose threads are not in any other process."""
    dataset = tiny_data.dataset(folder)
    alone = digest(DataLoader(dataset, pack_tokens=PACK, num_threads=3))
    for place, workers, method in STARTS[: scaled(12, least=5)]:
        ours = iter(DataLoader(dataset, pack_tokens=PACK, num_threads=3))
        next(ours)
        options = {"multiprocessing_context": method, "timeout": 60} if workers else {}
        loader = DataLoader(
            dataset, pack_tokens=PACK, num_threads=3, num_workers=workers, **options
        )
        read = digest(loader) if place == "here" else digest_in_a_child(loader, method)
        assert read == alone, (place, workers, method)
        next(ours)


class Pictures(torch.utils.data.Dataset):
    """Prepared pictures, as someone with a data set of their own makes them."""

    def __init__(self):
        config = ImageConfig(size=112, mode="anyres")
        self.processors = [ImageProcessor(config), ImageProcessor(config, num_threads=3)]

    def __len__(self):
        return 6

    def __getitem__(self, index):
        pictures = [jpeg(scene(60 + i, 50, index)) for i in range(3)]
        batch = self.processors[index % 2](pictures)
        return batch["pixel_values"], batch["image_sizes"]


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_an_image_processor_in_worker_processes(method):
    pictures = Pictures()
    alone = [pictures[index] for index in range(6)]
    loader = torch.utils.data.DataLoader(
        pictures,
        batch_size=None,
        num_workers=2,
        multiprocessing_context=method,
        timeout=60,
    )
    for (pixels, sizes), (expected, expected_sizes) in zip(loader, alone, strict=True):
        assert torch.equal(pixels, expected)
        assert torch.equal(sizes, expected_sizes)


def test_forks_of_a_parent_whose_processor_is_busy():
    """A child neither waits for the parent's threads nor writes into what it holds."""
    processor = ImageProcessor(ImageConfig(size=196), num_threads=3)
    pictures = [jpeg(scene(60 + i, 50, i)) for i in range(9)]
    expected = processor(pictures, "np")["pixel_values"]
    done = threading.Event()

    def work():
        while not done.is_set():
            processor(pictures, "np")

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for number in range(scaled(200, least=4)):
            child = os.fork()
            if child == 0:
                signal.alarm(60)
                same = [
                    np.array_equal(processor(pictures, "np")["pixel_values"], expected)
                    for _ in range(3)
                ]
                os._exit(0 if all(same) else 1)
            assert os.waitpid(child, 0)[1] == 0, f"fork {number}"
    finally:
        done.set()
        for thread in threads:
            thread.join()


def test_forks_while_the_pool_is_busy(folder):
    """A child builds its own pool, whatever the parent's threads were doing."""
    dataset = tiny_data.dataset(folder)
    context = multiprocessing.get_context("fork")
    for number in range(scaled(400)):
        for _ in DataLoader(dataset, pack_tokens=PACK, num_threads=4, prefetch=3):
            loader = DataLoader(dataset, batch_size=8, num_threads=4, prefetch=0)
            child = context.Process(target=digest, args=(loader,))
            child.start()
            child.join(60)
            assert child.exitcode == 0, f"fork {number}"
            break


def script(folder, body):
    """A Python process with `loader` defined, which then runs `body`."""
    code = f"""
import os, signal, sys, threading, time
from pathlib import Path
sys.path.insert(0, {ROOT!r})
from llava_fast import DataLoader
from tests import tiny_data
dataset = tiny_data.dataset(Path({str(folder)!r}))
loader = DataLoader(dataset, batch_size=2, num_threads=3, prefetch=3)
{body}
"""
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize(("workers", "times"), [(0, 80), (2, 20)])
def test_the_interpreter_ends_cleanly_with_a_live_iterator(folder, workers, times):
    """Right after the first batch, or in the middle of reading ahead."""
    times = scaled(times, least=3)
    body = f"""
for number in range({times}):
    if os.fork() == 0:
        loader = DataLoader(dataset, batch_size=2, num_threads=3, num_workers={workers})
        iterator = iter(loader)
        for _ in range(1 + number % 3):
            next(iterator)
        time.sleep(0.01 * (number % 4))
        sys.exit(0)
    assert os.wait()[1] == 0, number
iterator = iter(loader)
next(iterator)
print("end")
"""
    process = script(folder, body)
    out, errors = process.communicate(timeout=300)
    assert (process.returncode, out, errors) == (0, "end\n", "")

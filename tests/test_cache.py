"""The pixel cache: whatever happens to its folder, the pixels are those without a cache."""

import multiprocessing
import pickle
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from llava_fast import ImageConfig, ImageError, ImageProcessor
from tests.data.make_pictures import jpeg, scene
from tests.repository import ROOT
from tests.scale import scaled

FILES = [jpeg(scene(40 + 7 * i, 90 - 5 * i, i)) for i in range(8)]
CONFIGS = [
    ImageConfig(size=112, mode="pad"),
    ImageConfig(size=112, output="pixel_patches"),
    ImageConfig(size=56, mode="anyres", grid_pinpoints=[(56, 112), (112, 112), (112, 56)]),
]
# With this cap a segment holds one picture of 3 * 112 * 112 bytes.
SMALL = 2**20


def same(processor: ImageProcessor, files: list[bytes] = FILES) -> None:
    """Every array is as without a cache, one picture at a time and all at once."""
    plain = ImageProcessor(processor.config, num_threads=1)
    for batch in [*([file] for file in files), files]:
        got, expected = processor(batch, "np"), plain(batch, "np")
        assert got.keys() == expected.keys()
        for key, array in expected.items():
            np.testing.assert_array_equal(got[key], array, strict=True)


def open_small(folder: Path, config: ImageConfig = CONFIGS[0]) -> ImageProcessor:
    return ImageProcessor(config, num_threads=1, cache=folder, cache_bytes=SMALL)


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.pixels"))


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: f"{config.mode}-{config.output}")
def test_filled_and_read_the_pixels_are_the_same(tmp_path, config):
    for round_ in range(2):
        processor = ImageProcessor(config, num_threads=2, cache=tmp_path)
        same(processor)
        same(pickle.loads(pickle.dumps(processor)))
        assert processor.cache_stats["misses"] == (0 if round_ else len(FILES))
        assert processor.cache_stats["hits"] == len(FILES) * (1 + round_)
    assert ImageProcessor(config).cache_stats == {}


def test_settings_never_share_pictures(tmp_path):
    for mode in ("crop", "pad", "stretch"):
        for mean in ((0.1, 0.2, 0.3), (0.5, 0.5, 0.5)):
            processor = open_small(tmp_path, ImageConfig(size=56, mode=mode, mean=mean))
            same(processor)
            assert processor.cache_stats["hits"] == len(FILES)


def test_a_bad_file_stays_an_error(tmp_path):
    processor = open_small(tmp_path)
    for _ in range(2):
        with pytest.raises(ImageError, match=r"images\[0\]"):
            processor(FILES[0][:200])
    assert processor.cache_stats["written"] == 0


def test_a_folder_or_size_that_cannot_be_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"cache `.*file`"):
        ImageProcessor(cache=tmp_path / "file")
    with pytest.raises(ValueError, match="cache_bytes: got 5"):
        ImageProcessor(cache=tmp_path, cache_bytes=5)


def fill(folder: Path, seed: int) -> None:
    """What a process does that shares the cache with others."""
    processor = open_small(folder)
    same(processor, random.Random(seed).sample(FILES, len(FILES)))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_write_at_once(tmp_path, method):
    context = multiprocessing.get_context(method)
    processes = [context.Process(target=fill, args=(tmp_path, seed)) for seed in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    same(open_small(tmp_path))


def test_a_forked_process_writes_a_segment_of_its_own(tmp_path):
    processor = ImageProcessor(CONFIGS[0], num_threads=2, cache=tmp_path)
    stop = threading.Event()

    def busy() -> None:
        while not stop.is_set():
            processor(FILES[:4])

    # The parent's locks are held at any moment of a fork.
    thread = threading.Thread(target=busy)
    thread.start()
    try:
        for _ in range(scaled(100, least=5)):
            child = multiprocessing.get_context("fork").Process(target=same, args=(processor,))
            child.start()
            child.join(60)
            assert child.exitcode == 0
    finally:
        stop.set()
        thread.join()
    assert len(segments(tmp_path)) >= 2
    same(ImageProcessor(CONFIGS[0], cache=tmp_path))


WRITER = """
import sys
from pathlib import Path
from tests.test_cache import FILES, open_small
print(flush=True)
salt = 0
while True:
    salt += 1
    # Bytes behind the end of a JPEG change its content, and no pixel.
    open_small(Path(sys.argv[1]))([file + str(salt).encode() for file in FILES])
    open_small(Path(sys.argv[1]))(FILES)
"""


def test_killed_at_any_point(tmp_path):
    rng = random.Random(1)
    for _ in range(scaled(200, least=3)):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE
        )
        writer.stdout.readline()
        time.sleep(rng.uniform(0, 0.05))
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        same(open_small(tmp_path))


def limited(folder: Path, size: int) -> None:
    """A file that may not grow fails in the middle of a record, as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    processor = ImageProcessor(CONFIGS[0], num_threads=1, cache=folder)
    same(processor)
    assert processor.cache_stats["unwritten"] > 0
    same(processor)


@pytest.mark.parametrize("size", [0, 10, 64, 1000, 50_000])
def test_a_full_disk_stops_the_writing_only(tmp_path, size):
    process = multiprocessing.get_context("fork").Process(target=limited, args=(tmp_path, size))
    process.start()
    process.join(60)
    assert process.exitcode == 0
    same(open_small(tmp_path))


def damage(path: Path, rng: random.Random) -> None:
    data = bytearray(path.read_bytes())
    if rng.random() < 0.4:
        data = data[: rng.randrange(len(data) + 1)]
    for _ in range(rng.randrange(4)):
        if data:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    # In place: a process that has the file open sees it too.
    with path.open("r+b") as file:
        file.truncate(len(data))
        file.write(data)


def test_damaged_segments_are_misses_and_written_again(tmp_path):
    rng = random.Random(2)
    damaged = 0
    for round_ in range(scaled(500, least=10)):
        folder = tmp_path / str(round_ // 10)
        if round_ % 10 == 0:
            kept = ImageProcessor(CONFIGS[0], num_threads=1, cache=folder)
            same(kept)
        for path in segments(folder):
            damage(path, rng)
        same(kept)
        fresh, again = (ImageProcessor(CONFIGS[0], num_threads=1, cache=folder) for _ in range(2))
        same(fresh)
        same(again)
        assert again.cache_stats["misses"] == 0
        damaged += fresh.cache_stats["misses"]
    assert damaged > 0


def test_the_folder_stays_below_its_cap(tmp_path):
    processor = open_small(tmp_path)
    other = open_small(tmp_path)
    for salt in range(scaled(400, least=8)):
        files = [file + str(salt).encode() for file in FILES]
        same(processor, files)
        same(other, files)
        assert sum(path.stat().st_size for path in segments(tmp_path)) <= SMALL
    assert len(segments(tmp_path)) > 1

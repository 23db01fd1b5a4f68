"""Paths that are no picture files: refused at once with the cause; nothing waits or grows."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from llava_fast import ImageConfig, ImageError, ImageProcessor, decode_image
from tests.data.make_pictures import jpeg, scene

# Ten milliseconds are the target; other processes may hold the machine.
SECONDS = 5 * 0.010


@pytest.fixture
def places(tmp_path: Path) -> Iterator[dict[str, Path]]:
    """Paths by what they are."""
    os.mkfifo(tmp_path / "pipe")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(os.path.relpath(tmp_path / "socket"))
    with (tmp_path / "sparse").open("wb") as sparse:
        sparse.truncate((64 << 20) + 1)
    (tmp_path / "empty").touch()
    for name, target in {
        "link to a pipe": tmp_path / "pipe",
        "link to zeros": Path("/dev/zero"),
        "loop": tmp_path / "loop",
        "dangling": tmp_path / "nothing",
    }.items():
        (tmp_path / name).symlink_to(target)
    names = ("pipe", "socket", "sparse", "empty", "link to a pipe", "link to zeros", "loop")
    yield {name: tmp_path / name for name in (*names, "dangling", "missing")} | {
        "directory": tmp_path,
        "device": Path("/dev/zero"),
        "null": Path("/dev/null"),
        "below a file": tmp_path / "empty" / "x",
        "long name": tmp_path / ("x" * 300),
        "process memory": Path("/proc/self/mem"),
        "up and down": tmp_path / "missing" / ".." / "empty",
    }
    listener.close()


CAUSES = {
    "pipe": "not a regular file",
    "socket": "no such device or address",
    "sparse": "image refused: the file is larger than 67108864 bytes",
    "empty": "not an image: empty file",
    "link to a pipe": "not a regular file",
    "link to zeros": "not a regular file",
    "loop": "too many levels of symbolic links",
    "dangling": "no such file",
    "missing": "no such file",
    "directory": "is a directory",
    "device": "not a regular file",
    "null": "not a regular file",
    "below a file": "a parent is not a directory",
    "long name": "file name too long",
    "process memory": "input/output error",
    "up and down": "no such file",
}


@pytest.mark.parametrize("kind", CAUSES)
def test_each_is_refused_at_once(places: dict[str, Path], kind: str):
    path = places[kind]
    processor = ImageProcessor(ImageConfig(size=28), num_threads=1)
    for read in (decode_image, lambda path: processor([path], "np")):
        start = time.perf_counter()
        with pytest.raises(ImageError) as error:
            read(path)
        assert time.perf_counter() - start < SECONDS
        assert str(error.value).startswith(f"image `{path}`: {CAUSES[kind]}")


def test_no_permission(tmp_path: Path):
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    path = tmp_path / "private.jpg"
    path.write_bytes(jpeg(scene(9, 9, 0)))
    path.chmod(0)
    with pytest.raises(ImageError, match="permission denied"):
        decode_image(path)


@pytest.mark.parametrize("accident", ["grows", "shrinks", "vanishes", "is replaced"])
def test_a_file_that_changes_while_it_is_read(tmp_path: Path, accident: str):
    """Each time the picture as it was at some moment, or an error; whatever is read is decoded."""
    path, other = tmp_path / "changing.jpg", tmp_path / "other"
    first, second = (jpeg(scene(300, 200, seed), quality=95) for seed in range(2))
    pictures = [decode_image(data) for data in (first, second)]
    stop = threading.Event()

    def change() -> None:
        while not stop.is_set():
            if accident == "is replaced":
                other.write_bytes(second)
                other.rename(path)
            else:
                with path.open("r+b") if path.exists() else path.open("wb") as file:
                    file.write(first)
                    if accident == "grows":
                        file.write(bytes(1 << 20))
                        file.truncate(len(first))
                    elif accident == "shrinks":
                        file.truncate(len(first) // 2)
                if accident == "vanishes":
                    path.unlink()

    path.write_bytes(first)
    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(200):
            try:
                pixels = decode_image(path)
            except ImageError:
                continue
            assert any(np.array_equal(pixels, picture) for picture in pictures)
    finally:
        stop.set()
        thread.join()


def test_a_name_with_a_zero_byte():
    with pytest.raises((ImageError, ValueError)):
        decode_image("a\0b.jpg")

"""What happens to a loader from outside: processes that die or hang, disks that do not answer,
exceptions that do not travel. Nothing but the bad sample is lost, and no wait is for ever."""

import inspect
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from itertools import islice
from pathlib import Path

import pytest
import torch
from torch.utils.data import get_worker_info

from llava_fast import DataError, DataLoader, ImageError, LlavaDataset
from tests import tiny_data
from tests.scale import scaled

ROOT = Path(__file__).resolve().parent.parent
COUNT, BATCH, BAD = 64, 4, 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faults")
    tiny_data.write(folder, COUNT)
    return folder


def ids(batches):
    return [batch["input_ids"].tolist() for batch in batches]


def raises(error):
    def fault():
        raise error

    return fault


def raise_one_of_a_local_class():
    class UnpicklableError(Exception):
        pass

    raise UnpicklableError


def segfault():
    import ctypes

    ctypes.string_at(0)


DIED = r"batch 5 of epoch 0: DataLoader worker \(pid.*\) (exited unexpectedly|is killed by signal)"
# What happens where record 20 is read in a worker process, and what is said of it.
FAULTS = {
    "killed": (lambda: os.kill(os.getpid(), signal.SIGKILL), DIED),
    "exit 0": (lambda: os._exit(0), DIED),
    "hangs": (threading.Event().wait, "batch 5 of epoch 0: not there after 3 s"),
    "StopIteration": (raises(StopIteration), "batch 5 of epoch 0: StopIteration was raised in a"),
    "segmentation fault": (segfault, DIED),
    "abort": (os.abort, DIED),
    "exit 1": (lambda: os._exit(1), DIED),
    "sys.exit": (lambda: sys.exit(), DIED),
    "Ctrl-C in the worker alone": (raises(KeyboardInterrupt), DIED),
    "exception that cannot be sent": (raise_one_of_a_local_class, "batch 5 of epoch 0: not there"),
}


def planted(fault):
    """A `worker_init_fn`: in worker processes the data set meets `fault` at record 20."""

    def plant(_):
        kind = type(get_worker_info().dataset)
        read = kind.__getitems__

        def meet(self, plan):
            if BAD in plan:
                # torch raises at once, wherever the main process is; it waits for us by then.
                time.sleep(1)
                fault()
            return read(self, plan)

        kind.__getitems__ = meet

    return plant


@pytest.mark.parametrize("name", list(FAULTS)[: scaled(len(FAULTS), least=4)])
def test_a_worker_process_that_fails_is_named_soon_and_loses_nothing(folder, name):
    fault, said = FAULTS[name]
    options = {"batch_size": BATCH, "shuffle": False}
    dataset = tiny_data.dataset(folder)
    whole = ids(DataLoader(dataset, **options))
    loader = DataLoader(
        dataset,
        **options,
        num_workers=2,
        multiprocessing_context="fork",
        timeout=3,
        worker_init_fn=planted(fault),
    )
    seen, begun = [], time.monotonic()
    with pytest.raises(DataError, match=said) as error:
        seen.extend(batch["input_ids"].tolist() for batch in loader)
    assert time.monotonic() - begun < 5 * 3
    assert str(error.value).endswith("it has the records 20, 21, 22, 23")
    assert error.value.code == "lost_batch"
    assert len(seen) == BAD // BATCH
    again = DataLoader(dataset, **options)
    again.load_state_dict(json.loads(json.dumps(loader.state_dict())))
    assert seen + ids(again) == whole


def test_by_default_there_is_no_other_process_and_no_foreign_code(folder):
    """`None`, arrays of a wrong shape and exceptions of hooks have no way in."""
    loader = DataLoader(tiny_data.dataset(folder), batch_size=BATCH)
    assert loader.num_workers == 0
    for hook in ("collate_fn", "sampler", "batch_sampler"):
        with pytest.raises(TypeError, match=f"`{hook}` is not taken"):
            DataLoader(loader.dataset, batch_size=BATCH, **{hook: list})
    assert not [p for p in inspect.signature(LlavaDataset).parameters if "transform" in p]
    shapes = {tuple(batch["pixel_values"].shape[1:]) for batch in loader if "pixel_values" in batch}
    assert shapes == {(3, 28, 28)}


@pytest.mark.parametrize("workers", [0, 2])
def test_after_a_bad_sample_that_raises_the_pass_goes_on(folder, tmp_path, workers):
    """What torch's own data sets do; the type of the exception survives the way out of a worker."""
    broken = shutil.copytree(folder, tmp_path / "broken")
    (picture,) = broken.glob(f"{BAD}.*")
    picture.write_bytes(b"no picture")
    options = {"batch_size": BATCH, "shuffle": False, "num_workers": workers}
    whole = ids(DataLoader(tiny_data.dataset(folder), **options))
    batches = iter(DataLoader(tiny_data.dataset(broken), **options))
    before = ids(islice(batches, BAD // BATCH))
    with pytest.raises(ImageError, match=rf"record {BAD} \(id `r{BAD}`\) in .*not an image"):
        next(batches)
    assert before + ids(batches) == [*whole[:5], *whole[6:]]


def fifo(path):
    os.mkfifo(path)


def link_to_itself(path):
    path.symlink_to(path.name)


def endless(path):
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("make", [fifo, link_to_itself, endless], ids=lambda f: f.__name__)
def test_a_picture_that_is_no_file_is_one_bad_sample_at_once(folder, tmp_path, make, workers):
    broken = shutil.copytree(folder, tmp_path / "broken")
    (picture,) = broken.glob(f"{BAD}.*")
    picture.unlink()
    make(picture)
    begun = time.monotonic()
    lost_only_the_bad_one(folder, broken, "unreadable_image|not_an_image|missing_image", workers)
    assert time.monotonic() - begun < 10


def lost_only_the_bad_one(folder, broken, code, workers=0, **settings):
    options = {"batch_size": BATCH, "shuffle": False, "num_workers": workers}
    dataset = tiny_data.dataset(broken, on_bad_sample="skip", **settings)
    holes = list(DataLoader(dataset, **options))
    good = list(DataLoader(tiny_data.dataset(folder), **options))
    pad = dataset.tokenizer.pad_id
    for number, (before, after) in enumerate(zip(good, holes, strict=True)):
        rows = [row for row in range(BATCH) if number * BATCH + row != BAD]
        for key in ("input_ids", "labels", "attention_mask"):
            assert torch.equal(before[key][rows], after[key][rows])
        if len(rows) < BATCH:
            assert (after["input_ids"][BAD % BATCH] == pad).all()
    [bad] = dataset.bad
    assert bad.record == BAD
    assert bad.code in code.split("|")
    return bad


# Reads of files whose name says so never end, as on a network file system that is gone.
SHIM = r"""
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static void wait_if_stuck(int file) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length > 0) {
        path[length] = 0;
        while (strstr(path, "/stuck/20.")) sleep(1000);
    }
}

ssize_t read(int file, void *buffer, size_t size) {
    wait_if_stuck(file);
    return syscall(SYS_read, file, buffer, size);
}

ssize_t pread64(int file, void *buffer, size_t size, off_t at) {
    wait_if_stuck(file);
    return syscall(SYS_pread64, file, buffer, size, at);
}
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
@pytest.mark.parametrize("workers", [0, 2])
def test_a_read_that_never_ends_is_one_bad_sample(folder, tmp_path, workers):
    stuck = shutil.copytree(folder, tmp_path / "stuck")
    (tmp_path / "shim.c").write_text(SHIM)
    shim = tmp_path / "shim.so"
    compiler = ["cc", "-shared", "-fPIC", "-O1", "-o", str(shim), str(tmp_path / "shim.c")]
    subprocess.run(compiler, check=True)
    code = f"""
from pathlib import Path
from tests.test_faults import lost_only_the_bad_one
bad = lost_only_the_bad_one(
    Path({str(folder)!r}), Path({str(stuck)!r}), "stuck_read", {workers}, read_timeout=2.0
)
assert bad.message.endswith("not read after 2s: written off"), bad
"""
    begun = time.monotonic()
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | {"LD_PRELOAD": str(shim)},
        check=True,
        timeout=120,
    )
    assert time.monotonic() - begun < 60


@pytest.mark.parametrize("kind", [DataError, ImageError])
def test_our_exceptions_travel(kind):
    """As torch sends them: `ExceptionWrapper` builds the exception from one string."""
    from torch._utils import ExceptionWrapper

    try:
        raise kind("record 7 is bad", "a_code")
    except kind:
        wrapped = ExceptionWrapper(where="in a worker")
    with pytest.raises(kind, match="record 7 is bad"):
        wrapped.reraise()


@pytest.mark.parametrize("workers", [0, 2])
def test_the_place_is_right_after_an_exception_that_was_caught(folder, tmp_path, workers):
    broken = shutil.copytree(folder, tmp_path / "broken")
    for number in (BAD, COUNT - 2):
        (picture,) = broken.glob(f"{number}.*")
        picture.write_bytes(b"no picture")
    options = {"batch_size": BATCH, "shuffle": False, "num_workers": workers}
    loader = DataLoader(tiny_data.dataset(broken), **options)
    batches, places = iter(loader), []
    while True:
        try:
            next(batches)
        except StopIteration:
            break
        except ImageError:
            places.append(loader.state_dict()["samples"])
        else:
            places.append(loader.state_dict()["samples"])
    assert places == [4, 8, 12, 16, 20, 20, *range(28, 64, 4), 60]


def interrupted(*_):
    raise KeyboardInterrupt


def test_ctrl_c_that_is_caught_loses_no_batch(folder, monkeypatch):
    """The same iterator goes on with the batch that was not waited for."""
    dataset = tiny_data.dataset(folder)
    whole = ids(DataLoader(dataset, batch_size=BATCH))
    loader = DataLoader(dataset, batch_size=BATCH)
    batches = iter(loader)
    seen = ids(islice(batches, 3))
    with monkeypatch.context() as patch:
        patch.setattr(LlavaDataset, "_made", interrupted)
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                next(batches)
    assert seen + ids(batches) == whole

"""Ctrl-C during whatever takes long: an exception soon, and everything usable afterwards."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests import tiny_data

ROOT = Path(__file__).resolve().parent.parent
# 0.2 s is promised, on a machine that has nothing else to do.
PATIENCE = 5 * 0.2

# Says that each call begins, and then when it was left.
CHILD = """
import json, sys, time
from pathlib import Path
import numpy as np
from llava_fast import DataLoader, ImageConfig, LlavaDataset, _rust
from tests import tiny_data

folder = Path(sys.argv[1])
words = tiny_data.tokenizer()
tiny = {"image": tiny_data.IMAGE}
large = {"image": ImageConfig(size=336)}
album = large | {"max_length": 2**20}


def data(name, settings):
    return LlavaDataset(folder / name, folder, words, template="v1_short", **settings)


def say(*words):
    print(json.dumps(words), flush=True)


def plan():
    lengths = np.full(4_000_000, 7, dtype=np.int32)
    settings = {"pack_tokens": 60, "batch_size": None, "shuffle": True, "drop_last": False}
    settings |= {"seed": 0, "fingerprint": 1, "group_by_length": False, "batches_per_step": 1}
    _rust.Stream(lengths, np.ones(len(lengths), dtype=np.uint16), **settings)


def forever():
    while True:
        for _ in DataLoader(data("train.json", tiny), batch_size=2):
            pass


def first_batch(workers):
    next(iter(DataLoader(data("large.json", large), batch_size=64, num_workers=workers)))


calls = {
    "opening a file of records": lambda: data("many.json", tiny),
    "counting tokens": lambda: data("wordy.json", tiny),
    "planning an epoch": plan,
    "waiting for a batch": lambda: first_batch(0),
    "waiting for worker processes": lambda: first_batch(2),
    "making a sample of many pictures": lambda: data("album.json", album)[0],
    "reading batch after batch": forever,
}
data("train.json", tiny)
for name, call in calls.items():
    say(name)
    try:
        call()
        say("finished")
    except KeyboardInterrupt:
        say("left", time.time())
batches = list(DataLoader(data("train.json", tiny), batch_size=4))
say("usable", len(batches))
"""
# Seconds after which Ctrl-C is pressed: when the part of the call that is meant has begun.
BEGUN = {"opening a file of records": 0.03, "counting tokens": 0.2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("long")
    tiny_data.write(folder, 40)
    noise = np.random.default_rng(0).integers(0, 256, (2400, 3200, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "large.jpg", quality=95)
    turns = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "Noise."}]
    large = [{"id": n, "image": "large.jpg", "conversations": turns} for n in range(200)]
    (folder / "large.json").write_text(json.dumps(large))
    many = [turns[0] | {"value": "<image>" * 60}, turns[1]]
    album = {"id": "album", "image": ["large.jpg"] * 60, "conversations": many}
    (folder / "album.json").write_text(json.dumps([album]))
    wordy = [turns[0] | {"value": "Which words are there? " * 60}, turns[1]]
    text = json.dumps({"id": "x", "conversations": wordy})
    (folder / "wordy.json").write_text(f"[{', '.join([text] * 60_000)}]")
    (folder / "many.json").write_text(f"[{', '.join([text] * 300_000)}]")
    yield folder
    (folder / "many.json").unlink()


def heed_ctrl_c():
    """As a terminal's child; what runs in the background of a script is told to ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_in_every_long_call(folder):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        # A terminal sends the signal to worker processes too.
        start_new_session=True,
        preexec_fn=heed_ctrl_c,
    )
    try:
        late = {}
        while (line := json.loads(child.stdout.readline()))[0] != "usable":
            [name] = line
            time.sleep(BEGUN.get(name, 0.3))
            os.killpg(child.pid, signal.SIGINT)
            pressed = time.time()
            answer = json.loads(child.stdout.readline())
            assert answer[0] == "left", f"{name}: too short to press Ctrl-C"
            late[name] = answer[1] - pressed
        print(late)
        assert max(late.values()) < PATIENCE, late
        assert line == ["usable", 10]
        assert len(late) == 7
        child.communicate(timeout=60)
        assert child.returncode == 0
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)

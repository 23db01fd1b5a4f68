"""A run that was cut is the run that was not: weights, moments, generators, batches, losses."""

import json
import random
import shutil
import time
from pathlib import Path

import pytest
import torch

from llava_fast.training import checkpoint, data, plan
from tests.scale import scaled
from tests.training_world import SHORT, finish, new_run, write_small_world

KILLED = -9
STAGES = ("stage1", "stage2")
FILES = ("model.safetensors", "optimizer.safetensors", "rng.safetensors")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return write_small_world(tmp_path_factory.mktemp("world") / "data")


@pytest.fixture(scope="module")
def whole(tmp_path_factory, world):
    """The uninterrupted run, its seconds, and what it left."""
    out = new_run(tmp_path_factory.mktemp("whole") / "run", world)
    began = time.perf_counter()
    assert finish(words(out), out / "log") == 0, (out / "log").read_text()
    return out, time.perf_counter() - began, traces(out)


def words(out: Path, *more: str) -> list[str]:
    return [*SHORT, f"out={out}", *more]


def traces(out: Path) -> dict[str, object]:
    """Everything of a finished run that must not depend on where it was cut."""
    found: dict[str, object] = {}
    for stage in STAGES:
        folder = out / stage
        for path in sorted((folder / "checkpoints").iterdir()):
            for name in FILES:
                found[f"{stage}/{path.name}/{name}"] = (path / name).read_bytes()
            state = json.loads((path / "state.json").read_text())
            del state["metrics_bytes"]
            state["progress"]["before"].pop("seconds", None)
            found[f"{stage}/{path.name}/state"] = state
        found[f"{stage}/model"] = (folder / "model" / "model.safetensors").read_bytes()
        lines = (folder / "metrics.jsonl").read_text().splitlines()
        found[f"{stage}/steps"] = [steady(json.loads(line)) for line in lines]
    return found


def steady(line: dict) -> dict:
    """A metrics line without what a clock or the system says."""
    return {k: v for k, v in line.items() if k not in ("seconds", "wait_seconds", "memory_bytes")}


def resumed(out: Path, whole) -> None:
    """Finishes the run in `out` and compares it with the whole one."""
    assert finish(words(out), out / "log") == 0, (out / "log").read_text()
    expected, found = whole[2], traces(out)
    assert found.keys() == expected.keys()
    assert [name for name in expected if found[name] != expected[name]] == []


CUTS = {
    "inside accumulation, first epoch": ("training.loop:to_device", 6),
    "inside accumulation, later epoch": ("training.loop:to_device", 10 + 11),
    "while a checkpoint is written": ("training.checkpoint:write_tensors", 8),
    "before a checkpoint gets its name": ("files:publish_directory", 3),
    "before old checkpoints go": ("training.checkpoint:rotate", 3),
    "after training, before the model": ("training.engine:ask_command", 1),
    "between the stages": ("training.run:_train", 2),
}


@pytest.mark.parametrize("name", CUTS)
def test_a_run_killed_goes_on_bit_for_bit(name, tmp_path, world, whole):
    out = new_run(tmp_path / "run", world)
    place, count = CUTS[name]
    cut = (f"llava_fast.{place}", count)
    assert finish(words(out), tmp_path / "log", cut=cut) == KILLED
    resumed(out, whole)


def test_kills_at_random_times_change_nothing(tmp_path, world, whole):
    for seed in range(scaled(100)):
        chance = random.Random(seed)
        out = new_run(tmp_path / str(seed), world)
        for _ in range(3):
            finish(words(out), tmp_path / "log", kill_after=chance.uniform(0, whole[1]))
        resumed(out, whole)
        shutil.rmtree(out)


def test_the_next_batches_are_the_same(whole):
    """20 packs after a checkpoint, on the loader that goes on and on one that never stopped."""
    for stage in plan.resolve(words(whole[0])).stages:
        path, _ = checkpoint.newest(stage.folder / "checkpoints")
        place = json.loads((path / "state.json").read_text())["progress"]["loader"]
        dataset = data.open_dataset(stage, stage.data)
        schedule = data.plan_steps(stage, dataset)
        stopped = data.open_loader(stage, dataset, schedule.pack_tokens)
        stopped.load_state_dict(place)
        fresh = data.endless(data.open_loader(stage, dataset, schedule.pack_tokens))
        for _ in range(stage.steps * schedule.packs):
            next(fresh)
        following = data.endless(stopped)
        for _ in range(20):
            pack, expected = next(following), next(fresh)
            assert pack.keys() == expected.keys()
            for name, value in pack.items():
                same = torch.equal if isinstance(value, torch.Tensor) else int.__eq__
                assert same(value, expected[name]), name


@pytest.mark.parametrize("damage", ["byte", "cut", "missing", "manifest"])
def test_a_damaged_checkpoint_is_passed_over(damage, tmp_path, whole):
    out = tmp_path / "run"
    shutil.copytree(whole[0] / "stage1" / "checkpoints", out)
    newest, damaged = checkpoint.newest(out)
    assert (newest.name, damaged) == ("step-5", {})
    file = newest / ("manifest.json" if damage == "manifest" else "optimizer.safetensors")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(content[:-1] if damage == "cut" else content)
    older, damaged = checkpoint.newest(out)
    assert (older.name, list(damaged)) == ("step-4", [newest])


def test_old_checkpoints_go(whole):
    names = [path.name for path in sorted((whole[0] / "stage2" / "checkpoints").iterdir())]
    assert names == ["step-6", "step-7"]

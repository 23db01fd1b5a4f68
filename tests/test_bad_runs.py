"""Runs on data with faults: what is said, what is kept, how to go on; and what comes after training
must not fail on what the loader has taken."""

import json
import shutil
from pathlib import Path

import pytest

from llava_fast.training import data, preflight
from llava_fast.training.models import image_config
from llava_fast.training.plan import resolve
from llava_fast.training.records import ask_command, categories
from tests.training_world import BACKBONES, finish, stage, write_small_world


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return write_small_world(tmp_path_factory.mktemp("world") / "data")


@pytest.fixture
def own_world(world, tmp_path):
    """A copy to break things in."""
    return shutil.copytree(world, tmp_path / "world")


def losses(out: Path) -> list[float]:
    lines = (out / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["loss"] for line in lines]


def of_step(step: int, words: list[str]) -> list[int]:
    """The first two records that step number `step` sees."""
    [config] = resolve(words).stages
    dataset = data.open_dataset(config, config.data)
    schedule = data.plan_steps(config, dataset)
    packs = list(data.open_loader(config, dataset, schedule.pack_tokens))
    return packs[(step - 1) * schedule.packs]["records"][:2].tolist()


def test_a_bad_picture_stops_the_run_saved_and_skip_goes_on(world, own_world, tmp_path):
    """Up to the bad picture, the run that was stopped is the run that was not."""
    out, log = tmp_path / "run", tmp_path / "log"
    records = json.loads((own_world / "stage1.json").read_text())
    words = stage(own_world, out, steps=6, save_every=100)
    bad = of_step(4, words)
    good = tmp_path / "good"
    assert finish(stage(world, good, steps=6, save_every=100), log) == 0
    for number in bad:
        (own_world / "images" / records[number]["image"]).write_bytes(b"no picture")
    first = finish(words, log)
    text = log.read_text()
    assert first == 1
    assert "(`on_bad_sample=skip` leaves bad records out)" in text
    assert "is saved; the same command goes on there" in text
    [saved] = (out / "checkpoints").iterdir()
    done = int(saved.name[5:])
    assert done == 3
    assert losses(out) == losses(good)[:done]
    assert finish([*words, "on_bad_sample=skip"], log) == 0, log.read_text()
    assert losses(out)[:3] == losses(good)[:3]
    assert losses(out)[3:] != losses(good)[3:]
    assert len(losses(out)) == 6
    said = log.read_text()[len(text) :]
    assert f"resumed from `{saved}`" in said
    listed = [json.loads(line) for line in (out / "bad.jsonl").read_text().splitlines()]
    assert sorted(line["record"] for line in listed) == sorted(bad)
    file = str(own_world / "stage1.json")
    assert {(line["file"], line["code"]) for line in listed} == {(file, "not_an_image")}
    for line in listed:
        assert said.count(line["message"]) == 1
    assert said.count(f"`{out / 'bad.jsonl'}`") >= 2
    summary = json.loads((out / "summary.json").read_text())
    assert summary["bad_records"] == len(listed)


def test_a_resumed_run_keeps_its_list(own_world, tmp_path):
    out, log = tmp_path / "run", tmp_path / "log"
    records = json.loads((own_world / "stage1.json").read_text())
    for record in records[:20]:
        (own_world / "images" / record["image"]).write_bytes(b"no picture")
    words = stage(own_world, out, steps=12, on_bad_sample="skip")
    cut = ("llava_fast.training.engine:ask_command", 1)
    assert finish(words, log, cut=cut) == -9
    before = (out / "bad.jsonl").read_text()
    assert before
    assert finish(words, log) == 0
    assert (out / "bad.jsonl").read_text() == before
    summary = json.loads((out / "summary.json").read_text())
    assert summary["bad_records"] == len(before.splitlines())


def test_files_may_move_while_a_run_is_not_finished(own_world, tmp_path):
    out, log = tmp_path / "run", tmp_path / "log"
    cut = ("llava_fast.training.engine:ask_command", 1)
    assert finish(stage(own_world, out), log, cut=cut) == -9
    moved = own_world.rename(tmp_path / "moved")
    assert finish(stage(moved, out, device="cpu"), log) == 0, log.read_text()
    assert "resumed from" in log.read_text()
    other = stage(moved, out, data=moved / "stage2.json")
    assert finish(other, log) == 1  # the finished run has seen other data
    assert "other settings, data: was" in log.read_text()


def test_other_data_is_refused_by_its_content(own_world, tmp_path):
    out, log = tmp_path / "run", tmp_path / "log"
    cut = ("llava_fast.training.engine:ask_command", 1)
    assert finish(stage(own_world, out), log, cut=cut) == -9
    file = own_world / "stage1.json"
    file.write_text(json.dumps(json.loads(file.read_text())[::-1]))
    assert finish(stage(own_world, out), log) == 1
    assert "step-3` is of other data: loader state: `data` differs" in log.read_text()


def test_a_run_that_learns_nothing_fails(own_world, tmp_path):
    for picture in (own_world / "images").rglob("*.jpg"):
        picture.write_bytes(b"no picture")
    out, log = tmp_path / "run", tmp_path / "log"
    assert finish(stage(own_world, out, steps=2, on_bad_sample="skip"), log) == 1
    text = log.read_text()
    assert "nothing was learned: of 2 steps 2 had nothing supervised and 0 were" in text
    assert "loss -" in text
    assert not (out / "model").exists()


def test_what_the_loader_takes_does_not_fail_after_training(world, own_world, tmp_path):
    """A byte order mark, records that are no object, a system turn first."""
    turns = json.loads((world / "held_out.json").read_text())[0]
    system = [{"from": "system", "value": "Be brief."}, *turns["conversations"]]
    held_out = tmp_path / "held_out.json"
    records = [7, None, turns | {"conversations": system}]
    held_out.write_text("\ufeff" + json.dumps(records), encoding="utf-8")
    file = own_world / "stage1.json"
    file.write_text("\ufeff" + file.read_text(), encoding="utf-8")
    out, log = tmp_path / "run", tmp_path / "log"
    changes = {"held_out": held_out, "data": file, "template": "v1_short"}
    words = stage(own_world, out, on_bad_sample="skip", **changes)
    assert finish(words, log) == 0, log.read_text()
    summary = json.loads((out / "summary.json").read_text())
    question = turns["conversations"][0]["value"].replace("<image>", "").strip()
    assert summary["ask"].endswith(f"--prompt '{question}'")
    assert summary["evaluations"]["held_out"]["records"] == 1
    listed = [json.loads(line) for line in (out / "bad.jsonl").open()]
    assert [(line["file"], line["number"]) for line in listed] == [
        (str(held_out), 0),
        (str(held_out), 1),
    ]


def test_odd_records_give_no_question(world, tmp_path):
    odd = [3, {}, {"image": 4}, {"image": ["a"], "conversations": "x"}, {"conversations": [1]}]
    path = tmp_path / "odd.json"
    path.write_text(json.dumps(odd))
    [config] = resolve(stage(world, tmp_path, held_out=path, template="v1")).stages
    assert ask_command(config) == ""
    assert categories(str(path)) == ["other"] * 5
    path.write_text("3")
    with pytest.raises(ValueError, match=r"odd\.json`: got JSON that starts with `3`, expected"):
        categories(str(path))


def test_a_record_too_long_says_what_helps(world, tmp_path):
    log = tmp_path / "log"
    assert finish(stage(world, tmp_path / "run", max_length=20), log) == 1
    [line] = [line for line in log.read_text().splitlines() if "error" in line]
    assert "tokens, max_length is 20 (`on_bad_sample=skip` leaves bad records out, a larger" in line


def test_max_length_follows_the_model(world, tmp_path):
    def limit(**changes):
        [config] = resolve(stage(world, tmp_path, **changes)).stages
        return preflight.record_limit(config)

    assert (limit(max_length=0), limit(max_length=512)) == (1024, 512)
    expected = r"max_length: got 1025, expected at most 1024, the model's `max_position_embeddings`"
    with pytest.raises(ValueError, match=expected):
        limit(max_length=1025)
    for said, expected in ((4096, 2048), (None, 2048)):
        shutil.rmtree(tmp_path / "lm", ignore_errors=True)
        shutil.copytree(BACKBONES / "lm", tmp_path / "lm")
        path = tmp_path / "lm" / "config.json"
        values = json.loads(path.read_text()) | {"max_position_embeddings": said}
        path.write_text(json.dumps({k: v for k, v in values.items() if v is not None}))
        assert limit(max_length=0, llm=tmp_path / "lm") == expected


def test_colours_are_the_models(world, tmp_path):
    """An old processor_config.json is about text; the colours stand in the other file."""
    from llava_fast import LlavaModel

    tower = shutil.copytree(BACKBONES / "vision", tmp_path / "vision")
    (tower / "processor_config.json").write_text('{"processor_class": "LlavaProcessor"}')
    settings = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.25, 0.25]}
    (tower / "preprocessor_config.json").write_text(json.dumps(settings))
    [config] = resolve(stage(world, tmp_path, vision=tower)).stages
    image = image_config(config)
    model = LlavaModel.from_backbones(tower, BACKBONES / "lm")
    assert image.mean == model.config.vision.image_mean == (0.5, 0.5, 0.5)
    assert image.std == model.config.vision.image_std
    model.save_pretrained(tmp_path / "model", image=image)

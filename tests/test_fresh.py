"""What a run may delete or replace: its own traces, never a user's file."""

import json
import os
import shutil
from pathlib import Path

import pytest

from llava_fast.training import fresh, plan, rundir
from llava_fast.training.recipes import DEFAULT
from llava_fast.training.run import main

BACKBONES = DEFAULT / "backbones"
MARK = "0123abcd"


def refused(arguments: list[str], capsys) -> str:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 1
    return capsys.readouterr().err


def content(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def fake_run(out: Path, arguments: list[str]) -> plan.Plan:
    """The traces of a run with these settings, and a note of the user's in every folder."""
    run = plan.resolve(arguments)
    for folder in {run.out, *(stage.folder for stage in run.stages)}:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "notes.txt").write_text("mine")
    for stage in run.stages:
        (stage.folder / "config.json").write_text(stage.to_json())
        (stage.folder / "lock").write_text("process 1 on here")
        (stage.folder / "metrics.jsonl").write_text("{}\n")
        for name in ("model", "checkpoints"):
            (stage.folder / name).mkdir()
            (stage.folder / name / "file").write_text("x")
    return run


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A user's folder with everything in it, where `out=.` is an easy mistake."""
    monkeypatch.chdir(tmp_path)
    for name in ("vision", "lm"):
        shutil.copytree(BACKBONES / name, tmp_path / name)
    shutil.copy(BACKBONES / "tokenizer.json", tmp_path)
    for name in ("data", "photos"):
        (tmp_path / name).mkdir()
    (tmp_path / "data" / "captions.json").write_text("[]")
    return tmp_path


HERE = ["recipe=pretrain", "data=data/captions.json", "images=photos", "vision=vision", "llm=lm"]


@pytest.mark.parametrize("name", ["config.json", "model", "metrics.jsonl", "summary.json"])
@pytest.mark.parametrize("word", ["fresh=true", "fresh=false"])
def test_a_users_folder_is_not_touched(name, word, project, capsys):
    (project / name).write_text("{}")
    before = content(project)
    message = refused([*HERE, "out=.", word], capsys)
    assert f"out: `.` holds `{name}` and is not the directory of a run" in message
    assert content(project) == before


def test_fresh_deletes_nothing_but_the_runs_own(project):
    run = fake_run(project, [*HERE, "out=.", "fresh=true"])
    before = content(project)
    for path in fresh.leftovers(run):
        rundir.remove(path)
    gone = before.keys() - content(project).keys()
    assert gone == {"config.json", "metrics.jsonl", "model/file", "checkpoints/file"}


def test_inputs_are_checked_before_anything_is_deleted(project, capsys):
    fake_run(project, [*HERE, "out=run"])
    before = content(project)
    message = refused([*HERE, "out=run", "fresh=true", "images=none"], capsys)
    assert "images: `none` is missing" in message
    assert content(project) == before


@pytest.mark.parametrize("where", ["run/model", "run/model/deeper", "."])
def test_an_input_is_never_deleted(where, project):
    """The run would read from its leftover, from below it, or from above it."""
    words = [*HERE, "out=run"]
    fake_run(project, words)
    run = plan.resolve([*words, f"images={where}", "fresh=true"])
    with pytest.raises(ValueError, match=f"would delete `run/.*, but `images={where}` is there"):
        fresh.leftovers(run)


def test_the_default_deletes_the_world_it_made_and_no_other(tmp_path):
    words = [f"out={tmp_path}", "fresh=true"]
    run = fake_run(tmp_path, words)
    (tmp_path / "data").mkdir()
    assert tmp_path / "data" not in fresh.leftovers(run)
    rundir.note_made(tmp_path, ["data"])
    doomed = fresh.leftovers(run)
    assert {tmp_path / "data", tmp_path / "stage2" / "model"} <= set(doomed)
    assert not any(path.name == "notes.txt" for path in doomed)


def test_a_recipe_notes_what_it_makes(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "llava_fast.training.default.world.write_world", lambda folder, seed: folder.mkdir()
    )
    plan.resolve([f"out={tmp_path}"]).prepare()
    assert (tmp_path / "data").is_dir()
    assert rundir.made(tmp_path) == {"data"}


@pytest.mark.parametrize("word", ["fresh=true", "fresh=false"])
def test_backbones_replace_nothing_of_the_users(word, project, capsys):
    before = content(project)
    message = refused(["recipe=backbones", "out=.", word], capsys)
    assert "no run has made" in message
    after = content(project)
    after.pop("lock", None)
    assert after == before


def test_a_link_is_removed_and_not_followed(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_text("x")
    (tmp_path / "model").symlink_to(tmp_path / "kept")
    rundir.remove(tmp_path / "model")
    assert os.listdir(tmp_path) == ["kept"]
    assert (tmp_path / "kept" / "file").exists()


def test_cleaning_knows_its_own_names(tmp_path):
    ours = [f".model.tmp-12-{MARK}", f".step-40.old-7-{MARK}", f".config.json.tmp-1-{MARK}"]
    users = [
        ".notes.tmp-draft",
        ".notes.old-1",
        f".notes.tmp-12-{MARK}",
        ".model.tmp-12",
        f"model.tmp-12-{MARK}",
        f".model.tmp-12-{MARK}.txt",
        f".step-x.tmp-1-{MARK}",
    ]
    for name in ours + users:
        (tmp_path / name).write_text("x")
    (tmp_path / f".step-9.tmp-3-{MARK}").mkdir()
    rundir.clean(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted(users)


def test_what_is_left_half_written_has_such_a_name(tmp_path, monkeypatch):
    def cut(path):
        raise KeyboardInterrupt

    monkeypatch.setattr(rundir, "sync", cut)
    with pytest.raises(KeyboardInterrupt):
        rundir.write_text(tmp_path / "summary.json", "{")
    assert len(os.listdir(tmp_path)) == 1
    rundir.clean(tmp_path)
    assert os.listdir(tmp_path) == []


def test_a_users_lock_is_kept(tmp_path):
    (tmp_path / "lock").write_text("my combination: 1234")
    with pytest.raises(ValueError, match="lock` is not a run's"), rundir.locked(tmp_path):
        pass
    assert (tmp_path / "lock").read_text() == "my combination: 1234"


def test_a_foreign_summary_is_no_finished_run(tmp_path):
    for value in ({}, {"table": ""}, [], {"table": 3, "steps": "x"}):
        (tmp_path / "summary.json").write_text(json.dumps(value))
        assert rundir.read_summary(tmp_path) is None
    with pytest.raises(ValueError, match=r"summary\.json` is not of such a run"):
        fresh.refuse_foreign(plan.resolve([f"out={tmp_path}"]))

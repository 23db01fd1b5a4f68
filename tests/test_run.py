"""The command: what it refuses before it loads a model, and what a finished or failing run says."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from llava_fast.training import preflight, rundir
from llava_fast.training.run import main
from tests.repository import ROOT
from tests.training_world import SHORT, finish, new_run, stage, start, write_small_world


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return write_small_world(tmp_path_factory.mktemp("world") / "data")


def says(arguments: list[str], capsys) -> str:
    """The one line of a refused command."""
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 1
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    return message


def test_missing_inputs_are_named_before_anything_is_loaded(world, tmp_path, capsys):
    for key, value, expected in (
        ("data", world / "none.json", "data: `{}` is missing, expected a file"),
        (
            "images",
            world / "stage1.json",
            "images: `{}` is something else, expected a folder, a zip or a tar",
        ),
        ("held_out", world / "none", "held_out: `{}` is missing, expected a file"),
        ("vision", world, "vision: `{}` has no `config.json`"),
        ("llm", world / "none", "llm: `{}` is missing, expected a model directory"),
    ):
        message = says(stage(world, tmp_path / "out", **{key: value}), capsys)
        assert expected.format(value) in message


def test_the_first_bad_record_is_named(world, tmp_path, capsys):
    records = json.loads((world / "stage1.json").read_text())
    records[7]["conversations"][1]["from"] = "robot"
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps(records))
    message = says(stage(world, tmp_path / "out", data=bad), capsys)
    assert "record 7 (id `caption-00007`)" in message
    assert "robot" in message


def test_an_output_that_cannot_be_written(world, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    message = says(stage(world, tmp_path / "file" / "out"), capsys)
    assert "out: cannot write to `" in message
    if os.geteuid():
        (tmp_path / "read_only").mkdir(mode=0o500)
        assert "cannot write" in says(stage(world, tmp_path / "read_only" / "out"), capsys)


def test_too_little_space(world, tmp_path, capsys, monkeypatch):
    free = shutil._ntuple_diskusage(10**9, 10**9 - 10**6, 10**6)
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda _: free)
    assert "1 MiB free at `" in says(stage(world, tmp_path / "out"), capsys)


def test_the_space_needed_follows_from_the_files(world, tmp_path):
    from llava_fast.training.plan import resolve

    def need(**changes):
        return preflight.space_needed(resolve(stage(world, tmp_path, **changes)).stages[0])

    projector, llm, vision = 33_024, 922_752, 896_768
    exported = 4 * (projector + llm + vision)
    assert need() == int(1.2 * 3 * 12 * projector) + exported
    assert need(train="projector,llm") == int(1.2 * 3 * 12 * (projector + llm)) + exported


def test_a_second_run_in_the_directory_is_refused_at_once(world, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    with rundir.locked(out):
        began = time.perf_counter()
        message = says(stage(world, out), capsys)
        assert time.perf_counter() - began < 1
    assert f"out: `{out}` is in use by process {os.getpid()} on " in message


def test_a_finished_run_answers_at_once_without_torch(world, tmp_path):
    out = new_run(tmp_path / "run", world)
    assert finish([*SHORT, f"out={out}"], tmp_path / "log") == 0
    first = (tmp_path / "log").read_text()
    code = (
        "import sys\nfrom llava_fast.training.run import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print('torch' in sys.modules, 'numpy' in sys.modules)"
    )
    command = [sys.executable, "-c", code, *SHORT, f"out={out}"]
    began = time.perf_counter()
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert time.perf_counter() - began < 5  # 1 s on a quiet machine
    lines = again.splitlines()
    assert lines[0] == f"`{out}` is finished; `fresh=true` starts over"
    assert lines[-1] == "False False"
    # The same table and the same command as at the end of the run.
    assert "\n".join(lines[1:-1]) in first
    assert (
        lines[-2]
        .split("llava-fast", 1)[1]
        .startswith(f" generate {out}/stage2/model --image {out}/data/")
    )
    whole = json.loads((out / "summary.json").read_text())
    assert {"stage", "steps", "loss", "held_out_exact", "blind_exact", "unseen_exact"} <= set(whole)
    assert whole["before_exact"] == whole["stages"]["stage2"]["before_exact"]
    refused = subprocess.run([*command, "seed=9"], cwd=ROOT, capture_output=True, text=True)
    assert "holds a run with other settings, seed: was 0, now 9" in refused.stderr


def test_pictures_may_come_from_an_archive(world, tmp_path):
    """A run on a zip or a tar gives the model of the run on the folder, also after a kill."""
    models, asks = {}, {}
    for kind in ("folder", "zip", "tar"):
        images = world / "images"
        if kind != "folder":
            images = shutil.make_archive(str(tmp_path / "pictures"), kind, images)
        out, log = tmp_path / kind, tmp_path / f"{kind}.log"
        held_out = world / "held_out.json"
        words = stage(world, out, images=images, template="v1_short", held_out=held_out)
        if kind == "zip":
            assert finish(words, log, cut=("llava_fast.training.loop:to_device", 3)) == -9
        assert finish(words, log) == 0, log.read_text()
        models[kind] = (out / "model" / "model.safetensors").read_bytes()
        asks[kind] = json.loads((out / "summary.json").read_text())["ask"]
    assert models["zip"] == models["tar"] == models["folder"]
    # An entry of an archive has no path that `generate` could open.
    assert f"--image {world}/images/" in asks["folder"]
    assert asks["zip"] == asks["tar"] == ""


def test_links_are_followed_where_that_is_asked_for(world, tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    for path in (world / "images").iterdir():
        (images / path.name).symlink_to(path)
    out, log = tmp_path / "run", tmp_path / "log"
    assert finish(stage(world, out, images=images), log) == 1
    assert "error: record " in log.read_text()
    # What was refused goes on with the one setting changed.
    assert finish(stage(world, out, images=images, follow_links="true"), log) == 0, log.read_text()


def test_fresh_starts_over(world, tmp_path):
    out = tmp_path / "run"
    assert finish(stage(world, out), tmp_path / "log") == 0
    (out / "notes.txt").write_text("mine")
    assert finish(stage(world, out, lr=0.5, fresh="true"), tmp_path / "log") == 0
    assert json.loads((out / "config.json").read_text())["lr"] == 0.5
    assert len((out / "metrics.jsonl").read_text().splitlines()) == 3
    assert (out / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_exits(number, world, tmp_path):
    out, log = tmp_path / "run", tmp_path / "log"
    arguments = stage(world, out, steps=2000, save_every=1000)
    process = start(arguments, log)
    metrics = out / "metrics.jsonl"
    while not (metrics.exists() and metrics.stat().st_size):
        assert process.is_alive(), log.read_text()
        time.sleep(0.05)
    os.kill(process.pid, number)
    process.join(60)
    assert process.exitcode == 128 + number
    assert "saved, the same command goes on from here" in log.read_text()
    [saved] = (out / "checkpoints").iterdir()
    steps = [json.loads(line)["step"] for line in metrics.read_text().splitlines()]
    assert steps == list(range(1, int(saved.name.removeprefix("step-")) + 1))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_outside_of_training_says_how_to_go_on(number, capsys, monkeypatch):
    """While torch is imported, say, or an evaluation runs."""
    before = signal.getsignal(signal.SIGTERM)

    def slow(arguments):
        os.kill(os.getpid(), number)
        time.sleep(60)

    monkeypatch.setattr("llava_fast.training.run._main", slow)
    with pytest.raises(SystemExit) as end:
        main([])
    assert end.value.code == 128 + number
    expected = f"stopped by signal {int(number)}; the same command goes on from what is saved\n"
    assert capsys.readouterr().err == expected
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_full_disk_keeps_the_run_alive_and_old_checkpoints_whole(world, tmp_path):
    """All parts learn: a checkpoint has files of 7 MB. Below that limit a save must fail."""
    out, log = tmp_path / "run", tmp_path / "log"
    arguments = stage(world, out, train="projector,llm", steps=5)
    assert finish(arguments, log, limit=2**20) == 74
    text = log.read_text()
    assert text.count("failed: ") == 3
    assert "error: 3 checkpoints in a row failed" in text
    assert list((out / "checkpoints").iterdir()) == []
    assert finish(arguments, log) == 0
    assert "step 5/5" in log.read_text()


def test_a_text_only_run_names_no_picture(world, tmp_path):
    turns = [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "yes"}]
    records = [{"id": str(number), "conversations": turns} for number in range(8)]
    data = tmp_path / "text.json"
    data.write_text(json.dumps(records))
    out = tmp_path / "run"
    arguments = stage(world, out, data=data, template="v1_short", train="projector,llm")
    assert finish(arguments, tmp_path / "log") == 0, (tmp_path / "log").read_text()
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["images"], summary["ask"]) == (0, "")

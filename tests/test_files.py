"""A save is whole or absent, and takes the place of nothing but a model."""

import multiprocessing
import os
import stat
import sys
import time

import pytest
import torch

from llava_fast import LlavaModel, files
from tests.scale import scaled
from tests.tiny import hub_model, own_model


def test_other_files_are_never_replaced(tmp_path):
    own = own_model(hub_model(), tmp_path / "in")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("years of work")
    with pytest.raises(ValueError, match=r"holds `notes.txt`, which is no part of a model"):
        own.save_pretrained(tmp_path / "mine")
    with pytest.raises(ValueError, match="exists and is not a directory"):
        own.save_pretrained(tmp_path / "mine" / "notes.txt")
    assert (tmp_path / "mine" / "notes.txt").read_text() == "years of work"


def test_a_save_that_fails_leaves_the_old_model_and_nothing_else(tmp_path, monkeypatch):
    own = own_model(hub_model(), tmp_path / "in")
    own.save_pretrained(tmp_path / "out")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("llava_fast.checkpoint.write_tensors", full)
    with pytest.raises(OSError, match="No space left"):
        own.save_pretrained(tmp_path / "out", template="v0")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]


def test_files_have_the_mode_that_the_umask_gives(tmp_path):
    own = own_model(hub_model(), tmp_path / "in")
    before = os.umask(0o027)
    try:
        own.save_pretrained(tmp_path / "out")
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "out").iterdir()}
    assert modes == {0o640}
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o750


def save_for_ever(model, folder):
    torch.set_num_threads(1)
    for turn in range(10**6):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.fill_(turn)
        model.save_pretrained(folder)


@pytest.mark.skipif(sys.platform != "linux", reason="exchanging renames are Linux's")
def test_a_killed_save_leaves_a_whole_model(tmp_path):
    own = own_model(hub_model(), tmp_path / "in")
    own.save_pretrained(tmp_path / "out")
    first = LlavaModel.from_pretrained(tmp_path / "out").state_dict()
    random = torch.Generator().manual_seed(1)
    replaced = 0
    for _ in range(scaled(500, least=10)):
        saver = multiprocessing.get_context("fork").Process(
            target=save_for_ever, args=(own, tmp_path / "out")
        )
        saver.start()
        time.sleep(0.02 + float(torch.rand((), generator=random)) * 0.1)
        saver.kill()
        saver.join()
        weights = LlavaModel.from_pretrained(tmp_path / "out").state_dict()
        values = {float(tensor.flatten()[0]) for tensor in weights.values()}
        assert len(values) == 1 or all(torch.equal(t, first[n]) for n, t in weights.items())
        replaced += len(values) == 1
    assert replaced
    # The last kill came while a directory was being written; the next save clears it away.
    own.save_pretrained(tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]


@pytest.mark.parametrize("exchange", [True, False])
def test_publishing_replaces_a_directory(exchange, tmp_path, monkeypatch):
    if not exchange:
        monkeypatch.setattr(files, "_exchange", lambda *_: False)
    for turn in ("one", "two"):
        with files.new_directory(tmp_path / "final") as folder:
            files.write_file(folder / turn, b"x")
    assert [path.name for path in (tmp_path / "final").iterdir()] == ["two"]
    assert [path.name for path in tmp_path.iterdir()] == ["final"]

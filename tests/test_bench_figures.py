"""What the benches of loading and starting measure with: figures, memory, opened files, packs."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benches import loaders, memory, opens, pictures, readme_table, records, results
from benches.gates import identical
from llava_fast import ImageProcessor


def test_a_figure_says_whether_it_keeps_its_bound(tmp_path: Path):
    least = results.Figure("pack", "use", "ours", 95.5, "%", 95.0, True)
    most = results.Figure("startup", "index", "ours", 3.0, "s", 3.0)
    peers = results.Figure("startup", "index", "a peer", 9.0, "s")
    rows = results.read(results.write(tmp_path, "startup", [least, most, peers]))
    assert rows == [least, most, peers]
    assert results.bound_text(least) == "at least 95 %: met"
    assert results.bound_text(replace(least, figure=94.9)).endswith("MISSED")
    assert results.bound_text(most) == "at most 3 s: met"
    assert results.bound_text(replace(most, figure=3.01)).endswith("MISSED")
    assert results.bound_text(peers) == ""
    assert "at most 3 s: met" in results.table(rows)
    shown = readme_table._figures(rows).splitlines()
    assert shown[2:] == [
        "| use | ours | 95.5 % | at least 95 %: met |",
        "| index | ours | 3 s | at most 3 s: met |",
        "| index | a peer | 9 s |  |",
    ]


def test_memory_of_a_tree_of_processes():
    held = "x = bytearray(b'x') * (64 << 20); print(1, flush=True); input()"
    before = memory.tree()
    with subprocess.Popen(
        [sys.executable, "-c", held], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        child.stdout.readline()
        alone, both = memory.tree(child.pid), memory.tree()
        child.communicate(b"\n")
    assert 67 <= alone <= 120
    assert both - before == pytest.approx(alone, abs=16)
    assert memory.tree(child.pid) == 0


def test_opened_files_are_noticed(tmp_path: Path):
    for name in ("read", "decoded", "left"):
        (tmp_path / name).write_bytes(pictures.made(1)[0])
    with opens.Opens([tmp_path]) as noted:
        (tmp_path / "read").read_bytes()
        assert noted.so_far() == {tmp_path / "read"}
        ImageProcessor()([tmp_path / "decoded"])
        assert noted.so_far() == {tmp_path / "decoded"}
        assert noted.so_far() == set()


def test_packs_are_taken_apart_into_the_rows_of_padded_batches(tmp_path: Path):
    data = records.write_dataset(tmp_path, 17)
    padded = loaders.ours(data, tmp_path, **loaders.PADDED)
    packed = loaders.ours(data, tmp_path, **loaders.PACKED)
    rows = loaders.rows(list(padded))
    assert len(rows["lengths"]) == 17
    assert identical(loaders.packed_rows(list(packed), packed), rows).exact

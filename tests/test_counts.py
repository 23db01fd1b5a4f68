"""Lengths are counted once and kept: those of batches, believed only while they are true."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from llava_fast import DataError, LlavaDataset, _rust
from llava_fast.index.request import Request
from tests import dirty_records, tiny_data
from tests.scale import scaled

FAMILY = "sp_legacy"
LIMIT = 128
BLOCK = 1024  # records that are written at once

Figures = tuple[list[int], list[int], list[tuple[int, str, str]], dict[str, int]]


def counts(data: object, **options: object) -> _rust.Counts:
    settings = {"image_size": 28, "max_length": LIMIT} | options
    fresh = settings.pop("fresh", False)
    request = Request(data=str(data), tokenizer=str(tiny_data.TOKENIZERS / FAMILY), **settings)
    return _rust.Counts(request.open(), fresh=fresh)


def counted(run: _rust.Counts) -> Figures:
    while not run.over:
        run.advance(2)
    lengths, images, bad, repairs = run.result(True)
    assert run.done == run.total
    return lengths.tolist(), images.tolist(), bad, repairs


def save(path: Path, records: list[object]) -> Path:
    path.write_text("\n".join(map(json.dumps, records)))
    return path


def made(count: int, seed: int) -> list[object]:
    return dirty_records.made(random.Random(seed), count, FAMILY, 4, LIMIT)[0]


def side_files(folder: Path) -> list[Path]:
    return sorted(folder.glob(".llava_fast/*.counts"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return save(tmp_path / "train.jsonl", made(3 * BLOCK + 100, 1))


def test_figures_are_those_of_single_records_and_of_the_oracle(tmp_path: Path) -> None:
    for seed in range(scaled(100, least=3)):
        rng = random.Random(seed)
        records, expected = dirty_records.made(rng, rng.randrange(1, 200), FAMILY, 4, LIMIT)
        # As a list: a record that is one itself would be that, as the first of many lines.
        path = tmp_path / "train.json"
        path.write_text(json.dumps(records))
        first = counted(counts(path))
        again = counts(path)
        assert counted(again) == first
        assert (again.found, again.total) == (len(records), len(records))
        lengths, images, bad, repairs = first
        assert sum(lengths) == expected.tokens
        assert [(record, code) for record, code, _ in bad] == expected.rows
        repairs = {code: n for code, n in repairs.items() if code != "shortened"}
        assert repairs == {c: n for c, n in (+expected.repairs).items() if c != "shortened"}
        dataset = LlavaDataset(
            records,
            None,
            tiny_data.tokenizer(FAMILY),
            tiny_data.IMAGE,
            max_length=LIMIT,
            on_bad_sample="skip",
        )
        assert dataset.lengths.tolist() == lengths
        assert dataset.image_counts.tolist() == images
        for number in rng.sample(range(len(records)), min(8, len(records))):
            sample, fault, *_ = dataset._core.view(number)
            assert (len(sample[0]) if sample else 0) == lengths[number]
            assert (len(sample[2]) if sample else 0) == images[number]
            assert (fault is None) == (sample is not None)


def test_opened_again_nothing_is_counted_or_written(data: Path) -> None:
    first = counted(counts(data))
    (path,) = side_files(data.parent)
    before = path.read_bytes(), path.stat().st_mtime_ns
    again = counts(data)
    again.advance(2)
    assert again.over
    assert again.found == again.total
    assert counted(again) == first
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert counted(counts(data, fresh=True)) == first
    assert path.read_bytes() == before[0]
    assert path.stat().st_mtime_ns != before[1]


def test_settings_have_files_of_their_own_and_changed_data_is_counted_anew(data: Path) -> None:
    whole = counted(counts(data))
    short = counted(counts(data, max_length=60))
    larger = counted(counts(data, image_size=56))
    assert len({tuple(lengths) for lengths, *_ in (whole, short, larger)}) == 3
    assert len(side_files(data.parent)) == 3
    assert counted(counts(data)) == whole
    save(data, made(3 * BLOCK + 100, 2))
    changed = counts(data)
    assert counted(changed) != whole
    assert changed.found == 0
    assert len(side_files(data.parent)) == 3


def test_a_mixture_counts_what_it_takes_and_files_are_shared(data: Path) -> None:
    whole = counted(counts(save(data.parent / "copy.jsonl", made(3 * BLOCK + 100, 1))))

    def mixed(strategy: str, weight: float = 1.0) -> _rust.Counts:
        entry = {"json_path": str(data), "sampling_strategy": strategy, "weight": weight}
        path = data.parent / "mixture.yaml"
        path.write_text(json.dumps({"datasets": [entry]}))
        return counts(path)

    few = mixed("first:10", 2.5)
    lengths, *_ = counted(few)
    assert (few.total, few.found, len(lengths)) == (10, 0, 25)
    assert lengths[:20] == whole[0][:10] * 2
    last = mixed(f"end:{BLOCK + 50}")
    lengths, images, bad, _ = counted(last)
    assert last.found == 0
    assert (lengths, images) == (whole[0][-BLOCK - 50 :], whole[1][-BLOCK - 50 :])
    assert [row[1:] for row in bad] == [
        (code, message.replace("copy", "train"))
        for record, code, message in whole[2]
        if record >= 2 * BLOCK + 50
    ]
    everything = counts(data)
    counted(everything)
    assert everything.found == BLOCK + 60


@pytest.mark.parametrize("kind", ["cut", "flipped", "swapped", "longer"])
def test_a_damaged_side_file_changes_no_figure(data: Path, kind: str) -> None:
    first = counted(counts(data))
    (path,) = side_files(data.parent)
    whole = path.read_bytes()
    rng = random.Random(kind)
    for _ in range(scaled(300, least=4)):
        damaged = bytearray(whole)
        place, other = sorted(rng.sample(range(len(whole)), 2))
        if kind == "cut":
            del damaged[place:]
        elif kind == "flipped":
            damaged[place] ^= 1 << rng.randrange(8)
        elif kind == "swapped":
            damaged[place:other] = whole[other:] + whole[place:other]
        else:
            damaged += rng.randbytes(rng.randrange(1, 5000))
        path.write_bytes(damaged)
        again = counts(data)
        assert counted(again) == first
        assert again.found == again.total or kind != "longer"
        # What was lost is there again, and nothing is left of the damage.
        last = counts(data)
        assert counted(last) == first
        assert last.found == last.total


def test_several_processes_count_a_file_once(tmp_path: Path) -> None:
    data = save(tmp_path / "train.jsonl", made(20 * BLOCK, 3))
    words = ["--tokenizer", str(tiny_data.TOKENIZERS / FAMILY), "--image-size", "28", "--json"]
    command = [sys.executable, "-m", "llava_fast", "index", str(data), *words]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(4)]
    results = [json.loads(process.communicate()[0]) for process in processes]
    (path,) = side_files(tmp_path)
    together = path.stat().st_size
    alone = counts(data, max_length=2048, fresh=True)
    lengths, images, bad, repairs = counted(alone)
    assert path.stat().st_size == together
    for found in results:
        assert (found["tokens"], found["images"]) == (sum(lengths), sum(images))
        assert sum(fault["records"] for fault in found["faults"].values()) == len(bad)
        assert found["repairs"] == repairs


def test_where_nothing_can_be_written_it_is_counted_each_time(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = counted(counts(data))
    cache = data.parent / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    other = data.parent / "other"
    other.mkdir()
    copy = save(other / "train.jsonl", made(3 * BLOCK + 100, 1))
    (other / ".llava_fast").write_text("in the way")
    run = counts(copy)
    assert counted(run)[:2] == first[:2]
    assert run.kept()[0][0].startswith(str(cache))
    assert counts(copy).advance(1) == len(first[0])
    monkeypatch.setenv("XDG_CACHE_HOME", str(other / ".llava_fast"))
    run = counts(copy)
    assert counted(run)[:2] == first[:2]
    path, cause = run.kept()[0]
    assert path is None
    assert "directory" in cause
    folder = data.parent / "named"
    run = counts(copy, index_dir=str(folder))
    assert counted(run)[:2] == first[:2]
    assert run.kept()[0][0].startswith(str(folder))


def test_the_first_bad_record_raises_with_its_place(data: Path) -> None:
    run = counts(data)
    record, code, message = counted(run)[2][0]
    with pytest.raises(DataError) as error:
        run.result(False)
    assert (str(error.value), error.value.code) == (message, code)
    assert message.startswith(f"record {record} (id `")
    assert f"in `{data}`: " in message
    unfinished = counts(data, fresh=True)
    with pytest.raises(ValueError, match="not all counted yet"):
        unfinished.result(True)


def test_records_in_memory_leave_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    tokenizer = tiny_data.tokenizer(FAMILY)
    LlavaDataset(tiny_data.records(5), None, tokenizer, tiny_data.IMAGE, max_length=LIMIT)
    assert os.listdir(tmp_path) == []

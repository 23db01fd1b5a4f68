"""How many bad samples are too many, and the file that lists them."""

import json
import multiprocessing
import os
import pickle
import resource

import pytest
import torch

from llava_fast import DataError, DataLoader
from llava_fast.bad import BadSample, BadSamples, Ledger
from tests import tiny_data

COUNT = 130


def pictures(made):
    return [record["image"] for record in made if "image" in record]


@pytest.fixture
def folder(tmp_path):
    tiny_data.write(tmp_path, COUNT)
    return tmp_path


def spoil(folder, numbers):
    """Their pictures are gone; all of `numbers` have one."""
    for number in numbers:
        [path] = [*folder.glob(f"{number}.jpg"), *folder.glob(f"{number}.png")]
        path.unlink()


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def read(dataset, **options):
    return list(DataLoader(dataset, batch_size=4, shuffle=False, **options))


@pytest.mark.parametrize("workers", [0, 2])
def test_one_more_than_the_budget_stops_and_says_why(folder, workers):
    bad = [4, 5, 7, 10]
    spoil(folder, bad)
    (folder / "7.jpg").write_bytes(b"no picture")
    dataset = tiny_data.dataset(folder, on_bad_sample="skip", max_bad=3)
    loader = DataLoader(dataset, batch_size=4, shuffle=False, num_workers=workers)
    with pytest.raises(DataError) as error:
        list(loader)
    assert error.value.code == "too_many_bad"
    text = str(error.value)
    start = f"`{folder / 'train.json'}`: 4 of 130 records are bad, more than the 3 that `max_bad=3`"
    assert text.startswith(start)
    assert "lets through: 3 missing_image, 1 not_an_image: record 4 (id `r4`) in " in text
    assert text.count("(id `") == 3
    assert loader.state_dict()["samples"] == 8  # the batch with the last straw is not handed out
    enough = tiny_data.dataset(folder, on_bad_sample="skip", max_bad=4)
    assert len(read(enough, num_workers=workers)) == 33
    assert [sample.record for sample in enough.bad] == bad
    for _ in range(2):  # once for each record, not once for each epoch
        read(enough, num_workers=workers)


def test_bad_records_count_from_the_start(folder):
    made = json.loads((folder / "train.json").read_text())
    for number in (1, 2, 3):
        made[number] = 7
    tiny_data.save(folder, made)
    with pytest.raises(DataError, match=r"3 of 130 records are bad, .* 2 .*: 3 malformed_record: "):
        tiny_data.dataset(folder, on_bad_sample="skip", max_bad=2)
    assert len(tiny_data.dataset(folder, on_bad_sample="skip", max_bad=3).bad) == 3
    spoil(folder, [4])
    with pytest.raises(DataError, match="4 of 130 records"):
        read(tiny_data.dataset(folder, on_bad_sample="skip", max_bad=3))


def samples(numbers, code="missing_image"):
    return [BadSample(number, code, f"record {number}") for number in numbers]


def place(record):
    return {"file": "a.json", "number": record, "id": f"r{record}", "images": []}


@pytest.mark.parametrize(
    ("records", "max_bad", "most"),
    [
        (665_298, 0.001, 665),
        (665_298, 0.0, 100),
        (50_000, 0.001, 100),
        (1_000, 1.0, 1_000),
        (1_000, 1, 1),
        (1_000, 0, 0),
    ],
)
def test_a_share_of_a_small_data_set_is_no_share(records, max_bad, most):
    found = BadSamples("data", records, max_bad, None)
    found.add(samples(range(most)), place)
    if most < records:
        with pytest.raises(DataError, match="more than"):
            found.add(samples([most]), place)


def test_a_hundred_in_a_row_are_too_many_at_any_share():
    found = BadSamples("data", 10_000, 0.5, None)
    for first in range(0, 96, 8):
        found.follow(range(first, first + 8), samples(range(first, first + 8)))
    found.follow([], [])  # a rank without a sample
    found.follow(range(96, 102), samples(range(96, 99)))  # the 99 before were in a row
    found.follow(range(200, 299), samples(range(200, 299)))
    with pytest.raises(DataError, match=r"100 samples in a row are bad \(`max_bad=1.0`"):
        found.follow([299], samples([299]))
    anything = BadSamples("data", 10_000, 1.0, None)
    anything.follow(range(500), samples(range(500)))


def test_a_folder_without_pictures_stops_soon(folder):
    made = tiny_data.records(300)
    tiny_data.save(folder, [record for record in made if "image" in record])
    (folder / "none").mkdir()
    dataset = tiny_data.LlavaDataset(
        folder / "train.json",
        folder / "none",
        tiny_data.tokenizer(),
        image=tiny_data.IMAGE,
        on_bad_sample="skip",
        max_bad=0.9,
    )
    with pytest.raises(DataError, match=r"100 samples in a row are bad .*: 4 missing_image: "):
        read(dataset)


@pytest.mark.parametrize("workers", [0, 2])
def test_the_ledger_names_record_file_picture_and_cause(folder, workers):
    made = json.loads((folder / "train.json").read_text())
    made[2]["conversations"][0]["from"] = "robot"
    tiny_data.save(folder, made)
    spoil(folder, [5, 8])
    ledger = folder / "bad.jsonl"
    options = {"on_bad_sample": "skip", "ledger": ledger}
    dataset = tiny_data.dataset(folder, **options)
    read(dataset, num_workers=workers)
    file = str(folder / "train.json")
    keys = ["record", "file", "number", "id", "image", "code", "message"]
    assert all(list(line) == keys for line in lines(ledger))
    assert [tuple(line.values())[:-1] for line in lines(ledger)] == [
        (2, file, 2, "r2", None, "unknown_role"),
        (5, file, 5, "r5", "5.png", "missing_image"),
        (8, file, 8, "r8", "8.jpg", "missing_image"),
    ]
    assert [line["message"] for line in lines(ledger)] == [bad.message for bad in dataset.bad]
    content = ledger.read_bytes()
    read(dataset, num_workers=workers)
    again = tiny_data.dataset(folder, **options)
    assert sorted(again.bad) == sorted(dataset.bad)
    read(again)
    assert ledger.read_bytes() == content
    with pytest.raises(DataError, match=rf"3 of 130 .*; all in `{ledger}`"):
        tiny_data.dataset(folder, max_bad=2, **options)
    tiny_data.save(folder, made[1:])  # other records: what is listed is not about them
    assert [bad.record for bad in tiny_data.dataset(folder, **options).bad] == [1]


def test_a_loader_of_torch_with_workers_fills_the_ledger_too(folder):
    spoil(folder, [4, 8])
    ledger = folder / "bad.jsonl"
    dataset = tiny_data.dataset(folder, on_bad_sample="skip", ledger=ledger)
    ours = DataLoader(dataset, batch_size=4, shuffle=False)
    theirs = torch.utils.data.DataLoader(
        dataset, batch_sampler=ours.batch_sampler, collate_fn=ours.collate_fn, num_workers=2
    )
    assert {type(batch) for batch in theirs} == {dict}
    assert sorted(line["record"] for line in lines(ledger)) == [4, 8]


def write(path, first):
    ledger = Ledger(path)
    for number in range(first, first + 60):
        where = place(number)
        ledger.add([{"record": number, "code": "c", "image": None, "message": "", **where}])


def test_processes_that_write_at_once_list_each_record_once(tmp_path):
    path = tmp_path / "bad.jsonl"
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=write, args=(path, 20 * i)) for i in range(4)]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [0] * 4
    assert sorted(line["record"] for line in lines(path)) == list(range(120))


def test_half_a_line_is_cut_off_and_a_removed_file_begins_anew(tmp_path):
    path = tmp_path / "bad.jsonl"
    write(path, 0)
    with open(path, "ab") as file:
        file.write(b'{"record": 60, "file": "a.js')
    assert len(Ledger(path).lines()) == 60
    ledger = pickle.loads(pickle.dumps(Ledger(path)))
    line = {"record": 60, "code": "c", "image": None, "message": "", **place(60)}
    ledger.add([line, line])
    assert [line["record"] for line in lines(path)] == list(range(61))
    path.unlink()
    ledger.add([line])
    assert [line["record"] for line in lines(path)] == [60]


def test_a_full_disk_delays_lines_and_loses_none(tmp_path):
    path = tmp_path / "bad.jsonl"
    child = os.fork()
    if child == 0:
        os._exit(1 - _fills_up(path))
    assert os.waitpid(child, 0)[1] == 0
    assert [line["record"] for line in lines(path)] == list(range(10))


def _fills_up(path):
    """Whether lines wait while the file may not grow, and come when it may."""
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    ledger = Ledger(path)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, most))
    for number in range(9):
        ledger.add([{"record": number, "code": "c", "image": None, "message": "", **place(number)}])
    waited = len(ledger.lines()) < 9
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    ledger.add([{"record": 9, "code": "c", "image": None, "message": "", **place(9)}])
    return waited


def test_wrong_arguments_and_a_file_that_is_something_else(folder):
    for wrong in (-1, 1.5, -0.1, float("nan"), "many", None):
        with pytest.raises(ValueError, match="max_bad: got"):
            tiny_data.dataset(folder, max_bad=wrong)
    with pytest.raises(ValueError, match="ledger: no such folder: "):
        tiny_data.dataset(folder, ledger=folder / "no" / "bad.jsonl")
    with pytest.raises(DataError, match=r"train\.json`: line 1 is none of a list of bad samples"):
        tiny_data.dataset(folder, ledger=folder / "train.json")
    other = folder / "other.json"
    for content in ("[]", "{}", '{"records": 1}', "\n"):
        other.write_text(content)
        with pytest.raises(DataError, match=r"other\.json`: line 1 is none of a list of bad"):
            tiny_data.dataset(folder, on_bad_sample="skip", ledger=other)
        assert other.read_text() == content

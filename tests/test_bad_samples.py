"""Bad input: the message says where and why, `skip` loses exactly the bad sample."""

import json
import pickle
import re

import pytest
import torch

from llava_fast import DataError, DataLoader, ImageError
from tests import tiny_data
from tests.tiny_data import PACK

COUNT = 24
BAD = 7  # a record with a picture, as 7 % 3 != 0


def missing(path):
    path.unlink()


def truncated(path):
    path.write_bytes(path.read_bytes()[:200])


def unsupported(path):
    path.write_bytes(b"II*\0" + bytes(100))


def empty(path):
    path.write_bytes(b"")


def directory(path):
    path.unlink()
    path.mkdir()


PICTURES = {
    missing: ("no such file", "missing_image"),
    truncated: ("truncated JPEG", "truncated_image"),
    unsupported: ("unsupported image|not an image", "unsupported_image|not_an_image"),
    empty: ("not an image|empty", "not_an_image|truncated_image"),
    directory: ("is a directory", "unreadable_image"),
}


@pytest.fixture
def folder(tmp_path):
    tiny_data.write(tmp_path, COUNT)
    return tmp_path


@pytest.mark.parametrize("break_it", PICTURES, ids=lambda f: f.__name__)
def test_a_bad_picture_raises_with_its_place(folder, break_it):
    path = folder / f"{BAD}.jpg"
    break_it(path)
    dataset = tiny_data.dataset(folder)  # opens no picture
    with pytest.raises(ImageError) as error:
        list(DataLoader(dataset, pack_tokens=PACK))
    start = f"record {BAD} (id `r{BAD}`) in `{folder / 'train.json'}`: image `{BAD}.jpg`: "
    assert str(error.value).startswith(start)
    assert re.search(PICTURES[break_it][0], str(error.value))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("break_it", PICTURES, ids=lambda f: f.__name__)
def test_skip_leaves_a_hole_and_moves_nothing(folder, break_it, workers):
    options = {"pack_tokens": PACK, "format": "native", "num_workers": workers}
    good = list(DataLoader(tiny_data.dataset(folder), **options))
    break_it(folder / f"{BAD}.jpg")
    dataset = tiny_data.dataset(folder, on_bad_sample="skip")
    loader = DataLoader(dataset, **options)
    holes = list(loader)
    assert [type(batch) for batch in holes] == [dict] * len(good)
    for before, after in zip(good, holes, strict=True):
        assert torch.equal(before["records"], after["records"])
        assert torch.equal(before["cu_seqlens"], after["cu_seqlens"])
        at = (before["records"] == BAD).nonzero().flatten().tolist()
        if not at:
            assert all(
                torch.equal(value, after[key])
                for key, value in before.items()
                if isinstance(value, torch.Tensor)
            )
            continue
        start, end = before["cu_seqlens"][at[0]], before["cu_seqlens"][at[0] + 1]
        inside = (before["loss_rows"] >= start) & (before["loss_rows"] < end)
        assert (after["input_ids"][start:end] == dataset.tokenizer.pad_id).all()
        assert torch.equal(after["loss_rows"], before["loss_rows"][~inside])
        image = before["image_row_starts"]
        kept = (image < start) | (image >= end)
        assert torch.equal(after.get("image_row_starts", image[:0]), image[kept])
        if kept.any():
            assert torch.equal(after["pixel_patches"], before["pixel_patches"][kept])
        assert loader.used_tokens(after) == loader.used_tokens(before) - int(end - start)
    [bad] = dataset.bad
    assert bad.record == BAD
    assert re.fullmatch(PICTURES[break_it][1], bad.code)
    assert re.search(PICTURES[break_it][0], bad.message)
    list(loader)
    assert len(dataset.bad) == 1  # counted once, not once per epoch


def unknown_role(record):
    record["conversations"][0]["from"] = "robot"


def more_tags(record):
    record["conversations"][0]["value"] += " <image>"


def nothing_supervised(record):
    record["conversations"] = record["conversations"][:1]


def not_an_object(record):
    record.clear()


RECORDS = {
    unknown_role: ("unknown role: got `robot`", "unknown_role"),
    more_tags: ("2 `<image>` tags for 1 images", "image_tag_count"),
    nothing_supervised: ("no supervised token", "nothing_supervised"),
    not_an_object: ("missing field `conversations`", "missing_field"),
}


@pytest.mark.parametrize("break_it", RECORDS, ids=lambda f: f.__name__)
def test_a_bad_record(tmp_path, break_it):
    made = tiny_data.write(tmp_path, COUNT)
    break_it(made[BAD])
    tiny_data.save(tmp_path, made)
    number = f"r{BAD}" if made[BAD] else str(BAD)
    start = f"record {BAD} (id `{number}`) in `{tmp_path / 'train.json'}`: "
    with pytest.raises(DataError) as error:
        tiny_data.dataset(tmp_path)
    assert str(error.value).startswith(start)
    assert RECORDS[break_it][0] in str(error.value)
    copy = pickle.loads(pickle.dumps(error.value))
    assert (copy.code, str(copy)) == (RECORDS[break_it][1], str(error.value))
    assert DataError("in one string, as torch builds it again").code == ""

    dataset = tiny_data.dataset(tmp_path, on_bad_sample="skip")
    assert dataset.bad == [(BAD, RECORDS[break_it][1], str(error.value))]
    assert dataset.lengths[BAD] == 0
    seen = [
        int(i)
        for batch in DataLoader(dataset, pack_tokens=PACK, format="native")
        for i in batch["records"]
    ]
    assert sorted(seen) == [i for i in range(COUNT) if i != BAD]


def test_a_broken_json_file_names_the_line(folder):
    file = folder / "train.json"
    lines = file.read_text().splitlines()
    lines[10] = lines[10].replace('"', "", 1)
    file.write_text("\n".join(lines))
    for policy in ("raise", "skip"):
        with pytest.raises(DataError, match=rf"{re.escape(str(file))}`: line 11 "):
            tiny_data.dataset(folder, on_bad_sample=policy)


def test_missing_places(folder):
    with pytest.raises(DataError, match=r"no_such\.json"):
        tiny_data.LlavaDataset(folder / "no_such.json", folder, tiny_data.tokenizer())
    with pytest.raises(DataError, match="no` is no folder, zip or tar: no such file"):
        tiny_data.LlavaDataset(folder / "train.json", folder / "no", tiny_data.tokenizer())
    (folder / "train.json").write_text("[]")
    empty = re.escape(f"`{folder / 'train.json'}`: none of the 0 records is usable")
    with pytest.raises(DataError, match=empty):
        DataLoader(tiny_data.dataset(folder), batch_size=1)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            {"id": "a", "conversations": []},
            "data: got a dict, expected a path or a list of records",
        ),
        (7, "data: got a int, expected a path or a list of records"),
        ([{"id": {1}}], "data: a record that is no JSON: Object of type set"),
        ([[]], "record 0 .* expected a record, i.e. a JSON object"),
        ([["x", None, [], None]], "record 0 .* expected a record, i.e. a JSON object"),
        ([], "`records`: none of the 0 records is usable"),
    ],
)
def test_data_in_memory_that_is_no_list_of_records(data, message):
    with pytest.raises(DataError, match=message):
        DataLoader(tiny_data.LlavaDataset(data, None, tiny_data.tokenizer()), batch_size=1)


@pytest.mark.parametrize("length", [-1, 0, 2**31, 3.5, None])
def test_a_max_length_out_of_range(folder, length):
    with pytest.raises(ValueError, match=f"max_length: got {length}, expected 1"):
        tiny_data.dataset(folder, max_length=length)


def test_a_path_that_leaves_the_folder_is_not_opened(tmp_path):
    made = tiny_data.write(tmp_path, 3)
    made[1]["image"] = "../secret.jpg"
    (tmp_path / "train.json").write_text(json.dumps(made))
    with pytest.raises(ImageError, match="leaves the image folder"):
        tiny_data.dataset(tmp_path)[1]

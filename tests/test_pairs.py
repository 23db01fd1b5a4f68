"""Tars of WebDataset pairs as records: which entries make one up, and what damage costs."""

import io
import json
import random
import tarfile
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from llava_fast import DataError, DataLoader, ImageError, LlavaDataset
from tests import tiny_data
from tests.archives import OTHER, PICTURE, write_tar
from tests.scale import scaled

TALK = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "blue"}]


def dataset(data: object, images: object = None, **options: Any) -> LlavaDataset:
    settings = {"template": "v1_short", "max_length": 128} | options
    return LlavaDataset(data, images, tiny_data.tokenizer(), tiny_data.IMAGE, **settings)


def as_bytes(record: object) -> bytes:
    return json.dumps(record).encode()


def pair(key: str, record: object, picture: bytes = PICTURE) -> dict[str, bytes]:
    return {f"{key}.jpg": picture, f"{key}.json": as_bytes(record)}


def faults(data: LlavaDataset) -> dict[int, tuple[str, str]]:
    """Code and message of every record that cannot be used, those with a bad picture too."""
    for _ in DataLoader(data, batch_size=2, shuffle=False):
        pass
    return {bad.record: (bad.code, bad.message) for bad in data.bad}


def same(ours: dict, theirs: dict) -> bool:
    return ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours)


def one(tmp_path: Path, entries: dict[str, bytes], **options: Any) -> dict:
    """The only record of a tar."""
    data = dataset(write_tar(tmp_path / "one.tar", entries), **options)
    assert len(data) == 1
    return data[0]


def plain(tmp_path: Path, record: dict, pictures: dict[str, bytes], **options: Any) -> dict:
    """The same by a record file and a folder."""
    folder = tmp_path / "plain"
    folder.mkdir(exist_ok=True)
    for name, content in pictures.items():
        (folder / name).write_bytes(content)
    return dataset([record], folder, **options)[0]


def test_pairs_give_what_a_folder_gives(tmp_path: Path):
    folder = tmp_path / "data"
    records = tiny_data.write(folder, 24)
    names = [record.get("image") for record in records]
    for count in (1, 3):
        shards = []
        for number in range(count):
            entries = {}
            for index in range(number, len(records), count):
                record = {key: value for key, value in records[index].items() if key != "image"}
                entries[f"{index:06d}.json"] = as_bytes(record)
                if names[index]:
                    entries[f"{index:06d}.jpg"] = (folder / names[index]).read_bytes()
            shards.append(write_tar(tmp_path / f"{count}-{number}.tar", entries))
        data = dataset(f"{tmp_path}/{count}-{{0..{count - 1}}}.tar" if count > 1 else shards[0])
        expected = tiny_data.dataset(folder)
        order = [index for number in range(count) for index in range(number, len(records), count)]
        assert len(data) == len(order)
        for place, index in enumerate(order):
            assert same(data[place], expected[index])


RECORDS = {
    "LLaVA, no picture named": {"conversations": TALK},
    "the entry named": {"image": "k.jpg", "conversations": TALK},
    "as a list": {"images": ["k.jpg"], "conversations": TALK},
    "by an old path": {"image": "coco/train2017/9.jpg", "conversations": TALK},
    "turns alone": TALK,
    "OpenAI": {
        "messages": [
            {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What?"}]},
            {"role": "assistant", "content": "blue"},
        ]
    },
    "OpenAI, the entry named": {
        "messages": [
            {"role": "user", "content": [{"type": "image", "image": "k.jpg"}, "What?"]},
            {"role": "assistant", "content": "blue"},
        ]
    },
    "instruction": {"instruction": "<image>\nWhat?", "input": "", "output": "blue"},
}


@pytest.mark.parametrize("shape", RECORDS)
@pytest.mark.parametrize("indent", [None, 2])
def test_the_json_is_any_record(tmp_path: Path, shape: str, indent: int | None):
    text = json.dumps(RECORDS[shape], indent=indent).encode()
    found = one(tmp_path, {"k.json": text, "k.jpg": PICTURE})
    expected = plain(tmp_path, {"image": "k.jpg", "conversations": TALK}, {"k.jpg": PICTURE})
    assert same(found, expected)


@pytest.mark.parametrize("template", ["plain", "v1_short"])
@pytest.mark.parametrize("metadata", [False, True])
def test_a_text_is_a_caption(tmp_path: Path, template: str, metadata: bool):
    entries = {"k.jpg": PICTURE, "k.txt": b" A bus, blue.\n"}
    if metadata:  # as img2dataset writes it
        entries["k.json"] = as_bytes({"caption": "A bus", "url": "http://a/b.jpg", "width": 3})
    turns = [{"from": "human", "value": "<image>"}, {"from": "gpt", "value": "A bus, blue."}]
    record = {"image": "k.jpg", "conversations": turns}
    expected = plain(tmp_path, record, {"k.jpg": PICTURE}, template=template)
    assert same(one(tmp_path, entries, template=template), expected)


def test_a_record_counts_more_than_a_caption(tmp_path: Path):
    found = one(tmp_path, pair("k", {"conversations": TALK}) | {"k.txt": b"A caption"})
    assert same(found, one(tmp_path, pair("k", {"conversations": TALK})))


@pytest.mark.parametrize("ending", ["jpg", "JPEG", "png", "webp", "gif", "bmp", "seg.jpg"])
def test_any_ending_of_a_picture(tmp_path: Path, ending: str):
    found = one(tmp_path, {"k.json": as_bytes(TALK), f"k.{ending}": PICTURE, "k.cls": b"3"})
    assert same(found, one(tmp_path, pair("k", TALK)))


def test_several_pictures_come_in_the_order_of_their_numbers(tmp_path: Path):
    turns = [{"from": "human", "value": "<image><image>?"}, {"from": "gpt", "value": "no"}]
    expected = plain(
        tmp_path,
        {"image": ["a.jpg", "b.jpg"], "conversations": turns},
        {"a.jpg": PICTURE, "b.jpg": OTHER},
    )
    entries = {"k.10.jpg": OTHER, "k.json": as_bytes(turns), "k.2.jpg": PICTURE}
    assert same(one(tmp_path, entries), expected)
    named = as_bytes({"image": ["k.10.jpg", "x/k.2.jpg"], "conversations": turns})
    turned = plain(
        tmp_path,
        {"image": ["b.jpg", "a.jpg"], "conversations": turns},
        {"a.jpg": PICTURE, "b.jpg": OTHER},
    )
    assert same(one(tmp_path, entries | {"k.json": named}), turned)


def test_entries_of_a_key_need_not_be_neighbours(tmp_path: Path):
    keys = [f"d/{number}" for number in range(9)]
    entries = {f"{key}.jpg": OTHER if number % 2 else PICTURE for number, key in enumerate(keys)}
    shuffled = random.Random(3).sample(keys, len(keys))
    entries |= {f"{key}.json": as_bytes({"id": key, "conversations": TALK}) for key in shuffled}
    data = dataset(write_tar(tmp_path / "a.tar", entries))
    assert len(data) == len(keys)
    for number in range(len(keys)):
        assert same(data[number], one(tmp_path, pair("k", TALK, OTHER if number % 2 else PICTURE)))


def test_what_is_no_part_of_a_record_is_passed_over(tmp_path: Path):
    entries = pair("k", TALK) | {
        "._k.jpg": b"of a Mac",
        ".hidden.json": b"{}",
        "README": b"",
        "k.npy": b"",
        "../out.json": b"{}",
        "/etc/passwd.json": b"{}",
    }
    assert same(one(tmp_path, entries), one(tmp_path, pair("k", TALK)))


BAD = {
    "a picture alone": (
        {"k.jpg": PICTURE},
        "bad_pair",
        "no `.json` and no `.txt` entry for `k.jpg`",
    ),
    "no picture": ({"k.json": as_bytes(TALK)}, "image_tag_count", "1 `<image>` tags for 0 images"),
    "no picture, but a name": (
        {"k.json": as_bytes({"image": "/etc/passwd", "conversations": TALK})},
        "bad_pair",
        "the record names `/etc/passwd`, of its key there is none",
    ),
    "other pictures": (
        {
            "k.json": as_bytes({"image": ["x.jpg", "k.0.jpg"], "conversations": TALK}),
            "k.0.jpg": PICTURE,
            "k.1.jpg": PICTURE,
        },
        "bad_pair",
        "the record names `x.jpg`, of its key there is `k.0.jpg`, `k.1.jpg`",
    ),
    "too many pictures": (
        {"k.json": as_bytes(TALK), "k.0.jpg": PICTURE, "k.1.jpg": PICTURE},
        "image_tag_count",
        "1 `<image>` tags for 2 images",
    ),
    "cut off": ({"k.jpg": PICTURE, "k.json": b'{"conversations": ['}, "malformed_record", "EOF"),
    "empty": ({"k.jpg": PICTURE, "k.json": b""}, "malformed_record", "EOF while parsing"),
    "a number": ({"k.jpg": PICTURE, "k.json": b"3"}, "malformed_record", "got a number"),
    "two values": ({"k.jpg": PICTURE, "k.json": b"{} {}"}, "malformed_record", "trailing"),
    "a line break in a string": (
        {"k.jpg": PICTURE, "k.json": b'{"conversations": "a\nb"}'},
        "malformed_record",
        "control character",
    ),
    "a key twice": (
        {"k.jpg": PICTURE, "k.json": b'{"id": 1, "id": 2}'},
        "duplicate_key",
        "the key `id` comes twice",
    ),
    "no text": ({"k.jpg": PICTURE, "k.json": b'"\xe9"'}, "bad_pair", "`k.json`: not UTF-8 behind"),
    "a caption that is no text": ({"k.jpg": PICTURE, "k.txt": b"\xff"}, "bad_pair", "not UTF-8"),
    "no caption": ({"k.jpg": PICTURE, "k.txt": b" \n"}, "empty_answer", "empty answer"),
    "metadata without caption": (
        {"k.jpg": PICTURE, "k.json": b'{"url": "x"}'},
        "missing_field",
        "missing field `conversations`",
    ),
    "huge": ({"k.jpg": PICTURE, "k.json": b" " * ((16 << 20) + 1)}, "bad_pair", "larger than"),
    "no JPEG": ({"k.jpg": b"no", "k.json": as_bytes(TALK)}, "not_an_image", "`k.jpg at byte"),
    "half a JPEG": (
        {"k.jpg": PICTURE[:-300], "k.json": as_bytes(TALK)},
        "truncated_image",
        "truncated JPEG",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_damaged_pair_is_a_bad_record_and_costs_no_other(tmp_path: Path, kind: str):
    entries, code, why = BAD[kind]
    path = write_tar(tmp_path / "a.tar", pair("a", TALK) | entries | pair("z", TALK, OTHER))
    data = dataset(path, on_bad_sample="skip")
    assert len(data) == 3
    found = faults(data)
    assert found.keys() == {1}
    assert found[1][0] == code
    assert f"record 1 (id `k`) in `{path}`: " in found[1][1]
    assert why in found[1][1]
    for index, picture in ((0, PICTURE), (2, OTHER)):
        assert same(data[index], one(tmp_path, pair("k", TALK, picture)))
    with pytest.raises((DataError, ImageError), match=r"record 1 \(id `k`\)"):
        for _ in DataLoader(dataset(path), batch_size=2):
            pass


def members(path: Path, content: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    with tarfile.open(path, "w") as archive:
        for member, data in content:
            member.size = len(data) if member.isreg() else 0
            archive.addfile(member, io.BytesIO(data))
    return path


def test_entries_that_come_twice_or_are_no_files(tmp_path: Path):
    def entry(name: str, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, "/etc/passwd"
        return member

    path = members(
        tmp_path / "a.tar",
        [
            (entry("a.json"), as_bytes(TALK)),
            (entry("a.jpg"), PICTURE),
            (entry("a.jpg"), OTHER),
            (entry("b.json", tarfile.SYMTYPE), b""),
            (entry("b.jpg"), PICTURE),
            (entry("c.json"), as_bytes(TALK)),
            (entry("c.jpg", tarfile.SYMTYPE), b""),
            (entry("d.jpg"), PICTURE),
            (entry("d.1.json"), as_bytes(TALK)),
            (entry("d.2.json"), as_bytes(TALK)),
            (entry("e.jpg", tarfile.DIRTYPE), b""),
            (entry("e.json"), as_bytes(TALK)),
            (entry("e.png"), PICTURE),
        ],
    )
    data = dataset(path, on_bad_sample="skip")
    found = faults(data)
    assert {index: code for index, (code, _) in found.items()} == {
        0: "bad_pair",
        1: "bad_pair",
        2: "unreadable_image",
        3: "bad_pair",
    }
    assert "`a.jpg` and `a.jpg` are both of the key `a`" in found[0][1]
    assert "`b.json`: the entry is a link" in found[1][1]
    assert "the entry is a link" in found[2][1]
    assert "`d.1.json` and `d.2.json` are both of the key `d`" in found[3][1]
    assert data[4]["pixel_values"].shape[0] == 1


def test_a_key_of_thousands_of_entries_ends(tmp_path: Path):
    entries = {f"k.{number}.jpg": b"" for number in range(5000)} | pair("z", TALK)
    data = dataset(write_tar(tmp_path / "a.tar", entries), on_bad_sample="skip")
    assert "more than 4096 entries of one key" in faults(data)[0][1]


@pytest.mark.parametrize("entries", [{"a.jpg": PICTURE}, {"README": b"x"}])
def test_a_tar_of_pictures_is_no_data(tmp_path: Path, entries: dict[str, bytes]):
    path = write_tar(tmp_path / "a.tar", entries)
    why = "no `.json` and no `.txt` entry in it: not a tar of pairs"
    with pytest.raises(DataError, match=f"`{path}`: {why}"):
        dataset(path)


def test_a_tar_that_is_cut_off_is_named(tmp_path: Path):
    path = write_tar(tmp_path / "a.tar", pair("a", TALK) | pair("b", TALK))
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DataError, match=f"`{path}`: the tar is cut off"):
        dataset(path)


def test_a_tar_that_changes_while_in_use(tmp_path: Path):
    path = write_tar(tmp_path / "a.tar", pair("a", TALK) | pair("b", TALK))
    data = dataset(path)
    good = path.read_bytes()
    path.write_bytes(good.replace(b"b.jpg", b"c.jpg"))
    with pytest.raises(ImageError, match=r"`b.jpg at byte .* the tar has changed since"):
        data[1]
    path.write_bytes(good[: good.rindex(PICTURE) + 100])
    with pytest.raises(ImageError, match="the file has become shorter"):
        data[1]
    path.write_bytes(good)
    assert data[1]["pixel_values"].shape[0] == 1


def test_a_mixture_of_pairs_and_others(tmp_path: Path):
    tiny_data.write(tmp_path / "data", 6)
    for number in range(4):
        entries: dict[str, bytes] = {}
        for key in range(5):
            record = {"id": f"{number}.{key}", "conversations": TALK}
            entries |= pair(f"{key}", record)
        write_tar(tmp_path / f"{number}.tar", entries)

    def ids(**entry: Any) -> list[str]:
        mix = tmp_path / "mix.yaml"
        entries = [entry, {"json_path": "data/train.json", "images": "data"}]
        mix.write_text(yaml.safe_dump({"datasets": entries}))
        data = dataset(mix)
        assert sum(1 for _ in DataLoader(data, batch_size=1)) == len(data)
        core = data._core
        found = [json.loads(core.json(index)).get("id", "") for index in range(len(data))]
        assert found[-6:] == [f"r{index}" for index in range(6)]
        return found[:-6]

    everything = [f"{number}.{key}" for number in range(4) for key in range(5)]
    shards = "{0..3}.tar"
    assert ids(json_path=shards) == everything
    # A strategy is about the records of all shards, not of each.
    assert ids(json_path=shards, sampling_strategy="first:7") == everything[:7]
    assert ids(json_path=shards, sampling_strategy="end:30%") == everything[-6:]
    chosen = ids(json_path=shards, sampling_strategy="random:50%")
    assert len(chosen) == len(set(chosen)) == 10
    assert [int(name[0]) for name in chosen] == sorted(int(name[0]) for name in chosen)
    assert sorted(ids(json_path=shards, weight=2)) == sorted(everything * 2)


def test_a_folder_of_shards_is_data(tmp_path: Path):
    shards = tmp_path / "shards"
    shards.mkdir()
    for number in (2, 0, 1):
        write_tar(shards / f"{number}.tar", pair("k", {"id": str(number), "conversations": TALK}))
    (shards / "README.md").write_text("about them")
    (shards / ".index").mkdir()
    data = dataset(shards)
    assert [json.loads(data._core.json(index))["id"] for index in range(3)] == ["0", "1", "2"]
    (shards / "stats.json").write_text("{}")
    with pytest.raises(DataError, match=r"got `0.tar` and `stats.json`, expected one kind"):
        dataset(shards)
    with pytest.raises(DataError, match=r"a folder without .parquet, .tar, .jsonl, .json files"):
        dataset(shards / ".index")


def test_resuming_and_workers(tmp_path: Path):
    for number in range(3):
        entries: dict[str, bytes] = {}
        for key in range(6):
            entries |= pair(str(key), TALK, OTHER if key % 2 else PICTURE)
        write_tar(tmp_path / f"{number}.tar", entries)
    data = dataset(f"{tmp_path}/{{0..2}}.tar")
    whole = list(DataLoader(data, batch_size=2))
    for method in ("fork", "spawn"):
        loader = DataLoader(data, batch_size=2, num_workers=2, multiprocessing_context=method)
        assert all(same(a, b) for a, b in zip(loader, whole, strict=True))
    loader = DataLoader(data, batch_size=2)
    batches = iter(loader)
    for _ in range(4):
        next(batches)
    state = loader.state_dict()
    again = DataLoader(dataset(f"{tmp_path}/{{0..2}}.tar"), batch_size=2)
    again.load_state_dict(state)
    assert all(same(a, b) for a, b in zip(again, whole[4:], strict=True))


def test_mutated_tars(tmp_path: Path):
    """Any damage is a typed error, or costs records."""
    entries: dict[str, bytes] = {}
    for key in range(3):
        entries |= pair(str(key), TALK)
    good = write_tar(tmp_path / "good.tar", entries).read_bytes()
    headers = [at for at in range(0, len(good), 512) if good[at + 257 : at + 262] == b"ustar"]
    rng, path, read = random.Random(11), tmp_path / "bad.tar", 0
    for _ in range(scaled(3_000)):
        damaged = bytearray(good)
        for _ in range(rng.randint(1, 4)):
            at = rng.choice([rng.choice(headers) + rng.randrange(160), rng.randrange(len(good))])
            damaged[at] = rng.choice([0, 255, ord("0"), rng.randrange(256)])
        path.write_bytes(damaged[: rng.choice([None, None, rng.randrange(len(damaged))])])
        try:
            data = dataset(path, on_bad_sample="skip")
            for _ in DataLoader(data, batch_size=2, shuffle=False):
                read += 1
        except (DataError, ImageError):
            continue
    assert read > 0

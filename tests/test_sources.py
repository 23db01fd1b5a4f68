"""Pictures from a folder, a zip or a tar: the same bytes, and nothing else than what is there."""

import io
import json
import os
import random
import tarfile
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from llava_fast import DataError, DataLoader, ImageError, LlavaDataset
from tests import tiny_data
from tests.archives import (
    OTHER,
    PICTURE,
    dataset,
    expected_pixels,
    pixels,
    refused,
    write_tar,
    write_zip,
)
from tests.data.make_pictures import jpeg, scene
from tests.scale import scaled


def archives(folder: Path, names: list[str], place: Path) -> dict[str, Path]:
    """The files of `folder` in every kind of archive."""
    entries = {name: (folder / name).read_bytes() for name in names}
    made = {
        "stored": write_zip(place / "stored.zip", entries),
        "deflated": write_zip(place / "deflated.zip", entries, zipfile.ZIP_DEFLATED),
    }
    for kind, format in {
        "pax": tarfile.PAX_FORMAT,
        "gnu": tarfile.GNU_FORMAT,
        "ustar": tarfile.USTAR_FORMAT,
    }.items():
        made[kind] = write_tar(place / f"{kind}.tar", entries, format)
    with tarfile.open(place / "dot.tar", "w") as archive:
        archive.add(folder, ".")
    return made | {"dot": place / "dot.tar"}


def test_batches_do_not_depend_on_where_the_pictures_lie(tmp_path: Path):
    folder = tmp_path / "data"
    names = [r["image"] for r in tiny_data.write(folder, 24) if "image" in r]
    expected = list(batches(tiny_data.dataset(folder)))
    for images in archives(folder, names, tmp_path).values():
        data = LlavaDataset(
            folder / "train.json", images, tiny_data.tokenizer(), tiny_data.IMAGE, "v1_short", 128
        )
        for batch, other in zip(expected, batches(data), strict=True):
            assert batch.keys() == other.keys()
            for key, value in batch.items():
                assert torch.equal(value, other[key]) if torch.is_tensor(value) else True


def batches(data: LlavaDataset, **options: Any) -> DataLoader:
    return DataLoader(data, pack_tokens=tiny_data.PACK, num_threads=2, **options)


@pytest.mark.parametrize("method", ["fork", "forkserver"])
def test_worker_processes_share_an_open_archive(tmp_path: Path, method: str):
    folder = tmp_path / "data"
    names = [r["image"] for r in tiny_data.write(folder, 24) if "image" in r]
    images = write_zip(
        tmp_path / "a.zip", {name: (folder / name).read_bytes() for name in names}, 8
    )
    data = LlavaDataset(
        folder / "train.json", images, tiny_data.tokenizer(), tiny_data.IMAGE, "v1_short", 128
    )
    expected = [batch["pixel_values"] for batch in batches(data) if "pixel_values" in batch]
    loader = batches(data, num_workers=2, multiprocessing_context=method)
    loader.set_epoch(0)
    found = [batch["pixel_values"] for batch in loader if "pixel_values" in batch]
    assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))


@pytest.mark.parametrize("write", [write_zip, write_tar])
def test_threads_read_one_archive_at_once(tmp_path: Path, write: Callable[..., Path]):
    entries = {f"{seed}.jpg": jpeg(scene(40, 30, seed)) for seed in range(8)}
    data = dataset(write(tmp_path / "archive", entries), entries)
    expected = [data[index]["pixel_values"] for index in range(8)]
    wrong = []

    def read(start: int) -> None:
        for index in range(start, start + 40):
            if not torch.equal(data[index % 8]["pixel_values"], expected[index % 8]):
                wrong.append(index)

    threads = [threading.Thread(target=read, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_what_is_no_source_does_not_open(tmp_path: Path):
    write_zip(tmp_path / "a.zip", {"a.jpg": PICTURE})
    write_tar(tmp_path / "a.tar", {"a.jpg": PICTURE})
    (tmp_path / "a.jpg").write_bytes(PICTURE)
    (tmp_path / "empty").touch()
    (tmp_path / "short.tar").write_bytes((tmp_path / "a.tar").read_bytes()[:300])
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "a.jpg", "a.jpg")
    with tarfile.open(tmp_path / "a.tar.xz", "w:xz") as archive:
        archive.add(tmp_path / "a.jpg", "a.jpg")
    os.mkfifo(tmp_path / "pipe")
    neither = "is neither a folder nor a zip or tar archive"
    for name, why in {
        "a.tar.gz": "is packed with gzip, which has no way to a single picture: unpack it",
        "a.tar.xz": "is packed with xz",
        "a.jpg": neither,
        "empty": neither,
        "short.tar": neither,
        "pipe": "is no folder, zip or tar: not a regular file",
        "missing": "is no folder, zip or tar: no such file",
    }.items():
        with pytest.raises(DataError) as error:
            dataset(tmp_path / name, ["a.jpg"])
        assert f"images: `{tmp_path / name}` {why}" in str(error.value)


def test_archives_are_told_by_content(tmp_path: Path):
    write_zip(tmp_path / "a.tar", {"a.jpg": PICTURE})
    write_tar(tmp_path / "b", {"a.jpg": PICTURE})
    for name in ("a.tar", "b"):
        assert torch.equal(pixels(tmp_path / name, "a.jpg"), expected_pixels())


def test_links_out_of_a_folder_are_followed_on_request_only(tmp_path: Path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.jpg").write_bytes(PICTURE)
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "coco").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ImageError, match="leaves the image folder through a link"):
        pixels(tmp_path / "images", "coco/a.jpg")
    followed = dataset(tmp_path / "images", ["coco/a.jpg", "../elsewhere/a.jpg"], follow_links=True)
    assert torch.equal(followed[0]["pixel_values"], expected_pixels())
    with pytest.raises(ImageError, match=r"leaves the image folder$"):
        followed[1]


@pytest.mark.parametrize("write", [write_zip, write_tar])
def test_names(tmp_path: Path, write: Callable[..., Path]):
    names = ["a.jpg", "train/a.jpg", "./dot/a.jpg", "ünï/☃.jpg", "x" * 120 + "/" + "y" * 130]
    images = write(tmp_path / "archive", dict.fromkeys(names, PICTURE))
    for name in [*names, "./train//a.jpg", "dot/a.jpg"]:
        assert torch.equal(pixels(images, name), expected_pixels())
    for name in ("../a.jpg", "/a.jpg", "train/../a.jpg"):
        refused(images, name, "the name leads out of the archive")


@pytest.mark.parametrize("write", [write_zip, write_tar])
def test_a_missing_entry_suggests_another(tmp_path: Path, write: Callable[..., Path]):
    images = write(tmp_path / "archive", {f"train2017/{n}.jpg": PICTURE for n in range(9)})
    refused(images, "3.jpg", "no entry of that name; did you mean `train2017/3.jpg`?")
    refused(
        images, "coco/train2017/3.jpg", "no entry of that name; did you mean `train2017/3.jpg`?"
    )
    refused(images, "train2017/3.JPG", "no entry of that name; did you mean `train2017/3.jpg`?")
    with pytest.raises(ImageError, match=r"no entry of that name$"):
        pixels(images, "other.jpg")


def test_entries_whose_names_lead_out_are_not_there(tmp_path: Path):
    names = ["../a.jpg", "/etc/a.jpg", "b/../../a.jpg"]
    for write in (write_zip, write_tar):
        images = write(tmp_path / write.__name__, dict.fromkeys([*names, "ok.jpg"], PICTURE))
        assert torch.equal(pixels(images, "ok.jpg"), expected_pixels())
        for name in ("a.jpg", "etc/a.jpg"):
            refused(images, name, "no entry of that name")


def test_a_name_that_occurs_twice_is_an_error(tmp_path: Path):
    entries = {"a.jpg": PICTURE, "A.jpg": OTHER, "b.jpg": PICTURE}
    path = write_zip(tmp_path / "a.zip", entries)
    path.write_bytes(path.read_bytes().replace(b"A.jpg", b"a.jpg"))
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, data in (("a.jpg", PICTURE), ("./a.jpg", OTHER), ("b.jpg", PICTURE)):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    for images in (path, tmp_path / "a.tar"):
        refused(images, "a.jpg", "the archive has several entries of that name")
        assert torch.equal(pixels(images, "b.jpg"), expected_pixels())


@pytest.mark.parametrize("write", [write_zip, write_tar])
def test_an_archive_that_is_cut_off_or_changed_while_in_use(
    tmp_path: Path, write: Callable[..., Path]
):
    images = write(tmp_path / "archive", {"a.jpg": PICTURE, "b.jpg": PICTURE})
    data = dataset(images, ["a.jpg", "b.jpg"])
    good = images.read_bytes()
    os.truncate(images, good.rindex(PICTURE) + 10)
    with pytest.raises(ImageError, match="the file has become shorter than its index says"):
        data[1]
    at = good.index(PICTURE)
    images.write_bytes(b"\0" * at + good[at:])
    with pytest.raises(
        ImageError, match=r"no entry header at byte|has changed since it was opened"
    ):
        data[0]
    images.write_bytes(good)
    assert torch.equal(data[0]["pixel_values"], expected_pixels())
    other = tmp_path / "other"
    other.write_bytes(b"PK another")
    other.rename(images)
    assert torch.equal(data[1]["pixel_values"], expected_pixels())


@pytest.mark.parametrize("write", [write_zip, write_tar])
def test_mutated_archives(tmp_path: Path, write: Callable[..., Path]):
    """Any damage: the right picture, or a typed error; of a zip, never other bytes."""
    good = write(tmp_path / "good", {f"{n}.jpg": PICTURE for n in range(3)}).read_bytes()
    expected = pixels(tmp_path / "good", "1.jpg")
    rng, path = random.Random(8), tmp_path / "bad"
    opened = read = 0
    for _ in range(scaled(5_000)):
        data = bytearray(good)
        for _ in range(rng.randint(1, 3)):
            at = rng.choice([rng.randrange(len(data)), rng.randrange(-400, 0), rng.randrange(512)])
            data[at] = rng.choice([0, 255, rng.randrange(256), data[at] ^ 1])
        path.write_bytes(data[: rng.choice([None, None, rng.randrange(len(data))])])
        try:
            source = dataset(path, ["1.jpg"])
            opened += 1
            found = source[0]["pixel_values"]
            read += 1
        except (DataError, ImageError):
            continue
        assert write is write_tar or torch.equal(found, expected)
    assert 0 < read <= opened


def test_a_bad_entry_leaves_a_hole(tmp_path: Path):
    path = write_zip(tmp_path / "a.zip", {"a.jpg": PICTURE, "b.jpg": PICTURE})
    data = dataset(path, ["a.jpg", "missing.jpg", "b.jpg"], on_bad_sample="skip")
    assert len(data.bad) == 0
    for _ in DataLoader(data, batch_size=3):
        pass
    assert [(bad.record, bad.code) for bad in data.bad] == [(1, "missing_image")]
    assert json.dumps(data.bad[0].message).count("a.zip") == 1

"""Pictures from a folder, a zip or a tar: the same bytes, and nothing else than what is in there.

Hostile archives are made by hand: an entry that cannot be read for sure is an error of that entry,
with the names of archive and entry, and an archive without a sound index does not open.
"""

import io
import json
import multiprocessing
import os
import random
import re
import struct
import tarfile
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch

from llava_fast import DataError, DataLoader, ImageError, LlavaDataset
from tests import tiny_data
from tests.data.make_pictures import jpeg, scene
from tests.scale import scaled

PICTURE = jpeg(scene(30, 20, 0))
OTHER = jpeg(scene(30, 20, 1))


def dataset(images: Path | None, names: Iterable[str], **options: Any) -> LlavaDataset:
    """One record per name of a picture."""
    turns = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "blue"}]
    records = [{"id": name, "image": name, "conversations": turns} for name in names]
    return LlavaDataset(
        records, images, tiny_data.tokenizer(), tiny_data.IMAGE, "v1_short", 128, **options
    )


def pixels(images: Path | None, name: str, **options: Any) -> torch.Tensor:
    return dataset(images, [name], **options)[0]["pixel_values"]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> torch.Tensor:
    """What `PICTURE` becomes."""
    folder = tmp_path_factory.mktemp("expected")
    (folder / "a.jpg").write_bytes(PICTURE)
    return pixels(folder, "a.jpg")


def write_zip(path: Path, entries: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return path


def write_tar(path: Path, entries: dict[str, bytes], format: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, "w", format=format) as archive:
        for name, data in entries.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def refused(images: Path, name: str, why: str) -> None:
    """The entry is an error that names archive and entry and says why."""
    with pytest.raises(ImageError) as error:
        pixels(images, name)
    assert f"image `{name}`: archive `{images}`: {why}" in str(error.value)


# The same batches from everything -------------------------------------------------------------


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


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
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


def test_threads_read_one_archive_at_once(tmp_path: Path):
    entries = {f"{seed}.jpg": jpeg(scene(40, 30, seed)) for seed in range(8)}
    for images in (write_zip(tmp_path / "a.zip", entries, 8), write_tar(tmp_path / "a.tar", entries)):
        data = dataset(images, entries)
        expected = [data[index]["pixel_values"] for index in range(8)]
        wrong = []

        def read(start: int, data=data, expected=expected, wrong=wrong) -> None:
            for index in range(start, start + 40):
                if not torch.equal(data[index % 8]["pixel_values"], expected[index % 8]):
                    wrong.append(index)

        threads = [threading.Thread(target=read, args=(start,)) for start in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []


# What `images` may be -------------------------------------------------------------------------


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


def test_archives_are_told_by_content(tmp_path: Path, expected: torch.Tensor):
    write_zip(tmp_path / "a.tar", {"a.jpg": PICTURE})
    write_tar(tmp_path / "b", {"a.jpg": PICTURE})
    for name in ("a.tar", "b"):
        assert torch.equal(pixels(tmp_path / name, "a.jpg"), expected)


def test_links_out_of_a_folder_are_followed_on_request_only(
    tmp_path: Path, expected: torch.Tensor
):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.jpg").write_bytes(PICTURE)
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "coco").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ImageError, match="leaves the image folder through a link"):
        pixels(tmp_path / "images", "coco/a.jpg")
    followed = dataset(tmp_path / "images", ["coco/a.jpg", "../elsewhere/a.jpg"], follow_links=True)
    assert torch.equal(followed[0]["pixel_values"], expected)
    with pytest.raises(ImageError, match=r"leaves the image folder$"):
        followed[1]


# Names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("write", [write_zip, write_tar])
def test_names(tmp_path: Path, expected: torch.Tensor, write: Callable[..., Path]):
    names = ["a.jpg", "train/a.jpg", "./dot/a.jpg", "ünï/☃.jpg", "x" * 120 + "/" + "y" * 130]
    images = write(tmp_path / "archive", dict.fromkeys(names, PICTURE))
    for name in [*names, "./train//a.jpg", "dot/a.jpg"]:
        assert torch.equal(pixels(images, name), expected)
    for name in ("../a.jpg", "/a.jpg", "train/../a.jpg"):
        refused(images, name, "the name leads out of the archive")


@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_long_names_of_each_tar(tmp_path: Path, expected: torch.Tensor, format: int):
    name = "x" * 90 + "/" + "y" * 90
    images = write_tar(tmp_path / "a.tar", {name: PICTURE, "b": OTHER}, format)
    assert torch.equal(pixels(images, name), expected)


@pytest.mark.parametrize("write", [write_zip, write_tar])
def test_a_missing_entry_suggests_another(tmp_path: Path, write: Callable[..., Path]):
    images = write(tmp_path / "archive", {f"train2017/{n}.jpg": PICTURE for n in range(9)})
    refused(images, "3.jpg", "no entry of that name; did you mean `train2017/3.jpg`?")
    refused(images, "coco/train2017/3.jpg", "no entry of that name; did you mean `train2017/3.jpg`?")
    refused(images, "train2017/3.JPG", "no entry of that name; did you mean `train2017/3.jpg`?")
    with pytest.raises(ImageError, match=r"no entry of that name$"):
        pixels(images, "other.jpg")


def test_entries_whose_names_lead_out_are_not_there(tmp_path: Path, expected: torch.Tensor):
    names = ["../a.jpg", "/etc/a.jpg", "b/../../a.jpg"]
    for write in (write_zip, write_tar):
        images = write(tmp_path / write.__name__, dict.fromkeys([*names, "ok.jpg"], PICTURE))
        assert torch.equal(pixels(images, "ok.jpg"), expected)
        for name in ("a.jpg", "etc/a.jpg"):
            refused(images, name, "no entry of that name")


def test_a_name_that_occurs_twice_is_an_error(tmp_path: Path, expected: torch.Tensor):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.jpg", PICTURE)
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.jpg", OTHER)
        archive.writestr("b.jpg", PICTURE)
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, data in (("a.jpg", PICTURE), ("./a.jpg", OTHER), ("b.jpg", PICTURE)):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    for images in (path, tmp_path / "a.tar"):
        refused(images, "a.jpg", "the archive has several entries of that name")
        assert torch.equal(pixels(images, "b.jpg"), expected)


# Kinds of entries -----------------------------------------------------------------------------


def test_links_devices_and_folders_of_a_tar(tmp_path: Path, expected: torch.Tensor):
    kinds = {
        "symlink": (tarfile.SYMTYPE, "the entry is a link"),
        "hardlink": (tarfile.LNKTYPE, "the entry is a link"),
        "device": (tarfile.CHRTYPE, "the entry is not a regular file"),
        "block": (tarfile.BLKTYPE, "the entry is not a regular file"),
        "fifo": (tarfile.FIFOTYPE, "the entry is not a regular file"),
        "folder": (tarfile.DIRTYPE, "is a directory"),
        "unknown": (b"Z", "the entry is not a regular file"),
    }
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, (kind, _) in kinds.items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
        member = tarfile.TarInfo("a.jpg")
        member.size = len(PICTURE)
        archive.addfile(member, io.BytesIO(PICTURE))
    for name, (_, why) in kinds.items():
        refused(tmp_path / "a.tar", name, why)
    assert torch.equal(pixels(tmp_path / "a.tar", "a.jpg"), expected)


def test_sparse_files_are_refused_and_the_next_is_found(tmp_path: Path, expected: torch.Tensor):
    """An old GNU sparse header with one more block of its map, and the three forms of pax."""
    header = bytearray(tarfile.TarInfo("old").tobuf(tarfile.GNU_FORMAT))
    header[156:157], header[482] = b"S", 1
    header[124:136] = b"%011o\0" % 512
    header[148:156] = b"%06o\0 " % (sum(header) - sum(header[148:156]) + 8 * 32)
    old = bytes(header) + bytes(512) + bytes(512)
    pax = tarfile.TarInfo("GNUSparseFile.0/new")
    pax.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.name": "new"}
    rest = tmp_path / "rest.tar"
    write_tar(rest, {"a.jpg": PICTURE})
    path = tmp_path / "a.tar"
    path.write_bytes(old + pax.tobuf(tarfile.PAX_FORMAT) + rest.read_bytes())
    for name in ("old", "new"):
        refused(path, name, "the entry is a sparse file")
    assert torch.equal(pixels(path, "a.jpg"), expected)


def test_links_devices_and_folders_of_a_zip(tmp_path: Path):
    path = tmp_path / "a.zip"
    kinds = {"link": 0o120777, "device": 0o020666, "fifo": 0o010666, "folder": 0o040755}
    with zipfile.ZipFile(path, "w") as archive:
        for name, mode in kinds.items():
            member = zipfile.ZipInfo(name)
            member.create_system, member.external_attr = 3, mode << 16
            archive.writestr(member, b"/etc/passwd")
        archive.mkdir("directory")
    refused(path, "link", "the entry is a link")
    refused(path, "device", "the entry is not a regular file")
    refused(path, "fifo", "the entry is not a regular file")
    refused(path, "folder", "is a directory")
    refused(path, "directory", "is a directory")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_methods_of_a_zip(tmp_path: Path, method: int):
    images = write_zip(tmp_path / "a.zip", {"a.jpg": PICTURE}, method)
    refused(images, "a.jpg", f"compression method {method} is not supported, only stored and")


# Zip by hand ----------------------------------------------------------------------------------

LOCAL, CENTRAL = struct.Struct("<4s5H3I2H"), struct.Struct("<4s6H3I5H2I")
END = struct.Struct("<4s4H2IH")


class Zip:
    """A zip of one file `a.jpg` in which every field can lie."""

    def __init__(self, content: bytes, data: bytes, method: int, **lies: int) -> None:
        self.name = self.own_name = b"a.jpg"
        self.content, self.extra = content, b""
        true = {"flags": 0, "method": method, "crc": zlib.crc32(data), "offset": 0}
        self.fields = true | {"packed": len(content), "size": len(data)} | lies

    @classmethod
    def of(cls, data: bytes, **lies: int) -> "Zip":
        deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
        return cls(deflate.compress(data) + deflate.flush(), data, 8, **lies)

    @classmethod
    def stored(cls, data: bytes, **lies: int) -> "Zip":
        return cls(data, data, 0, **lies)

    def write(self, path: Path, before: bytes = b"", after: bytes = b"") -> Path:
        f = self.fields
        sizes = f["crc"], f["packed"], f["size"]
        common = 20, f["flags"], f["method"], 0, 0
        described = f["flags"] & 8
        body = LOCAL.pack(
            b"PK\3\4", *common, *((0, 0, 0) if described else sizes), len(self.own_name), 0
        )
        body += self.own_name + self.content
        if described:
            body += struct.pack("<4s3I", b"PK\7\x08", *sizes)
        rest = len(self.name), len(self.extra), 0, 0, 0, 0, f["offset"]
        central = CENTRAL.pack(b"PK\1\2", 20, *common, *sizes, *rest) + self.name + self.extra
        end = END.pack(b"PK\5\6", 0, 0, 1, 1, len(central), len(body), len(after))
        path.write_bytes(before + body + central + end + after)
        return path


def test_data_descriptors_comments_and_bytes_in_front(tmp_path: Path, expected: torch.Tensor):
    for maker in (Zip.of, Zip.stored):
        images = maker(PICTURE, flags=8).write(tmp_path / "a.zip", after=b"a comment")
        assert torch.equal(pixels(images, "a.jpg"), expected)
    images = Zip.of(PICTURE).write(tmp_path / "b.zip", before=b"PK of something else" * 9)
    assert torch.equal(pixels(images, "a.jpg"), expected)


def test_zip64(tmp_path: Path, expected: torch.Tensor):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive, archive.open("a.jpg", "w", force_zip64=True) as out:
        out.write(PICTURE)
    assert torch.equal(pixels(path, "a.jpg"), expected)
    central = Zip.of(PICTURE)
    packed, size = central.fields["packed"], central.fields["size"]
    central.fields |= {"packed": 0xFFFFFFFF, "size": 0xFFFFFFFF, "offset": 0xFFFFFFFF}
    central.extra = struct.pack("<2HI2H3Q", 9, 4, 7, 1, 24, size, packed, 0)
    assert torch.equal(pixels(central.write(path), "a.jpg"), expected)
    central.extra = struct.pack("<2HQ", 1, 8, size)
    with pytest.raises(DataError, match="entry 0 of the central directory has bad sizes"):
        pixels(central.write(path), "a.jpg")


def test_more_than_65535_entries(tmp_path: Path, expected: torch.Tensor):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(66_000):
            archive.writestr(zipfile.ZipInfo(f"{number:06}"), b"")
        archive.writestr("a.jpg", PICTURE)
    assert b"PK\6\6" in path.read_bytes()[-200:]
    for name in (path, _moved(path, b"in front")):
        assert torch.equal(pixels(name, "a.jpg"), expected)


def _moved(path: Path, before: bytes) -> Path:
    """The archive behind other bytes, which its offsets do not count."""
    moved = path.with_name("moved.zip")
    moved.write_bytes(b"PK" + before + path.read_bytes())
    return moved


LIES: dict[str, tuple[Callable[[], Zip], str]] = {
    "encrypted": (lambda: Zip.of(PICTURE, flags=1), "the entry is encrypted"),
    "strongly": (lambda: Zip.of(PICTURE, flags=1 << 6), "the entry is encrypted"),
    "too large": (
        lambda: Zip.of(PICTURE, size=(64 << 20) + 1),
        "image refused: the file is larger than 64 MiB",
    ),
    "cannot be": (
        lambda: Zip.of(PICTURE, size=64 << 20),
        "bytes cannot inflate to the declared 67108864",
    ),
    "inflates to more": (
        lambda: Zip.of(PICTURE + b"more", size=len(PICTURE)),
        "inflates to more than the declared",
    ),
    "a bomb": (lambda: Zip.of(bytes(1 << 28), size=1000), "inflates to more than the declared 1000"),
    "inflates to less": (
        lambda: Zip.of(PICTURE[:-1], size=len(PICTURE)),
        f"inflates to {len(PICTURE) - 1} bytes, {len(PICTURE)} are declared",
    ),
    "cut short": (
        lambda: Zip.of(PICTURE, packed=len(Zip.of(PICTURE).content) - 9),
        "the deflated data ends too early",
    ),
    "wrong crc": (lambda: Zip.of(PICTURE, crc=1), "the CRC-32 is"),
    "wrong crc, stored": (lambda: Zip.stored(PICTURE, crc=1), "the CRC-32 is"),
    "stored, two sizes": (
        lambda: Zip.stored(PICTURE, packed=len(PICTURE) - 1),
        "the entry ends outside of the archive's data",
    ),
    "beyond": (lambda: Zip.of(PICTURE, packed=1 << 20), "the entry ends outside of the archive's"),
    "offset beyond": (lambda: Zip.of(PICTURE, offset=1 << 30), "the entry ends outside of the"),
    "offset elsewhere": (lambda: Zip.stored(PICTURE, offset=1, size=9, packed=9), "no entry header"),
    "garbage": (
        lambda: Zip(b"\xff" * 900, PICTURE, 8),
        "the deflated data is damaged",
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_entries_of_a_zip_that_lie(tmp_path: Path, lie: str):
    make, why = LIES[lie]
    with pytest.raises(ImageError) as error:
        pixels(make().write(tmp_path / "a.zip"), "a.jpg")
    text = str(error.value)
    assert f"image `a.jpg`: archive `{tmp_path / 'a.zip'}`: " in text
    assert why in text


def test_two_names_of_one_entry(tmp_path: Path):
    entry = Zip.of(PICTURE)
    entry.own_name = b"b.jpg"
    refused(entry.write(tmp_path / "a.zip"), "a.jpg", "the entry's own header has another name, `b")


def test_entries_that_overlap(tmp_path: Path):
    """Two records of one entry, as a bomb uses them."""
    path = Zip.of(PICTURE).write(tmp_path / "a.zip")
    data = path.read_bytes()
    start = data.index(b"PK\1\2")
    record = data[start : data.index(b"PK\5\6")]
    twin = record.replace(b"a.jpg", b"b.jpg")
    end = END.pack(b"PK\5\6", 0, 0, 2, 2, 2 * len(record), start, 0)
    path.write_bytes(data[:start] + record + twin + end)
    for name in ("a.jpg", "b.jpg"):
        refused(path, name, "the entry overlaps another")


def test_a_broken_central_directory_does_not_open(tmp_path: Path):
    good = Zip.of(PICTURE).write(tmp_path / "a.zip").read_bytes()
    start, end = good.index(b"PK\1\2"), good.index(b"PK\5\6")
    broken = {
        "cut off": (good[:-1], "no end of central directory"),
        "only data": (good[:start], "no end of central directory"),
        "longer": (good[: end + 12] + b"\xff\xff\0\0" + good[end + 16 :], "does not fit before"),
        "magic": (good[:start] + b"XX" + good[start + 2 :], "entry 0 of the central directory is"),
        "name": (good[: start + 28] + b"\xff\xff" + good[start + 30 :], "cut off in entry 0"),
        "count": (good[: end + 8] + b"\2\0\2\0" + good[end + 12 :], "has 1 entries, 2 are declared"),
        "parts": (good[: end + 4] + b"\1\0\0\0" + good[end + 8 :], "is one part of a zip of several"),
    }
    for data, why in broken.values():
        (tmp_path / "b.zip").write_bytes(data)
        with pytest.raises(DataError, match=re.escape(str(tmp_path / "b.zip")) + ".*" + why):
            dataset(tmp_path / "b.zip", ["a.jpg"])


# Tar by hand ----------------------------------------------------------------------------------


def test_a_broken_tar_does_not_open(tmp_path: Path):
    good = write_tar(tmp_path / "a.tar", {"a": bytes(600), "b": bytes(10)}).read_bytes()
    second = 512 + 1024
    huge = bytearray(good)
    huge[124:136] = b"\x80" + bytes(3) + (1 << 62).to_bytes(8, "big")
    huge[148:156] = b"%06o\0 " % (sum(huge[:512]) - sum(huge[148:156]) + 8 * 32)
    for data, why in (
        (good[: second + 100], f"cut off in the header at byte {second}"),
        (good[:900], "cut off: the entry at byte 0 has 600 bytes, the file ends at 900"),
        (good[:second] + b"x" * 512 + good[second + 512 :], f"no tar header at byte {second}"),
        (bytes(huge), "cut off: the entry at byte 0"),
    ):
        (tmp_path / "b.tar").write_bytes(data)
        with pytest.raises(DataError, match=why):
            dataset(tmp_path / "b.tar", ["a"])


def test_a_name_of_gigabytes_is_not_read(tmp_path: Path):
    member = tarfile.TarInfo("././@LongLink")
    member.type, member.size = tarfile.GNUTYPE_LONGNAME, 1 << 33
    with (tmp_path / "a.tar").open("wb") as file:
        file.write(member.tobuf(tarfile.GNU_FORMAT))
        file.truncate((1 << 33) + 2048)
    with pytest.raises(DataError, match=f"a name of {1 << 33} bytes"):
        dataset(tmp_path / "a.tar", ["a"])


def test_sizes_in_pax_headers(tmp_path: Path, expected: torch.Tensor):
    """The size in the pax header counts, not the one in the plain header."""
    member = tarfile.TarInfo("a.jpg")
    member.pax_headers, member.size = {"size": str(len(PICTURE))}, 0
    path = tmp_path / "a.tar"
    blocks = PICTURE + bytes(-len(PICTURE) % 512)
    rest = write_tar(tmp_path / "rest.tar", {"b.jpg": PICTURE}).read_bytes()
    path.write_bytes(member.tobuf(tarfile.PAX_FORMAT) + blocks + rest)
    for name in ("a.jpg", "b.jpg"):
        assert torch.equal(pixels(path, name), expected)


# Files that change ----------------------------------------------------------------------------


@pytest.mark.parametrize("write", [write_zip, write_tar])
def test_an_archive_that_is_cut_off_or_changed_while_in_use(
    tmp_path: Path, expected: torch.Tensor, write: Callable[..., Path]
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
    assert torch.equal(data[0]["pixel_values"], expected)
    other = tmp_path / "other"
    other.write_bytes(b"PK another")
    other.rename(images)
    assert torch.equal(data[1]["pixel_values"], expected)


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
    assert read > 0
    assert opened > 0


def test_a_bad_entry_leaves_a_hole(tmp_path: Path):
    path = write_zip(tmp_path / "a.zip", {"a.jpg": PICTURE, "b.jpg": PICTURE})
    data = dataset(path, ["a.jpg", "missing.jpg", "b.jpg"], on_bad_sample="skip")
    assert len(data.bad) == 0
    for _ in DataLoader(data, batch_size=3):
        pass
    assert [(bad.record, bad.code) for bad in data.bad] == [(1, "unreadable_image")]
    assert json.dumps(data.bad[0].message).count("a.zip") == 1

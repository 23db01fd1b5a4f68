"""Zips that lie: an entry that cannot be read for sure is an error that names archive and
entry, and a zip without a sound index does not open."""

import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from llava_fast import DataError, ImageError
from tests.archives import END, PICTURE, Zip, dataset, expected_pixels, pixels, refused, write_zip


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


def test_data_descriptors_comments_and_bytes_in_front(tmp_path: Path):
    for maker in (Zip.of, Zip.stored):
        images = maker(PICTURE, flags=8).write(tmp_path / "a.zip", after=b"a comment")
        assert torch.equal(pixels(images, "a.jpg"), expected_pixels())
    images = Zip.of(PICTURE).write(tmp_path / "b.zip", before=b"PK of something else" * 9)
    assert torch.equal(pixels(images, "a.jpg"), expected_pixels())


def test_zip64(tmp_path: Path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive, archive.open("a.jpg", "w", force_zip64=True) as out:
        out.write(PICTURE)
    assert torch.equal(pixels(path, "a.jpg"), expected_pixels())
    central = Zip.of(PICTURE)
    packed, size = central.fields["packed"], central.fields["size"]
    central.fields |= {"packed": 0xFFFFFFFF, "size": 0xFFFFFFFF, "offset": 0xFFFFFFFF}
    central.extra = struct.pack("<2HI2H3Q", 9, 4, 7, 1, 24, size, packed, 0)
    assert torch.equal(pixels(central.write(path), "a.jpg"), expected_pixels())
    central.extra = struct.pack("<2HQ", 1, 8, size)
    with pytest.raises(DataError, match="entry 0 of the central directory has bad sizes"):
        pixels(central.write(path), "a.jpg")


def test_more_than_65535_entries(tmp_path: Path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(66_000):
            archive.writestr(zipfile.ZipInfo(f"{number:06}"), b"")
        archive.writestr("a.jpg", PICTURE)
    assert b"PK\6\6" in path.read_bytes()[-200:]
    for name in (path, _moved(path, b"in front")):
        assert torch.equal(pixels(name, "a.jpg"), expected_pixels())


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
        "image refused: the file is larger than 67108864 bytes",
    ),
    "cannot be": (
        lambda: Zip.of(PICTURE, size=64 << 20),
        "bytes cannot inflate to the declared 67108864",
    ),
    "inflates to more": (
        lambda: Zip.of(PICTURE + b"more", size=len(PICTURE)),
        "inflates to more than the declared",
    ),
    "a bomb": (
        lambda: Zip.of(bytes(1 << 28), size=1000),
        "inflates to more than the declared 1000",
    ),
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
    "offset elsewhere": (
        lambda: Zip.stored(PICTURE, offset=1, size=9, packed=9),
        "no entry header",
    ),
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
    _, _, cause = str(error.value).partition(f"image `a.jpg`: archive `{tmp_path / 'a.zip'}`: ")
    assert why in cause


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
        "count": (
            good[: end + 8] + b"\2\0\2\0" + good[end + 12 :],
            "has 1 entries, 2 are declared",
        ),
        "parts": (
            good[: end + 4] + b"\1\0\0\0" + good[end + 8 :],
            "is one part of a zip of several",
        ),
    }
    for data, why in broken.values():
        (tmp_path / "b.zip").write_bytes(data)
        with pytest.raises(DataError, match=re.escape(str(tmp_path / "b.zip")) + ".*" + why):
            dataset(tmp_path / "b.zip", ["a.jpg"])

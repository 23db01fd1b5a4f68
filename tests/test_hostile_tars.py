"""Tars of every kind, and tars that lie."""

import io
import tarfile
from pathlib import Path

import pytest
import torch

from llava_fast import DataError
from tests.archives import PICTURE, dataset, expected_pixels, pixels, refused, write_tar


@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_long_names_of_each_tar(tmp_path: Path, format: int):
    name = "x" * 90 + "/" + "y" * 90
    images = write_tar(tmp_path / "a.tar", {name: PICTURE, "b.jpg": PICTURE}, format)
    assert torch.equal(pixels(images, name), expected_pixels())


def test_links_devices_and_folders_of_a_tar(tmp_path: Path):
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
    assert torch.equal(pixels(tmp_path / "a.tar", "a.jpg"), expected_pixels())


def test_sparse_files_are_refused_and_the_next_is_found(tmp_path: Path):
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
    assert torch.equal(pixels(path, "a.jpg"), expected_pixels())


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


def test_sizes_in_pax_headers(tmp_path: Path):
    """The size in the pax header counts, not the one in the plain header."""
    member = tarfile.TarInfo("a.jpg")
    member.pax_headers, member.size = {"size": str(len(PICTURE))}, 0
    path = tmp_path / "a.tar"
    blocks = PICTURE + bytes(-len(PICTURE) % 512)
    rest = write_tar(tmp_path / "rest.tar", {"b.jpg": PICTURE}).read_bytes()
    path.write_bytes(member.tobuf(tarfile.PAX_FORMAT) + blocks + rest)
    for name in ("a.jpg", "b.jpg"):
        assert torch.equal(pixels(path, name), expected_pixels())

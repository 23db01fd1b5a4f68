"""Zip and tar archives with one picture or a few, and data sets over them."""

import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch

from llava_fast import ImageError, ImageProcessor, LlavaDataset
from tests import tiny_data
from tests.data.make_pictures import jpeg, scene

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


def expected_pixels() -> torch.Tensor:
    """What `PICTURE` becomes."""
    values = ImageProcessor(tiny_data.IMAGE, num_threads=1)([PICTURE])
    return values["pixel_values"]


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

"""What `llava-fast index --check` finds out about pictures, in folders and archives."""

import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from llava_fast import ImageConfig, _rust
from llava_fast.index.check import check
from llava_fast.index.report import Report
from llava_fast.index.request import Request
from tests.test_index_check import TOKENIZER


def picture(width: int, height: int, kind: str, **options: object) -> bytes:
    pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


JPEG, PNG = picture(60, 40, "JPEG"), picture(50, 90, "PNG")
# The header lies behind more bytes than are read at first.
LATE = picture(30, 30, "JPEG", comment=b"x" * 50_000)
FILES = {
    "a/good.jpg": JPEG,
    "a/good.png": PNG,
    "b/late.jpg": LATE,
    "b/cut.jpg": JPEG[: len(JPEG) // 2],
    "b/cut.png": PNG[: len(PNG) // 2],
    "b/text.jpg": b"not a picture",
    "c/header.jpg": JPEG[:20],
    "c/empty.jpg": b"",
}
# By name: code of a look at the header, code of a look at every pixel; None = good.
CODES: dict[str, tuple[str | None, str | None]] = {
    "a/good.jpg": (None, None),
    "a/good.png": (None, None),
    "b/late.jpg": (None, None),
    "b/cut.jpg": (None, "truncated_image"),
    "b/cut.png": (None, "truncated_image"),
    "b/text.jpg": ("not_an_image", "not_an_image"),
    "c/header.jpg": ("truncated_image", "truncated_image"),
    "c/empty.jpg": ("not_an_image", "not_an_image"),
    "c/absent.jpg": ("missing_image", "missing_image"),
    "../outside.jpg": ("unreadable_image", "unreadable_image"),
}


def folder(place: Path) -> Path:
    for name, content in FILES.items():
        path = place / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (place / "outside.jpg").write_bytes(JPEG)
    return place / "pictures"


def tar(place: Path) -> Path:
    with tarfile.open(place / "pictures.tar", "w") as archive:
        for name, content in FILES.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return place / "pictures.tar"


def zipped(method: int) -> Callable[[Path], Path]:
    def write(place: Path) -> Path:
        with zipfile.ZipFile(place / "pictures.zip", "w", method) as archive:
            for name, content in FILES.items():
                archive.writestr(name, content)
        return place / "pictures.zip"

    return write


PLACES = {
    "folder": folder,
    "tar": tar,
    "stored zip": zipped(zipfile.ZIP_STORED),
    "deflated zip": zipped(zipfile.ZIP_DEFLATED),
}


def record(*names: str) -> dict:
    question = "<image>\n" * len(names) + "Q"
    turns = [{"from": "human", "value": question}, {"from": "gpt", "value": "A"}]
    return {"id": names[0] if names else "text", "image": list(names), "conversations": turns}


def report(place: Path, records: list[dict], images: Path | None, **options: object) -> Report:
    data = place / "train.json"
    data.write_text(json.dumps(records))
    request = Request(
        data=str(data),
        tokenizer=str(TOKENIZER),
        images=None if images is None else str(images),
        **{"image_size": 28, "bad_list": str(place / "bad.jsonl")} | options,
    )
    return check(request, StringIO())


def rows(place: Path) -> list[dict]:
    return [json.loads(line) for line in (place / "bad.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("decode", [False, True])
@pytest.mark.parametrize("kind", PLACES)
def test_each_picture_is_named_with_its_fault(tmp_path: Path, kind: str, decode: bool) -> None:
    records = [record(name) for name in CODES] * 3
    found = report(tmp_path, records, PLACES[kind](tmp_path), decode=decode).found
    codes = {name: codes[decode] for name, codes in CODES.items()}
    bad = [(name, code) for name, code in codes.items() if code is not None]
    assert [(row["id"], row["code"]) for row in rows(tmp_path)] == bad * 3
    assert all(f"image `{row['id']}`" in row["message"] for row in rows(tmp_path))
    assert (found["pictures"]["referenced"], found["pictures"]["different"]) == (30, 10)
    by_code = dict.fromkeys((code for _, code in bad), 0)
    for _, code in bad:
        by_code[code] += 1
    assert found["pictures"]["faults"] == by_code


def test_without_a_place_no_picture_is_looked_at(tmp_path: Path) -> None:
    found = report(tmp_path, [record(name) for name in CODES], None)
    assert found.status == 0
    assert "pictures: 10 named, not looked at without a place for them" in list(found.lines())


def test_the_report_tells_missing_from_damaged(tmp_path: Path) -> None:
    found = report(tmp_path, [record(name) for name in CODES], folder(tmp_path), decode=True)
    assert found.status == 1
    assert (
        "pictures: 10 named, 10 looked for, 10 different, 2 missing or not readable, "
        "5 damaged (decoded)"
    ) in list(found.lines())


def test_text_is_judged_before_pictures(tmp_path: Path) -> None:
    both = record("c/absent.jpg")
    both["conversations"][1]["value"] = ""
    report(tmp_path, [both], folder(tmp_path))
    assert [row["code"] for row in rows(tmp_path)] == ["empty_answer"]


def test_a_picture_of_a_round_that_is_cut_does_no_harm(tmp_path: Path) -> None:
    long = record("a/good.jpg")
    long["image"].append("c/absent.jpg")
    long["conversations"] += record("c/absent.jpg")["conversations"]
    assert report(tmp_path, [long], folder(tmp_path)).status == 1
    whole = report(tmp_path, [record("a/good.jpg")], folder(tmp_path)).found["tokens"]
    cut = report(tmp_path, [long], folder(tmp_path), max_length=whole + 1).found
    assert (cut["usable"], cut["cut_rounds"], cut["tokens"]) == (1, 1, whole)


def test_sizes_decide_where_they_make_tokens(tmp_path: Path) -> None:
    """Mode "anyres" counts tiles, with the headers or without a place for pictures to look in."""
    place = folder(tmp_path)
    text = report(tmp_path, [record()], None).found["tokens"]
    config = ImageConfig(size=336, mode="anyres")
    options = {"image_size": 336, "image_mode": "anyres", "max_length": 9999}
    for name, (width, height) in {"a/good.jpg": (60, 40), "b/late.jpg": (30, 30)}.items():
        inside = report(tmp_path, [record(name)], place, **options).found
        anywhere = report(tmp_path, [record(str(place / name))], None, **options).found
        tokens = inside["tokens"] - inside["text_tokens"]
        assert tokens == anywhere["tokens"] - anywhere["text_tokens"]
        assert tokens == _rust.image_tokens(config, height, width)
        assert inside["text_tokens"] > text
        assert anywhere["pictures"]["looked_at"] == 1
    report(tmp_path, [record("c/absent.jpg")], place, image_mode="anyres")
    assert [row["code"] for row in rows(tmp_path)] == ["missing_image"]

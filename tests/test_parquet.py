"""Data sets as the Hub keeps them: conversations and pictures in parquet files of pyarrow."""

import json
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llava_fast import DataError, ImageConfig, ImageError, LlavaDataset, Tokenizer
from tests import oracle_text as oracle
from tests.scale import scaled

OURS = Tokenizer.from_pretrained(oracle.TOKENIZERS / "sp_legacy")
IMAGE = ImageConfig(size=28)
PICTURES = sorted(Path(__file__).parent.glob("data/pictures/*.jpg"))[:12]
TURN = pa.struct([("from", pa.string()), ("value", pa.string())])
FILE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def files(row: int) -> list[Path]:
    """None, one or two pictures."""
    return [PICTURES[(row + k) % len(PICTURES)] for k in range(row % 3)]


def talk(row: int, images: int) -> list[dict]:
    question = "<image>" * images + f"What is it, {row}?"
    return [{"from": "human", "value": question}, {"from": "gpt", "value": f"It is {row}."}]


def structs(row: int, paths: bool) -> list[dict]:
    return [{"bytes": p.read_bytes(), "path": p.name if paths else None} for p in files(row)]


def first(values: list) -> object:
    return values[0] if values else None


ROWS = range(40)
SHAPES = {
    "images as structs": pa.array([structs(row, True) for row in ROWS], pa.list_(FILE)),
    "images without paths": pa.array([structs(row, False) for row in ROWS], pa.list_(FILE)),
    "images as bytes": pa.array(
        [[p.read_bytes() for p in files(row)] for row in ROWS], pa.list_(pa.binary())
    ),
    "image as a struct": pa.array([first(structs(row, True)) for row in ROWS], FILE),
    "image as bytes": pa.array(
        [first([p.read_bytes() for p in files(row)]) for row in ROWS], pa.binary()
    ),
}


def written(folder: Path, shape: str, **how: object) -> Path:
    pictures = SHAPES[shape]
    many = pa.types.is_list(pictures.type)
    counts = [len(files(row)) if many else min(len(files(row)), 1) for row in ROWS]
    talks = [talk(row, count) for row, count in zip(ROWS, counts, strict=True)]
    table = pa.table(
        {
            "id": [f"r{row}" for row in ROWS],
            "images" if many else "image": pictures,
            "conversations": pa.array(talks, pa.list_(TURN)),
            "data_source": ["made here"] * len(ROWS),
        }
    )
    path = folder / "train.parquet"
    pq.write_table(table, path, **how)
    return path


def as_json(folder: Path, shape: str) -> Path:
    """The same records, with the pictures in a folder."""
    many = shape.startswith("images")
    records = []
    for row in ROWS:
        paths = [path.name for path in files(row)][: None if many else 1]
        records.append({"id": f"r{row}", "image": paths, "conversations": talk(row, len(paths))})
    path = folder / "train.json"
    path.write_text(json.dumps(records), encoding="utf-8")
    return path


def dataset(path: Path, images: Path | None = None, **settings: object) -> LlavaDataset:
    return LlavaDataset(path, images, OURS, IMAGE, "v1_short", **settings)


@pytest.mark.parametrize("how", [{}, {"compression": "zstd", "row_group_size": 7}], ids=str)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_table_gives_what_a_folder_gives(tmp_path: Path, shape: str, how: dict) -> None:
    table = dataset(written(tmp_path, shape, **how))
    folder = dataset(as_json(tmp_path, shape), PICTURES[0].parent)
    assert len(table) == len(folder) == len(ROWS)
    assert table.total_images == folder.total_images > 0
    for row in ROWS:
        ours, theirs = table[row], folder[row]
        assert ours.keys() == theirs.keys()
        for key, value in ours.items():
            assert np.array_equal(value, theirs[key]), (row, key)


def test_pages_of_another_version(tmp_path: Path) -> None:
    path = written(
        tmp_path, "image as a struct", data_page_version="2.0", compression="lz4", use_dictionary=[]
    )
    assert dataset(path)[4]["pixel_values"].shape == (1, 3, 28, 28)


def test_instructions_without_pictures(tmp_path: Path) -> None:
    table = pa.table({"inputs": ["Say hello.", "Count."], "targets": ["Hello.", "1 2 3"]})
    pq.write_table(table, tmp_path / "flan.parquet")
    data = dataset(tmp_path / "flan.parquet")
    assert data.total_images == 0
    assert "pixel_values" not in data[0]
    assert "1 2 3" in OURS.decode(data[1]["input_ids"].tolist())


def test_a_picture_without_bytes_is_named(tmp_path: Path) -> None:
    pictures = pa.array([{"bytes": None, "path": "a.jpg"}, {"bytes": b"no", "path": None}], FILE)
    talks = pa.array([talk(0, 1), talk(1, 1)], pa.list_(TURN))
    pq.write_table(pa.table({"image": pictures, "conversations": talks}), tmp_path / "t.parquet")
    data = dataset(tmp_path / "t.parquet")
    with pytest.raises(ImageError, match=r"record 0 .*`row 0, picture 0`: the row has no bytes"):
        _ = data[0]
    with pytest.raises(ImageError, match=r"record 1 .*`row 1, picture 0`: not an image"):
        _ = data[1]


def test_damaged_files_are_typed_errors(tmp_path: Path) -> None:
    whole = written(tmp_path, "images as structs", row_group_size=9).read_bytes()
    damaged = tmp_path / "damaged.parquet"
    refused = 0
    for number in range(scaled(3_000)):
        rng = random.Random(number)
        content = bytearray(whole)
        if rng.random() < 0.2:
            del content[rng.randrange(4, len(content)) :]
        for _ in range(rng.randint(1, 4)):
            # The end holds the schema and where everything lies.
            last = rng.random() < 0.7
            start = max(4, len(content) - 6000) if last else 4
            if start < len(content):
                content[rng.randrange(start, len(content))] = rng.randrange(256)
        damaged.write_bytes(content)
        try:
            data = dataset(damaged, on_bad_sample="skip")
            for row in range(0, len(data), 7):
                _ = data[row]
        except (DataError, ImageError):
            refused += 1
    assert refused


def sharded(folder: Path, count: int) -> list[Path]:
    """The rows of one table over several files, named as the Hub names them."""
    whole = pq.read_table(written(folder, "images as structs"))
    parts = folder / "data"
    parts.mkdir()
    step = -(-len(whole) // count)
    paths = [parts / f"train-{n:05d}-of-{count:05d}.parquet" for n in range(count)]
    for number, path in enumerate(paths):
        pq.write_table(whole.slice(number * step, step), path, row_group_size=5)
    return paths


@pytest.mark.parametrize("count", [1, 3, 41])
def test_several_files_are_one_data_set(tmp_path: Path, count: int) -> None:
    paths = sharded(tmp_path, count)
    whole = dataset(as_json(tmp_path, "images as structs"), PICTURES[0].parent)
    pattern = f"{tmp_path}/data/train-{{00000..{count - 1:05d}}}-of-{count:05d}.parquet"
    (tmp_path / "data" / "README.md").write_text("a card")
    for data in (paths, tmp_path / "data", pattern):
        parts = dataset(data)
        assert len(parts) == len(whole)
        for row in range(0, len(whole), 3):
            for key, value in parts[row].items():
                assert np.array_equal(value, whole[row][key]), (row, key)


def test_a_strategy_is_about_all_files_together(tmp_path: Path) -> None:
    sharded(tmp_path, 4)
    mix = tmp_path / "mix.yaml"
    mix.write_text("datasets: [{json_path: data, sampling_strategy: 'end:30%'}]")
    data = dataset(mix)
    ids = [json.loads(data._core.json(index))["id"] for index in range(len(data))]
    assert ids == [f"r{row}" for row in range(28, 40)]


def test_one_damaged_file_of_several_is_named(tmp_path: Path) -> None:
    paths = sharded(tmp_path, 3)
    paths[1].write_bytes(paths[1].read_bytes()[:-9])
    with pytest.raises(DataError, match=f"`{paths[1]}`: malformed parquet"):
        dataset(tmp_path / "data")


def test_a_table_without_rows(tmp_path: Path) -> None:
    table = pa.table({"inputs": pa.array([], pa.string()), "targets": pa.array([], pa.string())})
    pq.write_table(table, tmp_path / "none.parquet")
    pq.write_table(pa.table({"inputs": ["a"], "targets": ["b"]}), tmp_path / "one.parquet")
    assert len(dataset(tmp_path / "none.parquet")) == 0
    assert len(dataset(f"{tmp_path}/{{none,one}}.parquet")) == 1

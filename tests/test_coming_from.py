"""COMING_FROM.md: every line of ours runs, beside files that have the names it uses."""

import json
import re
import shutil

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from tests import tiny_data
from tests.repository import ROOT
from tests.tiny_data import TOKENIZERS

PAGE = (ROOT / "COMING_FROM.md").read_text()
LINES = re.findall(r"^\|.*\| `([^`]+)`(?:, see README.md)? \|$", PAGE, re.MULTILINE)
# Not what stands for a line of a mixture, which has a block of its own.
CODE = [line for line in LINES if not line.startswith("sampling_strategy")]
PROCESSOR = {
    "image_processor_type": "CLIPImageProcessor",
    "size": {"shortest_edge": 28},
    "crop_size": {"height": 28, "width": 28},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("coming")
    made = tiny_data.write(place / "images", 24)
    (place / "train.json").write_text(json.dumps(made))
    for name, part in (("a", made[:12]), ("b", made[12:])):
        (place / f"{name}.json").write_text(json.dumps(part))
    write_other_shapes(place, made)
    shutil.copytree(TOKENIZERS / "sp_legacy", place / "model")
    (place / "model" / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    [mixture] = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (place / "mixture.yaml").write_text(mixture)
    return place


def write_other_shapes(place, made):
    """As LLaMA-Factory has them, and a table with the picture in it."""
    factory, chats = [], []
    for record in made:
        images = [record["image"]] if "image" in record else []
        factory.append({"conversations": record["conversations"], "images": images})
        roles = {"human": "user", "gpt": "assistant"}
        turns = [
            {"role": roles[turn["from"]], "content": turn["value"]}
            for turn in record["conversations"]
        ]
        chats.append({"messages": turns, "images": images})
    (place / "factory.json").write_text(json.dumps(factory))
    (place / "messages.json").write_text(json.dumps(chats))
    pictured = [record for record in made if "image" in record]
    table = {
        "id": [record["id"] for record in pictured],
        "image": [
            {"bytes": (place / "images" / record["image"]).read_bytes(), "path": None}
            for record in pictured
        ],
        "conversations": [record["conversations"] for record in pictured],
    }
    pyarrow.parquet.write_table(pyarrow.table(table), place / "shard.parquet")


@pytest.fixture
def names(folder, monkeypatch):
    """What the lines take for granted."""
    monkeypatch.chdir(folder)
    [start] = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    known: dict = {}
    exec(start, known)
    known["dataset"] = known["LlavaDataset"](
        "train.json", "images", known["tokenizer"], image=known["ImageConfig"](size=28)
    )
    known["loader"] = known["DataLoader"](known["dataset"], batch_size=2)
    known["record"] = json.loads((folder / "train.json").read_text())[1]
    known["messages"] = json.loads((folder / "messages.json").read_text())[0]["messages"]
    known["images"] = [Image.fromarray(np.full((30, 40, 3), 7, np.uint8))]
    known["trainer"] = type("Trainer", (), {})()
    return known


def test_the_page_has_lines():
    assert len(CODE) > 30


@pytest.mark.parametrize("line", sorted(set(CODE)))
def test_a_line_runs(names, line):
    if line.startswith("trainer."):
        exec(line, names)
        assert names["trainer"].get_train_dataloader() is names["loader"]
        return
    made = eval(line, names)
    if line.startswith("LlavaDataset") and not line.endswith("[0]"):
        assert len(made) > 0
        assert not made.bad
        assert made[0]["input_ids"].numel() > 10
    elif line.startswith("DataLoader"):
        assert next(iter(made))["input_ids"].numel() > 10

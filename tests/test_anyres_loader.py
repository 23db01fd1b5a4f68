"""Batches of tiles: tokens, pixels and sizes that belong together, in both formats."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
)

from llava_fast import DataLoader, ImageConfig, ImageError, ImageProcessor
from tests import tiny_data
from tests.test_images import noise

PINPOINTS = [[28, 56], [56, 28], [56, 56], [84, 28]]
IMAGE = ImageConfig(size=28, mode="anyres", grid_rule="hf", grid_pinpoints=PINPOINTS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("anyres")
    made = tiny_data.write(folder, 24)
    for number, record in enumerate(made):
        if "image" in record:
            sides = np.random.default_rng(number).integers(10, 90, 2)
            Image.fromarray(noise(*map(int, sides), number)).save(folder / record["image"])
    two = {"id": "two", "image": ["1.jpg", "2.jpg"], "conversations": made[1]["conversations"]}
    two["conversations"] = [dict(turn) for turn in two["conversations"]]
    two["conversations"][0]["value"] = "<image><image>\nWhich?"
    tiny_data.save(folder, [*made, two])
    return folder


def dataset(folder, **options):
    return tiny_data.dataset(folder, image=IMAGE, **options)


def paths(folder, records):
    """The pictures of records, in order."""
    rows = json.loads((folder / "train.json").read_text())
    named = [rows[record].get("image", []) for record in records]
    return [
        folder / name for names in named for name in ([names] if isinstance(names, str) else names)
    ]


def hub_model():
    vision = CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=28,
        patch_size=14,
    )
    text = LlamaConfig(
        vocab_size=1164,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=400,
    )
    tokenizer = tiny_data.tokenizer()
    config = LlavaNextConfig(
        vision_config=vision,
        text_config=text,
        image_grid_pinpoints=PINPOINTS,
        image_token_index=tokenizer.image_id,
    )
    return LlavaNextForConditionalGeneration(config).eval()


def test_lengths_count_the_tokens_of_each_picture(folder):
    data = dataset(folder)
    square = tiny_data.dataset(folder)
    for record in range(len(data)):
        files = paths(folder, [record])
        sizes = [Image.open(file).size for file in files]
        tokens = [IMAGE.num_image_tokens(height, width) for width, height in sizes]
        assert data.lengths[record] - square.lengths[record] == sum(tokens) - 4 * len(files)


@pytest.mark.parametrize("packing", [{"batch_size": 4}, {"pack_tokens": 400}])
def test_transformers_takes_the_batches(folder, packing):
    """Its own model counts the features of each picture again, and refuses a wrong number."""
    model = hub_model()
    data = dataset(folder)
    processor = ImageProcessor(IMAGE)
    native = DataLoader(data, pack_tokens=400, format="native", shuffle=False)
    seen = 0
    for batch in DataLoader(data, shuffle=False, **packing):
        slots = (batch["input_ids"] == data.tokenizer.image_id).sum()
        if "pixel_values" not in batch:
            assert slots == 0
            assert "image_sizes" not in batch
            continue
        assert batch["pixel_values"].shape[0] == len(batch["image_sizes"])
        sizes = batch["image_sizes"].tolist()
        assert slots == sum(IMAGE.num_image_tokens(*size) for size in sizes)
        with torch.no_grad():
            assert model(**batch).loss.isfinite()
        seen += len(sizes)
    assert seen == data.total_images
    for batch in native:
        files = paths(folder, batch["records"].tolist())
        if not files:
            assert not {"tiles", "image_sizes", "pixel_patches"} & batch.keys()
            continue
        expected = ImageProcessor(replace(IMAGE, output="pixel_patches"))(files)
        for key in ("pixel_patches", "tiles", "image_sizes"):
            assert torch.equal(batch[key], expected[key]), key
        starts = batch["image_row_starts"].tolist()
        for start, size in zip(starts, batch["image_sizes"].tolist(), strict=True):
            slots = batch["input_ids"][start : start + IMAGE.num_image_tokens(*size)]
            assert (slots == data.tokenizer.image_id).all()
    values = next(iter(DataLoader(data, batch_size=len(data), shuffle=False)))
    files = paths(folder, range(len(data)))
    expected = processor(files)
    assert torch.equal(values["pixel_values"], expected["pixel_values"])
    assert torch.equal(values["image_sizes"], expected["image_sizes"])


def test_the_grid_is_part_of_the_fingerprint(folder):
    prints = {dataset(folder).fingerprint, tiny_data.dataset(folder).fingerprint}
    for change in ({"grid_rule": "llava"}, {"grid_pinpoints": PINPOINTS[1:]}):
        prints.add(tiny_data.dataset(folder, image=replace(IMAGE, **change)).fingerprint)
    assert len(prints) == 4


def test_pictures_that_cannot_be_measured_or_loaded(folder, tmp_path):
    made = tiny_data.write(tmp_path, 12)
    named = [number for number, record in enumerate(made) if "image" in record]
    missing, cut = named[0], named[2]
    (tmp_path / made[missing]["image"]).unlink()
    with pytest.raises(ImageError, match=f"record {missing} .*no such file"):
        dataset(tmp_path)

    picture = tmp_path / made[cut]["image"]
    picture.write_bytes(picture.read_bytes()[:-100])  # its header is whole
    data = dataset(tmp_path, on_bad_sample="skip")
    assert [bad.record for bad in data.bad] == [missing]
    batches = list(DataLoader(data, pack_tokens=400, format="native", shuffle=False))
    assert [bad.record for bad in data.bad] == [missing, cut]
    pictures = sum(len(batch.get("tiles", ())) for batch in batches)
    assert pictures == data.total_images - 1
    for batch in batches:
        if "tiles" in batch:
            assert len(batch["pixel_patches"]) == batch["tiles"].sum()
            assert (
                len(batch["image_row_starts"]) == len(batch["tiles"]) == len(batch["image_sizes"])
            )

"""Pixels to model input: equal to Pillow's resize and transformers' `CLIPImageProcessorPil`."""

import dataclasses
import json
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given
from hypothesis import strategies as st
from PIL import Image
from transformers import CLIPImageProcessorPil
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil

from llava_fast import ImageConfig, ImageError, ImageProcessor
from tests.data.make_pictures import jpeg, scene
from tests.pillow_oracle import patches, values
from tests.resizes import MODES, noise, ours

PICTURES = Path(__file__).parent / "data" / "pictures"


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 60), st.sampled_from(MODES))
@example(200, 1, 7, "crop")
@example(1, 200, 7, "crop")
@example(1, 200, 7, "pad")
@example(60, 60, 60, "crop")
@example(60, 61, 60, "crop")
@example(61, 60, 60, "pad")
@example(1, 200, 7, "stretch")
@example(200, 1, 300, "stretch")
def test_any_shape(width, height, size, mode):
    rgb = noise(width, height, width * 100 + height)
    assert np.array_equal(ours(rgb, size, mode), values(rgb, size, mode))


@given(st.integers(1, 40), st.integers(1, 4000), st.integers(1, 40))
def test_tall_pictures_take_the_vertical_pass_first(width, height, size):
    assume(height <= 200 * width)
    rgb = noise(width, height, height)
    assert np.array_equal(ours(rgb, size, "crop"), values(rgb, size, "crop"))


@pytest.mark.parametrize("name", ["photo_like.jpg", "420_17x33.jpg", "c6_d8.png", "gray.jpg"])
def test_equal_to_transformers(name):
    picture = Image.open(PICTURES / name).convert("RGB")
    settings = {"size": {"shortest_edge": 336}, "crop_size": 336}
    clip = CLIPImageProcessorPil(**settings)(picture, return_tensors="np")["pixel_values"]
    llava = LlavaImageProcessorPil(**settings, do_pad=True)(picture, return_tensors="np")
    for mode, theirs in (("crop", clip), ("pad", llava["pixel_values"])):
        processor = ImageProcessor(ImageConfig(mode=mode))
        assert np.array_equal(processor(PICTURES / name, "np")["pixel_values"], theirs)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("size", "side", "row"), [(336, 14, 640), (224, 16, 768), (64, 8, 192), (37, 5, 128)]
)
def test_patches_are_the_bytes_of_the_same_square(mode, size, side, row):
    rgb = noise(200, 130, 5)
    config = ImageConfig(size=size, mode=mode, patch_size=side, output="pixel_patches")
    out = ImageProcessor(config)(rgb, "np")["pixel_patches"]
    assert out.shape == (1, config.num_patches, config.patch_row)
    assert np.array_equal(out[0], patches(rgb, size, mode, side, row))


def test_patches_times_weights_is_the_convolution():
    rgb = noise(100, 70, 6)
    config = ImageConfig(size=56, output="pixel_patches")
    row = torch.from_numpy(ImageProcessor(config)(rgb, "np")["pixel_patches"][0]).double()
    raw = dataclasses.replace(config, output="pixel_values", mean=(0, 0, 0), std=(1, 1, 1))
    pixels = ImageProcessor(raw)(rgb)["pixel_values"].double() * 255
    weight = torch.randn(8, 3, 14, 14, dtype=torch.float64)
    conv = torch.nn.functional.conv2d(pixels, weight, stride=14).flatten(2)[0].T
    flat = torch.nn.functional.pad(weight.flatten(1), (0, 640 - 588))
    assert torch.allclose(row @ flat.T, conv, rtol=0, atol=1e-3)


def test_every_kind_of_input_gives_the_same():
    path = PICTURES / "photo_like.jpg"
    picture = Image.open(path)
    array = np.asarray(picture.convert("RGB"))
    data = path.read_bytes()
    sources = [path, str(path), data, bytearray(data), memoryview(data), picture, array]
    processor = ImageProcessor()
    batch = processor([*sources, array[:, ::-1][:, ::-1]])
    assert batch["pixel_values"].shape == (8, 3, 336, 336)
    assert batch["pixel_values"].dtype == torch.float32
    for index, source in enumerate(sources):
        assert torch.equal(batch["pixel_values"][index], processor(source)["pixel_values"][0])
        assert torch.equal(batch["pixel_values"][index], batch["pixel_values"][0])
    assert processor([], "np")["pixel_values"].shape == (0, 3, 336, 336)


def test_threads_change_nothing_and_batches_stay_as_they_are():
    pictures = [jpeg(scene(50 + i, 40, i)) for i in range(20)]
    first = ImageProcessor(num_threads=1)(pictures, "np")["pixel_values"]
    kept = first.copy()
    for threads in (2, 3, 50):
        again = ImageProcessor(num_threads=threads)(pictures, "np")["pixel_values"]
        assert np.array_equal(first, again)
    assert np.array_equal(first, kept)


def test_the_interpreter_lock_is_released():
    done = threading.Event()
    counter = 0

    def count():
        nonlocal counter
        while not done.is_set():
            counter += 1

    thread = threading.Thread(target=count)
    pictures = [jpeg(scene(300, 300, 1))] * 40
    processor = ImageProcessor(num_threads=1)
    thread.start()
    before = counter
    processor(pictures)
    done.set()
    thread.join()
    assert counter > before + 1000


def test_an_error_names_the_picture(tmp_path):
    good = jpeg(scene(20, 20, 0))
    (tmp_path / "cut.jpg").write_bytes(good[:-50])
    processor = ImageProcessor()
    with pytest.raises(ImageError, match=r"^image `images\[2\]`: not an image: empty file$"):
        processor([good, good, b"", b"GIF89a"])
    with pytest.raises(ImageError, match=r"^image `.*cut\.jpg`: truncated JPEG"):
        processor([good, tmp_path / "cut.jpg"])
    with pytest.raises(ImageError, match="200:1"):
        processor(np.zeros((1, 201, 3), np.uint8))
    for wrong in (np.zeros((4, 4, 3), np.float32), np.zeros((4, 4, 4), np.uint8), 7):
        with pytest.raises(TypeError, match=r"images\[0\]: got .* expected bytes"):
            processor([wrong])
    with pytest.raises(ValueError, match="return_tensors"):
        processor(good, "tf")


def saved_settings(folder: Path, processor, **extra) -> Path:
    raw = processor.to_dict() | extra
    (folder / "preprocessor_config.json").write_text(json.dumps(raw))
    return folder


def test_from_pretrained(tmp_path):
    clip = CLIPImageProcessorPil(size={"shortest_edge": 98}, crop_size=98, image_mean=[0.5] * 3)
    config = ImageProcessor.from_pretrained(saved_settings(tmp_path, clip)).config
    assert config == ImageConfig(size=98, mode="crop", mean=(0.5,) * 3, grid_rule="hf")

    clip.save_pretrained(tmp_path / "clip")
    assert ImageProcessor.from_pretrained(tmp_path / "clip").config == config

    nested = {"image_processor": clip.to_dict(), "processor_class": "LlavaProcessor"}
    (tmp_path / "processor_config.json").write_text(json.dumps(nested))
    (tmp_path / "llava_fast.json").write_text('{"image_mode": "pad"}')
    (tmp_path / "config.json").write_text('{"vision_config": {"patch_size": 7}}')
    padded = ImageProcessor.from_pretrained(tmp_path, output="pixel_patches").config
    assert padded == dataclasses.replace(config, mode="pad", patch_size=7, output="pixel_patches")


def test_a_directory_without_settings(tmp_path):
    with pytest.raises(ValueError, match="no image settings"):
        ImageProcessor.from_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text("{")
    with pytest.raises(ValueError, match="not JSON"):
        ImageProcessor.from_pretrained(tmp_path)

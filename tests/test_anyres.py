"""LLaVA-1.6's tiles and their tokens: equal to the original's rule, and to transformers'."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image
from transformers.models.llava_next.image_processing_pil_llava_next import (
    LlavaNextImageProcessorPil,
)
from transformers.models.llava_next.modeling_llava_next import image_size_to_num_patches
from transformers.models.llava_next.processing_llava_next import LlavaNextProcessor

from llava_fast import ImageConfig, ImageProcessor
from tests.llava_anyres import USUAL, normalised, squares, tokens
from tests.pillow_oracle import patches
from tests.scale import scaled
from tests.test_images import noise

PICTURES = Path(__file__).parent / "data" / "pictures"
RULES = ("llava", "hf")


def anyres(rule: str, side: int = 336, **settings) -> ImageConfig:
    return ImageConfig(size=side, mode="anyres", grid_rule=rule, **settings)


def theirs(side: int, pinpoints: list[tuple[int, int]] | None = None) -> LlavaNextImageProcessorPil:
    pinpoints = pinpoints or [(h * side // 336, w * side // 336) for h, w in USUAL]
    return LlavaNextImageProcessorPil(
        size={"shortest_edge": side}, crop_size=side, image_grid_pinpoints=[*map(list, pinpoints)]
    )


def counter(side: int = 336, patch: int = 14) -> LlavaNextProcessor:
    """The part of transformers' processor that counts, without a tokenizer."""
    processor = LlavaNextProcessor.__new__(LlavaNextProcessor)
    processor.image_processor = theirs(side)
    processor.patch_size, processor.num_additional_image_tokens = patch, 0
    return processor


@pytest.mark.parametrize(
    ("width", "height", "llava", "hf"),
    [
        (640, 480, 2340, 2340),
        (1024, 768, 2340, 2340),
        (1920, 1080, 1948, 1948),
        (336, 336, 1176, 1176),
        (300, 900, 2376, 2376),
        (704, 396, 1850, 1948),
        (396, 704, 1872, 1968),
        (205, 984, 1656, 1800),
    ],
)
def test_published_counts(width, height, llava, hf):
    assert anyres("llava").num_image_tokens(height, width) == llava
    assert anyres("hf").num_image_tokens(height, width) == hf


def test_counts_of_many_sizes():
    """Those of both programs, which read the list of canvases differently and round differently."""
    count = counter()
    differing = 0
    rng = np.random.default_rng(0)
    for width, height in rng.integers(1, 2000, (scaled(200_000), 2)).tolist():
        llava = anyres("llava").num_image_tokens(height, width)
        assert llava == tokens((width, height), 336, 24, USUAL), (width, height)
        hf = anyres("hf").num_image_tokens(height, width)
        assert hf == count._get_number_of_features(height, width, 336, 336), (width, height)
        differing += llava != hf
    assert differing


@given(
    st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), min_size=1, max_size=8),
    st.integers(1, 400),
    st.integers(1, 400),
)
def test_any_grid(pairs, width, height):
    """The list and its order decide among equals; transformers reads it the other way round."""
    assume(max(width, height) <= 200 * min(width, height))
    side, patch = 28, 14
    pinpoints = [(side * a, side * b) for a, b in pairs]
    picture = Image.fromarray(noise(width, height, width))
    llava = anyres("llava", side, patch_size=patch, grid_pinpoints=pinpoints)
    expected = normalised(squares(picture, side, pinpoints))
    got = ImageProcessor(llava, num_threads=1)(picture, "np")
    assert np.array_equal(got["pixel_values"][0], expected)
    assert llava.num_image_tokens(height, width) == tokens((width, height), side, 2, pinpoints)

    hf = anyres("hf", side, patch_size=patch, grid_pinpoints=pinpoints)
    processor = theirs(side, pinpoints)
    their = processor(picture, return_tensors="np")
    got = ImageProcessor(hf, num_threads=1)(picture, "np")
    assert np.array_equal(got["pixel_values"], their["pixel_values"])
    count = image_size_to_num_patches((height, width), [*map(list, pinpoints)], side)
    assert got["pixel_values"].shape[1] == count


def test_the_same_tiles_as_the_original():
    for seed in range(scaled(200)):
        rng = np.random.default_rng(seed)
        width, height = (int(side) for side in np.exp(rng.uniform(3, np.log(1200), 2)))
        picture = Image.fromarray(noise(width, height, seed))
        got = ImageProcessor(anyres("llava"), num_threads=1)(picture, "np")["pixel_values"]
        expected = normalised(squares(picture, 336, USUAL))
        assert np.array_equal(got[0], expected), (seed, width, height)


@pytest.mark.parametrize("names", [["photo_like.jpg"], ["photo_like.jpg", "gray.jpg", "c6_d8.png"]])
def test_a_batch_as_transformers_pads_it(names):
    pictures = [Image.open(PICTURES / name).convert("RGB") for name in names]
    pictures += [Image.fromarray(noise(700, 690, 1)), Image.fromarray(noise(40, 300, 2))]
    expected = theirs(336)(pictures, return_tensors="pt")
    got = ImageProcessor(anyres("hf"))(pictures)
    assert list(got) == list(expected) == ["pixel_values", "image_sizes"]
    for key, tensor in expected.items():
        assert got[key].dtype == tensor.dtype
        assert torch.equal(got[key], tensor), key
    # A buffer that was used before: the padding is written each time.
    again = ImageProcessor(anyres("hf"))(pictures)
    assert torch.equal(again["pixel_values"], expected["pixel_values"])


def test_patches_of_all_tiles_one_after_the_other():
    pictures = [noise(300, 200, 1), noise(100, 500, 2), noise(90, 90, 3)]
    config = anyres("llava", output="pixel_patches")
    batch = ImageProcessor(config)(pictures, "np")
    expected = [squares(Image.fromarray(picture), 336, USUAL) for picture in pictures]
    assert batch["tiles"].tolist() == [len(tiles) for tiles in expected]
    assert batch["image_sizes"].tolist() == [[200, 300], [500, 100], [90, 90]]
    assert batch["pixel_patches"].shape == (sum(batch["tiles"]), 576, 640)
    for got, tile in zip(batch["pixel_patches"], np.concatenate(expected), strict=True):
        assert np.array_equal(got, patches(tile, 336, "crop", 14, 640))


def test_files_are_measured_by_their_headers(tmp_path):
    """What decides the number of tiles is what decoding gives, turned by EXIF or not."""
    picture = Image.fromarray(noise(300, 120, 7))
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(tmp_path / "turned.jpg", exif=exif)
    for rotation, size in ((False, [120, 300]), (True, [300, 120])):
        from llava_fast import DecodeOptions, decode_image

        options = DecodeOptions(exif_rotation=rotation)
        config = anyres("llava", decode=options)
        batch = ImageProcessor(config)([tmp_path / "turned.jpg"], "np")
        assert batch["image_sizes"].tolist() == [size]
        pixels = Image.fromarray(decode_image(tmp_path / "turned.jpg", options))
        assert np.array_equal(batch["pixel_values"][0], normalised(squares(pixels, 336, USUAL)))


def test_no_picture():
    batch = ImageProcessor(anyres("hf"))([], "np")
    assert batch["pixel_values"].shape == (0, 0, 3, 336, 336)
    assert batch["image_sizes"].shape == (0, 2)


@pytest.mark.parametrize(
    ("pinpoints", "named"),
    [
        ([], "grid_pinpoints: got 0 of them"),
        ([(336, 350)], r"grid_pinpoints: got \[336, 350\], expected sides of 1..16 times 336"),
        ([(336, 336 * 17)], "grid_pinpoints"),
        ([(336, -336)], "grid_pinpoints: .* expected pairs of pixels"),
        ([336], "expected pairs of pixels"),
        ("(1x1),...,(6x6)", "expected pairs of pixels"),
        ([(336, 336)] * 129, "got 129 of them"),
    ],
)
def test_bad_pinpoints(pinpoints, named):
    with pytest.raises(ValueError, match=named):
        anyres("llava", grid_pinpoints=pinpoints)


def test_sizes_and_rules_are_checked():
    with pytest.raises(ValueError, match="grid_rule: got `none`"):
        anyres("none")
    with pytest.raises(ValueError, match="height: got 0"):
        anyres("llava").num_image_tokens(0, 5)
    for mode in ("crop", "pad", "stretch"):
        assert ImageConfig(mode=mode).num_image_tokens(9, 7000) == 576

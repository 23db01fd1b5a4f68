"""`ImageProcessor` in the place of transformers' own, alone and inside of their processors."""

import copy
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    AutoTokenizer,
    CLIPImageProcessorPil,
    LlavaNextProcessor,
    LlavaProcessor,
)
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil
from transformers.models.llava_next.image_processing_pil_llava_next import (
    LlavaNextImageProcessorPil,
)
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from llava_fast import ImageConfig, ImageProcessor
from tests.test_images import noise

DATA = Path(__file__).parent / "data"
PHOTO = DATA / "pictures" / "photo_like.jpg"
PINPOINTS = [[56, 112], [112, 56], [112, 112]]
KINDS = {
    "clip": CLIPImageProcessorPil(size={"shortest_edge": 56}, crop_size=56),
    "clip, stretched": CLIPImageProcessorPil(size={"height": 56, "width": 56}, crop_size=56),
    "llava": LlavaImageProcessorPil(size={"shortest_edge": 56}, crop_size=56),
    "llava, padded": LlavaImageProcessorPil(
        size={"shortest_edge": 56}, crop_size=56, do_pad=True, image_mean=[0.1, 0.6, 0.9]
    ),
    "next": LlavaNextImageProcessorPil(
        size={"shortest_edge": 56}, crop_size=56, image_grid_pinpoints=PINPOINTS
    ),
    "siglip": SiglipImageProcessorPil(size={"height": 56, "width": 56}),
}


def pictures() -> list[Image.Image]:
    sizes = [(100, 60), (60, 100), (56, 56), (30, 190), (301, 8)]
    return [Image.fromarray(noise(*size, seed)) for seed, size in enumerate(sizes)]


def ours(folder: Path, theirs, **overrides) -> ImageProcessor:
    theirs.save_pretrained(folder)
    return ImageProcessor.from_pretrained(folder, **overrides)


def assert_same(got, expected):
    """The same keys in the same order, the same types and shapes, the same numbers."""
    assert list(got) == list(expected)
    for key, value in expected.items():
        assert type(got[key]) is type(value), key
        if isinstance(value, list):
            assert len(got[key]) == len(value)
            for one, other in zip(got[key], value, strict=True):
                assert type(one) is type(other)
                assert np.array_equal(one, other)
        else:
            assert got[key].dtype == value.dtype
            assert got[key].shape == value.shape
            assert np.array_equal(np.asarray(got[key]), np.asarray(value))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("return_tensors", ["pt", "np", None])
def test_returns_what_transformers_returns(tmp_path, kind, return_tensors):
    theirs = KINDS[kind]
    processor = ours(tmp_path, theirs)
    for images in (pictures(), pictures()[0], [pictures()[:2], pictures()[2:]]):
        got = processor(images, return_tensors=return_tensors)
        assert_same(got, theirs(images, return_tensors=return_tensors))
    got = processor.preprocess(pictures(), return_tensors=return_tensors)
    assert_same(got, theirs.preprocess(pictures(), return_tensors=return_tensors))


@pytest.mark.parametrize("kind", KINDS)
def test_attributes_and_settings(tmp_path, kind):
    theirs = KINDS[kind]
    processor = ours(tmp_path, theirs)
    assert processor.config.grid_rule == "hf"
    assert processor.model_input_names == theirs.model_input_names
    for name in ("resample", "image_mean", "image_std", "rescale_factor", "do_normalize"):
        assert tuple(np.atleast_1d(getattr(processor, name))) == tuple(
            np.atleast_1d(getattr(theirs, name))
        )
    if kind != "clip, stretched":
        assert processor.size == {k: v for k, v in dict(theirs.size).items() if v}
    if kind == "next":
        assert processor.image_grid_pinpoints == theirs.image_grid_pinpoints
    # What we write is read as the same settings, by us and by transformers.
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(processor.to_dict()))
    assert ImageProcessor.from_pretrained(tmp_path).config == processor.config
    again = type(theirs).from_pretrained(tmp_path)(pictures(), return_tensors="np")
    assert_same(again, theirs(pictures(), return_tensors="np"))
    with pytest.raises(AttributeError, match="has no attribute `patch`"):
        processor.patch  # noqa: B018


def llava_processor(kind: str, image_processor):
    tokenizer = AutoTokenizer.from_pretrained(DATA / "tokenizers" / "sp_legacy")
    tokenizer.add_tokens(["<image>"], special_tokens=True)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.unk_token
    cls = LlavaNextProcessor if kind == "next" else LlavaProcessor
    return cls(
        image_processor,
        tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_inside_of_a_llava_processor(tmp_path, kind):
    theirs = llava_processor(kind, KINDS[kind])
    text = ["<image>\nWhat is this?", "Compare <image> and <image>."]
    images = pictures()[:3]
    arrays = [np.asarray(image) for image in images]
    mine = llava_processor(kind, KINDS[kind])
    mine.image_processor = ours(tmp_path, KINDS[kind])
    for given in (images, arrays, [images[:1], images[1:]]):
        options = {"text": text, "images": given, "padding": True}
        assert_same(mine(**options, return_tensors="pt"), theirs(**options, return_tensors="pt"))
        assert_same(mine(**options), theirs(**options))
    assert mine.model_input_names == theirs.model_input_names
    # The constructor takes it too, and what is saved is read back.
    built = llava_processor(kind, mine.image_processor)
    built.save_pretrained(tmp_path / "saved")
    assert "image_processor" in repr(built)
    assert ImageProcessor.from_pretrained(tmp_path / "saved").config == mine.image_processor.config


@pytest.mark.parametrize("orientation", [1, 6])
def test_files_are_opened_as_transformers_opens_them(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "photo.jpg"
    pictures()[0].save(path, exif=exif)
    mine = llava_processor("llava", ours(tmp_path, KINDS["llava"]))
    theirs = llava_processor("llava", KINDS["llava"])
    options = {"text": "<image>", "images": [str(path)], "return_tensors": "np"}
    assert_same(mine(**options), theirs(**options))


def test_the_counts_of_a_processor(tmp_path):
    theirs = llava_processor("next", KINDS["next"])
    mine = llava_processor("next", ours(tmp_path, KINDS["next"], patch_size=14))
    sizes = [(60, 100), (100, 60), (56, 56), (190, 30)]
    counted = theirs._get_num_multimodal_tokens(sizes)["num_image_tokens"]
    assert mine._get_num_multimodal_tokens(sizes)["num_image_tokens"] == counted
    config = mine.image_processor.config
    assert [config.num_image_tokens(*size) for size in sizes] == counted


def test_arrays_and_tensors():
    rgb = noise(50, 40, 3)
    processor = ImageProcessor(ImageConfig(size=28))
    expected = processor(rgb)["pixel_values"]
    for same in (
        rgb[::1, ::1],
        np.asfortranarray(rgb),
        torch.from_numpy(rgb),
        torch.from_numpy(rgb).permute(2, 0, 1).contiguous().permute(1, 2, 0),
        [rgb],
        rgb[None],
    ):
        assert torch.equal(processor(same)["pixel_values"], expected)
    turned = rgb.transpose(2, 0, 1)
    for first in ("channels_first", type("Enum", (), {"value": "channels_first"})):
        got = processor([turned, torch.from_numpy(turned.copy())], input_data_format=first)
        assert torch.equal(got["pixel_values"], expected.expand(2, -1, -1, -1))
    # Three rows are three rows: the channels of an array are never guessed.
    assert processor(noise(30, 3, 1))["pixel_values"].shape == (1, 3, 28, 28)
    for wrong in (turned, rgb[..., 0], rgb[..., :1], rgb / 255, rgb.astype(np.int64), 7):
        with pytest.raises(TypeError, match=r"images\[0\]: got .*, expected bytes, a path"):
            processor([wrong])
    with pytest.raises(ValueError, match="input_data_format: got 'none'"):
        processor(rgb, input_data_format="none")


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "PA", "RGBA", "RGBX", "CMYK", "YCbCr", "I", "F", "I;16"]
)
def test_pil_pictures_of_any_mode(mode):
    """Pillow's `convert("RGB")`, as the original LLaVA does: transparency is dropped."""
    gray = Image.fromarray(noise(40, 30, 5)[..., 0])
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(gray).astype(np.uint16) * 3)
    else:
        picture = gray.convert(mode)
    assert picture.mode == mode
    processor = ImageProcessor(ImageConfig(size=28))
    rgb = np.asarray(picture.convert("RGB"))
    got = processor(picture)["pixel_values"]
    assert torch.equal(got, processor(rgb)["pixel_values"])


def test_settings_of_a_call(tmp_path):
    processor = ours(tmp_path, KINDS["next"])
    processor(
        PHOTO,
        "np",
        do_pad=True,
        do_resize=True,
        size={"shortest_edge": 56},
        crop_size=None,
        image_mean=processor.image_mean,
        image_std=tuple(processor.image_std),
        device="cpu",
    )
    for key, value in (("do_resize", False), ("size", {"shortest_edge": 57}), ("resample", 2)):
        with pytest.raises(ValueError, match=f"{key}: got .*this processor has"):
            processor(PHOTO, **{key: value})
    ImageProcessor()(PHOTO, do_pad=False)
    with pytest.raises(ValueError, match="do_pad: got True"):
        ImageProcessor()(PHOTO, do_pad=True)


def test_a_batch_is_also_a_batch_feature():
    batch = ImageProcessor(ImageConfig(size=28, mode="anyres"))([PHOTO])
    assert batch.pixel_values is batch["pixel_values"] is batch.data["pixel_values"]
    assert {**batch}.keys() == {"pixel_values", "image_sizes"}
    assert batch.to("cpu", torch.bfloat16) is batch
    assert batch.pixel_values.dtype == torch.bfloat16
    assert batch.image_sizes.dtype == torch.int64
    assert batch.to(torch.float16).pixel_values.dtype == torch.float16
    assert batch.to(device="meta").image_sizes.device.type == "meta"
    with pytest.raises(AttributeError, match="no attribute `labels`"):
        batch.labels  # noqa: B018
    for other in (copy.deepcopy(batch), pickle.loads(pickle.dumps(batch))):
        assert type(other) is type(batch)
        assert other.keys() == batch.keys()


def test_a_processor_can_be_copied():
    processor = ImageProcessor(ImageConfig(size=28, mode="pad"), num_threads=3)
    for other in (copy.deepcopy(processor), pickle.loads(pickle.dumps(processor))):
        assert isinstance(other, ImageProcessor)
        assert (other.config, other.num_threads) == (processor.config, 3)
        assert torch.equal(other(PHOTO).pixel_values, processor(PHOTO).pixel_values)
    for wrong in (0, -1, 1025, 1.5):
        with pytest.raises(ValueError, match="num_threads: got"):
            ImageProcessor(num_threads=wrong)

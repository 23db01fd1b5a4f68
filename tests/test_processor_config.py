"""Settings of transformers' image processors that are read, refused and written."""

import json

import pytest

from llava_fast import DecodeOptions, ImageConfig, ImageError, ImageProcessor, _rust, decode_image
from tests.data.make_pictures import jpeg, scene
from tests.test_images import noise
from tests.test_processor import KINDS, PHOTO


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("clip", {"do_center_crop": False}),
        ("clip", {"resample": 2}),
        ("clip", {"size": {"height": 56, "width": 50}}),
        ("clip", {"size": {"shortest_edge": 56, "longest_edge": 100}}),
        ("clip", {"size": True}),
        ("clip", {"crop_size": {"height": 56, "width": 50}}),
        ("clip", {"crop_size": {"shortest_edge": 56}}),
        ("clip", {"crop_size": 50}),
        ("clip", {"rescale_factor": 1 / 127.5}),
        ("clip", {"do_normalize": False}),
        ("clip", {"do_pad": True}),
        ("clip", {"image_mean": 0.5}),
        ("clip", {"image_std": [0.5, 0.5]}),
        ("clip", {"patch_budget": 5}),
        ("clip", {"use_square_size": True}),
        ("clip", {"image_processor_type": "ViTImageProcessor"}),
        ("siglip", {"resample": 0}),
        ("siglip", {"size": {"shortest_edge": 56}}),
        ("siglip", {"do_resize": False}),
        ("next", {"do_pad": False}),
        ("next", {"aspect_ratio_setting": "pad"}),
        ("llava", {"image_grid_pinpoints": [[56, 56]]}),
    ],
)
def test_what_cannot_be_honoured_is_named(tmp_path, kind, change):
    settings = KINDS[kind].to_dict() | change
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    key = "do_center_crop" if kind == "siglip" and "size" in change else next(iter(change))
    with pytest.raises(ValueError, match=f"preprocessor_config.json: cannot honour {key} = "):
        ImageProcessor.from_pretrained(tmp_path)


def test_settings_as_published(tmp_path):
    """Older and newer spellings of the settings of well-known models."""
    next_settings = {
        "aspect_ratio_setting": "anyres",
        "crop_size": {"height": 336, "width": 336},
        "do_center_crop": True,
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_grid_pinpoints": [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]],
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_processor_type": "LlavaNextImageProcessor",
        "image_std": [0.26862954, 0.26130258, 0.27577711],
        "processor_class": "LlavaNextProcessor",
        "resample": 3,
        "rescale_factor": 0.00392156862745098,
        "size": {"shortest_edge": 336},
    }
    clip = {"crop_size": 224, "feature_extractor_type": "CLIPFeatureExtractor", "size": 224}
    siglip = {
        "do_convert_rgb": None,
        "image_mean": [0.5, 0.5, 0.5],
        "image_processor_type": "SiglipImageProcessor",
        "size": 384,
    }
    for settings, expected in (
        (next_settings, {"mode": "anyres", "size": 336}),
        (clip, {"mode": "crop", "size": 224}),
        (siglip, {"mode": "stretch", "size": 384, "mean": (0.5,) * 3, "std": (0.5,) * 3}),
        (
            clip | {"image_processor_type": "LlavaImageProcessorFast", "do_pad": True},
            {"mode": "pad"},
        ),
    ):
        (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
        config = ImageProcessor.from_pretrained(tmp_path).config
        assert {name: getattr(config, name) for name in expected} == expected


def test_options_of_decoding():
    cut = jpeg(scene(40, 30, 1))[:-200]
    with pytest.raises(ImageError, match="truncated"):
        decode_image(cut)
    assert decode_image(cut, DecodeOptions(truncated="fill")).shape == (30, 40, 3)
    config = ImageConfig(size=28, decode=DecodeOptions(truncated="fill"))
    assert ImageProcessor(config)(cut)["pixel_values"].shape == (1, 3, 28, 28)
    whole = PHOTO.read_bytes()
    for source in (PHOTO, whole):
        for limit, cause in (
            ({"max_file_bytes": 1000}, "larger than 1000 bytes"),
            ({"max_pixels": 100}, "over 100 pixels"),
            ({"max_aspect": 1}, "more than 1:1"),
        ):
            options = DecodeOptions(**limit)
            with pytest.raises(ImageError, match=cause):
                decode_image(source, options)
            for mode in ("crop", "anyres"):
                with pytest.raises(ImageError, match=cause):
                    ImageProcessor(ImageConfig(mode=mode, decode=options))(source)
    with pytest.raises(ImageError, match=r"images\[0\].*over 100 pixels"):
        ImageProcessor(ImageConfig(decode=DecodeOptions(max_pixels=100)))(noise(20, 20, 1))


@pytest.mark.parametrize(
    "wrong",
    [
        {"truncated": "zero"},
        {"png16": "shift"},
        {"exif_rotation": 1},
        {"max_pixels": 0},
        {"max_scans": 2.5},
        {"max_file_bytes": 1 << 60},
    ],
)
def test_bad_options_are_named(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}: got"):
        DecodeOptions(**wrong)


def test_the_limits_are_those_of_the_core():
    options = DecodeOptions()
    assert {f"max_{name}": value for name, value in _rust.decode_limits()} == {
        name: getattr(options, name) for name in vars(options) if name.startswith("max_")
    }

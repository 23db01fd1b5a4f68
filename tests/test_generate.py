"""The generator against `transformers.generate`, and a batch against its members."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from llava_fast import DataError, Generator, ImageError, LlavaModel, Request
from llava_fast.sampling import Sampler
from llava_fast.text import encode_prompt
from tests.tiny import answering_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory, data):
    return answering_model(tmp_path_factory.mktemp("model"), data / "tokenizers" / "sp_legacy")


@pytest.fixture(scope="module")
def generator(folder):
    return Generator(folder, dtype=torch.float64)


@pytest.fixture(scope="module")
def photo(data):
    return data / "pictures" / "photo_like.jpg"


@pytest.fixture(scope="module")
def mixed(data):
    """Eight requests that have nothing in common."""
    one, two = (data / "pictures" / name for name in ("420_q92.jpg", "c2_d8.png"))
    talk = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is this? <image>"},
        {"role": "assistant", "content": "A cat."},
        {"role": "user", "content": "And this? <image>"},
    ]
    return [
        Request(prompt="Hello", max_new_tokens=12),
        Request(prompt="What do you see?", images=[one], max_new_tokens=25),
        Request(messages=talk, images=[one, two], max_new_tokens=7),
        Request(prompt="Why?", temperature=1.3, seed=4, max_new_tokens=20),
        Request(prompt="Describe <image> please", images=[two], max_new_tokens=1),
        Request(prompt="Go on " * 15, temperature=0.7, top_p=0.8, seed=9, max_new_tokens=9),
        Request(prompt="A long one", images=[two], max_new_tokens=40),
        Request(prompt="Again", images=[one], temperature=2.0, top_p=0.95, max_new_tokens=30),
    ]


def hub_tokens(folder, generator, request, **options):
    """What transformers chooses for the same prompt and the same pixels, EOS included."""
    from transformers import LlavaForConditionalGeneration

    hub = LlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.float64)
    slots = [4] * len(request.images)
    ids = encode_prompt(request.turns(), generator.tokenizer, "v1_short", slots).input_ids
    batch = {"input_ids": torch.from_numpy(ids)[None]}
    if request.images:
        from llava_fast import ImageProcessor

        processor = ImageProcessor.from_pretrained(folder)
        batch["pixel_values"] = processor(list(request.images))["pixel_values"].double()
    mask = torch.ones_like(batch["input_ids"])
    options |= {"max_new_tokens": request.max_new_tokens, "do_sample": False, "pad_token_id": 0}
    return hub.generate(**batch, attention_mask=mask, **options)[0, len(ids) :].tolist()


def test_greedy_tokens_equal_transformers(folder, generator, mixed):
    for request in mixed[:3]:
        expected = hub_tokens(folder, generator, request)
        assert generator.generate([request])[0].token_ids == expected


def test_an_eos_of_the_generation_settings_ends_the_answer(folder, generator, photo, tmp_path):
    request = Request(prompt="What is it?", images=[photo], max_new_tokens=30)
    free = generator.generate([request])[0]
    ending = free.token_ids[5]
    length = free.token_ids.index(ending) + 1
    model = LlavaModel.from_pretrained(folder, dtype=torch.float64)
    model.assets["generation_config.json"] = json.dumps({"eos_token_id": [2, ending]}).encode()
    model.save_pretrained(tmp_path / "model")
    result = Generator(tmp_path / "model").generate([request])[0]
    assert result.token_ids == free.token_ids[:length]
    assert result.finish_reason == "stop"
    assert result.token_ids == hub_tokens(tmp_path / "model", generator, request)


def test_a_batch_equals_its_members_alone(generator, mixed):
    together = generator.generate(mixed)
    assert together == [generator.generate([request])[0] for request in mixed]
    assert len({len(result.token_ids) for result in together}) > 4


def test_batch_size_and_order_change_nothing(folder, generator, mixed):
    expected = generator.generate(mixed)
    small = Generator(folder, dtype=torch.float64, batch_size=3)
    assert small.generate(mixed[::-1]) == expected[::-1]
    assert small.generate([]) == []


def test_a_stream_joins_to_the_text(generator, mixed):
    def streamed(request):
        """The pieces, and the result that the iterator ends with."""
        result = yield from generator.stream(request)
        assert result == generator.generate([request])[0]

    for request, result in zip(mixed, generator.generate(mixed), strict=True):
        pieces = list(streamed(request))
        assert "".join(pieces) == result.text
        assert all(pieces)


def test_stop_strings_end_the_answer_and_stay_out_of_it(generator, photo):
    free = generator.generate([Request(prompt="Hm", images=[photo], max_new_tokens=30)])[0]
    # A stop string over the border of two tokens.
    middle = len(generator.tokenizer.decode(free.token_ids[:12]))
    stop = free.text[middle - 1 : middle + 2]
    request = Request(prompt="Hm", images=[photo], max_new_tokens=30, stop=["never", stop])
    result = generator.generate([request])[0]
    assert result.text == free.text.split(stop)[0]
    assert result.finish_reason == "stop"
    assert len(result.token_ids) < 30
    assert "".join(generator.stream(request)) == result.text


def test_the_context_ends_an_answer(generator):
    result = generator.generate([Request(prompt="word " * 60, max_new_tokens=500)])[0]
    if result.finish_reason == "length":
        assert result.prompt_tokens + len(result.token_ids) == 200
    with pytest.raises(ValueError, match=r"the prompt has \d+ tokens, expected fewer than 200"):
        generator.generate([Request(prompt="word " * 200)])


def test_the_seed_decides_a_sample(generator):
    def ids(seed):
        request = Request(prompt="Say", temperature=1.5, seed=seed, max_new_tokens=15)
        return tuple(generator.generate([request])[0].token_ids)

    assert ids(1) == ids(1)
    assert len({ids(seed) for seed in range(4)}) == 4


@pytest.mark.parametrize("top_p", [0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("temperature", [0.3, 1.0, 1.7])
def test_sampling_probabilities_equal_transformers(top_p, temperature):
    from transformers import TemperatureLogitsWarper, TopPLogitsWarper

    logits = torch.randn(1, 300, generator=torch.Generator().manual_seed(0)).double() * 3
    expected = TemperatureLogitsWarper(temperature)(None, logits)
    if top_p < 1:
        expected = TopPLogitsWarper(top_p)(None, expected)
    got = Sampler.seeded(temperature, top_p, 0).probabilities(logits[0])
    assert (got - expected.softmax(-1)[0]).abs().max() <= 1e-12


def test_a_model_in_memory_answers_without_its_directory(folder, generator):
    model = LlavaModel.from_pretrained(folder, dtype=torch.float64)
    request = Request(prompt="Hello", max_new_tokens=5)
    assert Generator(model).generate([request]) == generator.generate([request])


def test_the_template_must_be_known(folder):
    model = LlavaModel.from_pretrained(folder)
    with pytest.raises(ValueError, match="template: got `v9`, expected one of `plain`, `v0`"):
        Generator(model, template="v9")
    del model.assets["llava_fast.json"]
    with pytest.raises(ValueError, match="the model does not say its template; pass template="):
        Generator(model)
    assert Generator(model, template="v0").template == "v0"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "exactly one of `messages` and `prompt`"),
        ({"prompt": "a", "messages": []}, "exactly one of `messages` and `prompt`"),
        ({"prompt": "a", "max_new_tokens": 0}, "max_new_tokens: got 0"),
        ({"prompt": "a", "temperature": -1}, "temperature: got -1"),
        ({"prompt": "a", "temperature": float("nan")}, "temperature: got nan"),
        ({"prompt": "a", "top_p": 0}, "top_p: got 0"),
        ({"prompt": "a", "stop": "###"}, "expected a list of non-empty strings"),
        ({"prompt": "a", "stop": [""]}, "expected a list of non-empty strings"),
        ({"prompt": "a", "images": "cat.jpg"}, "images: got one picture, expected a list"),
        ({"prompt": "a", "images": np.zeros((8, 8, 3), "uint8")}, "images: got one picture"),
        ({"prompt": "a", "images": Image.new("RGB", (8, 8))}, "images: got Image, expected a list"),
        ({"prompt": "a", "images": None}, "images: got NoneType, expected a list"),
        ({"prompt": 3}, "prompt: got 3, expected text"),
        ({"messages": []}, r"messages: got \[\], expected a list of at least one"),
        ({"messages": "hello"}, "messages: got 'hello', expected a list"),
        ({"messages": ["hello"]}, r"messages\[0\]: got 'hello', expected `role` and `content`"),
        ({"messages": [{"role": "user"}]}, r"messages\[0\]: missing `content`"),
        ({"messages": [{"content": "a"}]}, r"messages\[0\]: missing `role`"),
        ({"messages": [{"role": "user", "content": ["a"]}]}, "`content`: got list, expected text"),
        ({"prompt": "a", "max_new_tokens": 2.5}, r"max_new_tokens: got 2.5, expected 1..2\*\*31"),
        ({"prompt": "a", "temperature": "hot"}, "temperature: got 'hot'"),
        (
            {"prompt": "a", "seed": 2**64},
            r"seed: got 18446744073709551616, expected 0..2\*\*64 - 1",
        ),
        ({"prompt": "a", "stop": [3]}, r"stop: got \[3\]"),
        ({"prompt": "a", "stop": None}, "stop: got None"),
    ],
)
def test_requests_that_cannot_be_meant_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Request(**options)


def test_pictures_may_come_from_any_iterable(generator, photo):
    listed, lazy = (
        Request(prompt="What?", images=images, max_new_tokens=3)
        for images in ([photo], (path for path in [photo]))
    )
    assert generator.generate([lazy]) == generator.generate([lazy]) == generator.generate([listed])


def test_extremes_of_temperature_and_seed_can_be_drawn_from(generator):
    cold = Request(prompt="Say", temperature=1e-320, seed=2**64 - 1, max_new_tokens=4)
    greedy = Request(prompt="Say", max_new_tokens=4)
    assert generator.generate([cold]) == generator.generate([greedy])


def test_a_generator_that_cannot_be_made_names_the_argument(folder):
    model = LlavaModel.from_pretrained(folder)
    for size in (0, 2.5, "3"):
        with pytest.raises(ValueError, match=f"batch_size: got {size!r}, expected 1.."):
            Generator(model, batch_size=size)
    for place in (folder, model):
        with pytest.raises(ValueError, match="device `tpu9`"):
            Generator(place, device="tpu9")


def test_a_broken_tokenizer_is_named_by_its_model(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "model")
    (tmp_path / "model" / "tokenizer.json").write_text("{}")
    with pytest.raises(DataError) as error:
        Generator(tmp_path / "model")
    assert str(error.value).startswith(f"`{tmp_path}/model/tokenizer.json`: not a tokenizer")
    with pytest.raises(DataError, match=r"^`tokenizer\.json`: not a tokenizer"):
        Generator(LlavaModel.from_pretrained(tmp_path / "model"))


def test_pictures_and_tags_must_match(generator, photo):
    with pytest.raises(DataError):
        generator.generate([Request(prompt="<image> and <image>", images=[photo])])
    with pytest.raises(ImageError, match="absent"):
        generator.generate([Request(prompt="a", images=["absent.jpg"])])

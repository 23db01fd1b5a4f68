"""Model directories that are damaged, or made to do harm: settled by name, never trusted."""

import json
import os

import pytest
import torch

from llava_fast import LlavaModel
from tests.scale import scaled
from tests.tiny import hub_model, rewrite


def edit(folder, **changes):
    """Change keys of `config.json`; a dict changes a nested object; None removes a key."""
    path = folder / "config.json"
    raw = json.loads(path.read_text())
    for key, value in changes.items():
        if isinstance(value, dict):
            raw[key] |= value
        elif value is None:
            raw.pop(key)
        else:
            raw[key] = value
    path.write_text(json.dumps(raw))


def test_a_missing_or_foreign_tensor_is_named(tmp_path):
    hub_model().save_pretrained(tmp_path)
    rewrite(tmp_path, lambda t: {n: x for n, x in t.items() if "norm.weight" not in n})
    with pytest.raises(ValueError, match=r"missing tensors: .*`language_model.norm.weight`"):
        LlavaModel.from_pretrained(tmp_path)
    hub_model().save_pretrained(tmp_path)
    rewrite(tmp_path, lambda t: t | {"language_model.model.extra": torch.ones(1)})
    with pytest.raises(ValueError, match=r"1 unexpected tensors: `language_model\.extra`"):
        LlavaModel.from_pretrained(tmp_path)


def test_a_tensor_of_another_shape_or_type_is_named(tmp_path):
    hub_model().save_pretrained(tmp_path)
    name = "language_model.lm_head.weight"
    rewrite(tmp_path, lambda t: t | {name: torch.ones(96, 48)})
    with pytest.raises(ValueError, match=r"got .*\(96, 48\), expected floats \(97, 48\)"):
        LlavaModel.from_pretrained(tmp_path)
    rewrite(tmp_path, lambda t: t | {name: torch.ones(97, 48, dtype=torch.int8)})
    with pytest.raises(ValueError, match=r"got torch.int8 \(97, 48\), expected floats"):
        LlavaModel.from_pretrained(tmp_path)


def test_a_tied_head_without_an_embedding_is_named(tmp_path):
    hub_model(tied=True).save_pretrained(tmp_path)
    embedding = "language_model.model.embed_tokens.weight"

    def head_only(tensors):
        weight = tensors.pop(next(name for name in tensors if "embed_tokens" in name))
        return tensors | {"language_model.lm_head.weight": weight}

    rewrite(tmp_path, head_only)
    with pytest.raises(ValueError, match=r"1 missing tensors: `language_model.embed_tokens"):
        LlavaModel.from_pretrained(tmp_path)
    rewrite(tmp_path, lambda t: t | {embedding: torch.ones(97, 48, dtype=torch.float16)})
    with pytest.raises(ValueError, match="said to be tied, but differs"):
        LlavaModel.from_pretrained(tmp_path)


@pytest.mark.parametrize("shape", [(), (48,), (2, 48, 48), (48, 47), (47, 47)])
def test_a_linear_projector_with_another_second_layer_is_named(shape, tmp_path):
    hub_model().save_pretrained(tmp_path)
    edit(tmp_path, projector_hidden_act="linear")
    weight = torch.eye(*shape) if len(shape) == 2 else torch.ones(shape)
    start = "multi_modal_projector.linear_2."
    for other in (weight, weight.to(torch.int64)):
        second = {f"{start}weight": other, f"{start}bias": torch.zeros(48)}
        rewrite(tmp_path, lambda t, second=second: t | second)
        with pytest.raises(ValueError, match="the second layer is not the identity"):
            LlavaModel.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"text_config": {"num_hidden_layers": 10**9}},
            "num_hidden_layers: got 1000000000",
        ),
        ({"text_config": {"hidden_size": -1}}, "text_config.hidden_size: got -1"),
        ({"text_config": {"vocab_size": "97"}}, "text_config.vocab_size: got '97'"),
        ({"text_config": {"rms_norm_eps": float("nan")}}, "rms_norm_eps: got nan"),
        ({"text_config": {"attention_bias": True}}, "attention_bias: got True, expected False"),
        ({"text_config": {"hidden_act": "gelu"}}, "hidden_act: got 'gelu', expected 'silu'"),
        ({"text_config": {"rope_parameters": {"rope_type": "yarn"}}}, "rope_type: got `yarn`"),
        ({"text_config": {"num_key_value_heads": 4}}, "6 heads of 8 over 4 key-value heads"),
        ({"text_config": {"model_type": "qwen2"}}, "model_type: got 'qwen2', expected `llama`"),
        ({"vision_config": {"patch_size": 0}}, "vision_config.patch_size: got 0"),
        ({"vision_config": {"image_size": 10**6}}, "vision_config.image_size: got 1000000"),
        (
            {"vision_config": {"hidden_act": "gelu"}},
            "'gelu', expected 'quick_gelu'",
        ),
        (
            {"image_token_index": 97},
            "got 97, expected a row of the embedding",
        ),
        ({"vision_feature_layer": [-2, -1]}, r"vision_feature_layer: got \[-2, -1\]"),
        ({"vision_feature_select_strategy": "full"}, "got 'full', expected 'default'"),
        ({"projector_hidden_act": "relu"}, "projector_hidden_act: got 'relu'"),
        ({"projector_hidden_act": ["gelu"]}, r"projector_hidden_act: got \['gelu'\], expected"),
        ({"model_type": "llava_next"}, "model_type: got 'llava_next', expected 'llava'"),
        ({"text_config": None}, "text_config: expected an object"),
        ({"dtype": "int8"}, "dtype: got `int8`, expected a float type"),
    ],
)
def test_settings_out_of_bounds_are_settled_by_name(changes, message, tmp_path):
    hub_model().save_pretrained(tmp_path)
    edit(tmp_path, **changes)
    with pytest.raises(ValueError, match=message) as caught:
        LlavaModel.from_pretrained(tmp_path)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    "shard", ["../model.safetensors", "/etc/passwd", "a/b.safetensors", "x.bin"]
)
def test_shards_stay_inside_the_directory(shard, tmp_path):
    hub_model().save_pretrained(tmp_path)
    index = {"weight_map": {"lm_head.weight": shard}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ValueError, match=f"shard `{shard}`: expected a plain file name"):
        LlavaModel.from_pretrained(tmp_path)


def test_pickled_weights_are_not_opened(tmp_path):
    hub_model().save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match="convert them to safetensors"):
        LlavaModel.from_pretrained(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 100_000])
def test_a_config_that_is_no_json_object_is_named(content, tmp_path):
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"config\.json"):
        LlavaModel.from_pretrained(tmp_path)


def test_a_directory_that_is_no_model_is_said_to_be_none(tmp_path):
    with pytest.raises(ValueError, match=r"not a model directory \(no `config.json`\)"):
        LlavaModel.from_pretrained(tmp_path / "absent")


def test_a_pipe_in_place_of_a_file_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "config.json")
    with pytest.raises(ValueError, match="not a regular file"):
        LlavaModel.from_pretrained(tmp_path)


def test_damaged_weights_give_an_error_or_load_whole(tmp_path):
    """Truncated files and flipped headers: ValueError naming the file, no other exception."""
    hub_model().save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    good = path.read_bytes()
    random = torch.Generator().manual_seed(0)
    settled = 0
    for _ in range(scaled(2_000)):
        at = int(torch.randint(0, 4_000, (), generator=random))
        flipped = good[:at] + bytes([good[at] ^ (1 + at % 255)]) + good[at + 1 :]
        path.write_bytes(good[:at] if at % 3 == 0 else flipped)
        try:
            LlavaModel.from_pretrained(tmp_path)
        except ValueError as error:
            settled += str(tmp_path) in str(error)
        else:
            settled += 1
    assert settled == scaled(2_000)

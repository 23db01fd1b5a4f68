"""Model directories: every layout in and out."""

import json

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from llava_fast import ImageConfig, ImageProcessor, LlavaModel
from tests.tiny import document, hub_model, own_model, pictures, rewrite

WORDS = "tests/data/tokenizers"


def batch(seed=1):
    ids, labels = document(13, [2, 7], seed=seed)
    return {"input_ids": ids[None], "labels": labels[None], "pixel_values": pictures(2)}


def same_weights(a, b):
    ours, theirs = a.state_dict(), b.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[n], theirs[n]) for n in ours)


@pytest.fixture(params=[False, True], ids=["untied", "tied"])
def hub(request):
    return hub_model(tied=request.param)


def with_vision_model(tensors):
    start = "vision_tower."
    return {
        n.replace(start, start + "vision_model.") if n.startswith(start) else n: t
        for n, t in tensors.items()
    }


def with_old_constants(tensors):
    return tensors | {
        "language_model.model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4),
        "vision_tower.embeddings.position_ids": torch.arange(5)[None],
    }


@pytest.mark.parametrize("layout", ["memory", "hub", "vision_model", "constants"])
def test_all_layouts_of_transformers_are_read(hub, layout, tmp_path):
    hub.save_pretrained(tmp_path, save_original_format=layout != "memory")
    if layout == "vision_model":
        rewrite(tmp_path, with_vision_model)
    if layout == "constants":
        rewrite(tmp_path, with_old_constants)
    own = LlavaModel.from_pretrained(tmp_path)
    with torch.no_grad():
        expected, got = hub(**batch()), own(**batch())
    assert (got.logits - expected.logits).abs().max() <= 1e-5 * expected.logits.abs().max()


def test_shards_are_read(tmp_path):
    hub = hub_model()
    whole = own_model(hub, tmp_path / "whole")
    hub.save_pretrained(tmp_path / "shards", max_shard_size="50KB")
    assert len(list((tmp_path / "shards").glob("model-*.safetensors"))) > 2
    assert same_weights(LlavaModel.from_pretrained(tmp_path / "shards"), whole)


def test_the_type_is_the_stored_one_unless_asked(tmp_path):
    hub_model().half().save_pretrained(tmp_path)
    assert LlavaModel.from_pretrained(tmp_path).dtype == torch.float16
    assert LlavaModel.from_pretrained(tmp_path, dtype=torch.float64).dtype == torch.float64


def test_a_loaded_model_does_not_hang_on_its_files(tmp_path):
    own = own_model(hub_model(), tmp_path)
    before = own(**batch()).logits
    with open(tmp_path / "model.safetensors", "r+b") as file:
        file.truncate(100)
    assert torch.equal(own(**batch()).logits, before)


def test_a_saved_model_loads_in_transformers_with_nothing_missing(hub, tmp_path):
    from transformers import LlavaForConditionalGeneration

    own = own_model(hub, tmp_path / "in")
    own.save_pretrained(tmp_path / "out")
    back, info = LlavaForConditionalGeneration.from_pretrained(
        tmp_path / "out", output_loading_info=True
    )
    assert not any(info.values())
    same = {n: torch.equal(t, hub.state_dict()[n]) for n, t in back.state_dict().items()}
    assert all(same.values()), same
    with torch.no_grad():
        assert torch.equal(back(**batch()).logits, hub(**batch()).logits)


@pytest.mark.parametrize("layout", ["hf", "original"])
@pytest.mark.parametrize("projector", ["linear", "mlp2x_gelu"])
def test_round_trips_keep_every_bit(layout, projector, hub, tmp_path):
    """The tower's unused layer and norm included."""
    model = backbones(tmp_path, hub, projector=projector)
    model.save_pretrained(tmp_path / "out", layout, template="v1")
    back = LlavaModel.from_pretrained(tmp_path / "out")
    assert back.config == model.config
    assert same_weights(back, model)
    back.save_pretrained(tmp_path / "out", layout)
    again = LlavaModel.from_pretrained(tmp_path / "out")
    assert same_weights(again, model)
    assert again.assets == back.assets


def backbones(folder, hub, **options):
    """A CLIPVisionModel directory and a Llama directory, joined."""
    from transformers import LlamaForCausalLM

    hub.model.vision_tower.save_pretrained(folder / "vision")
    words = LlamaForCausalLM(hub.config.text_config)
    words.load_state_dict(
        {f"model.{n}": t for n, t in hub.model.language_model.state_dict().items()}
        | {"lm_head.weight": hub.lm_head.weight}
    )
    words.save_pretrained(folder / "words")
    return LlavaModel.from_backbones(
        folder / "vision", folder / "words", **{"image_token_id": 3} | options
    )


def test_a_linear_projector_is_the_same_in_transformers(tmp_path):
    """transformers knows two layers only: the second is an identity there."""
    from transformers import LlavaForConditionalGeneration

    own = backbones(tmp_path, hub_model(), projector="linear")
    own.save_pretrained(tmp_path / "out")
    back = LlavaForConditionalGeneration.from_pretrained(tmp_path / "out")
    with torch.no_grad():
        expected, got = back(**batch()).logits, own(**batch()).logits
    assert (got - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_backbones_keep_their_weights_and_the_seed_decides_the_projector(hub, tmp_path):
    model = backbones(tmp_path, hub, seed=5)
    other = backbones(tmp_path, hub, seed=6)
    again = backbones(tmp_path, hub, seed=5)
    assert same_weights(again, model)
    differing = {
        n for n, t in other.state_dict().items() if not torch.equal(t, model.state_dict()[n])
    }
    assert {name.split(".")[0] for name in differing} == {"projector"}
    hub.model.multi_modal_projector.load_state_dict(model.projector.state_dict())
    with torch.no_grad():
        expected, got = hub(**batch()).logits, model(**batch()).logits
    assert (got - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_a_whole_clip_serves_as_the_tower(tmp_path):
    from transformers import CLIPConfig, CLIPModel

    vision = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3}
    vision |= {"num_attention_heads": 4, "image_size": 28, "patch_size": 14}
    words = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "vocab_size": 50}
    clip = CLIPModel(
        CLIPConfig(vision_config=vision, text_config=words | {"num_attention_heads": 2})
    )
    backbones(tmp_path, hub_model())
    clip.save_pretrained(tmp_path / "clip")
    model = LlavaModel.from_backbones(tmp_path / "clip", tmp_path / "words", image_token_id=3)
    expected = clip.vision_model.state_dict()
    assert all(torch.equal(t, expected[n]) for n, t in model.vision_tower.state_dict().items())


def test_an_original_release_takes_its_tower_from_elsewhere(tmp_path):
    own = own_model(hub_model(), tmp_path / "in")
    own.save_pretrained(tmp_path / "out", "original")
    (tmp_path / "out" / "vision_tower").rename(tmp_path / "clip")
    with pytest.raises(ValueError, match="pass `vision_tower=` the directory of `vision_tower`"):
        LlavaModel.from_pretrained(tmp_path / "out")
    back = LlavaModel.from_pretrained(tmp_path / "out", vision_tower=tmp_path / "clip")
    assert same_weights(back, own)
    names = load_file(tmp_path / "out" / "model.safetensors").keys()
    assert {"model.mm_projector.0.weight", "model.layers.0.mlp.up_proj.weight"} <= names


def test_a_tower_inside_an_original_checkpoint_is_read(tmp_path):
    own = own_model(hub_model(), tmp_path / "in")
    own.save_pretrained(tmp_path / "out", "original")
    tower = load_file(tmp_path / "out" / "vision_tower" / "model.safetensors")
    start = "model.vision_tower.vision_tower."
    rewrite(
        tmp_path / "out", lambda tensors: tensors | {start + n: t * 2 for n, t in tower.items()}
    )
    back = LlavaModel.from_pretrained(tmp_path / "out")
    name = "vision_tower.post_layernorm.weight"
    assert torch.equal(back.state_dict()[name], own.state_dict()[name] * 2)


def test_small_files_travel_with_the_model(tmp_path):
    own = own_model(hub_model(), tmp_path / "in")
    own.assets["tokenizer.json"] = b'{"model": {}}'
    image = ImageConfig(size=28, patch_size=14, mode="pad")
    own.save_pretrained(tmp_path / "a", template="v1", image=image)
    LlavaModel.from_pretrained(tmp_path / "a").save_pretrained(tmp_path / "b")
    said = json.loads((tmp_path / "b" / "llava_fast.json").read_text())
    assert (said["template"], said["image_mode"]) == ("v1", "pad")
    assert (tmp_path / "b" / "tokenizer.json").read_bytes() == b'{"model": {}}'
    with pytest.raises(ValueError, match="image: size: got 336, expected the tower's 28"):
        own.save_pretrained(tmp_path / "c", image=ImageConfig())
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("mode", ["crop", "pad"])
def test_transformers_prepares_pictures_for_a_saved_model_as_we_do(mode, data, tmp_path):
    from transformers import CLIPImageProcessorPil
    from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil

    own = own_model(hub_model(), tmp_path / "in")
    image = ImageConfig(size=28, patch_size=14, mode=mode)
    own.save_pretrained(tmp_path / "out", image=image)
    kind = LlavaImageProcessorPil if mode == "pad" else CLIPImageProcessorPil
    picture = Image.open(data / "pictures" / "photo_like.jpg")
    assert picture.width != picture.height
    expected = kind.from_pretrained(tmp_path / "out")(picture, return_tensors="pt")
    got = ImageProcessor.from_pretrained(tmp_path / "out")(picture)
    assert torch.equal(got["pixel_values"], expected["pixel_values"])

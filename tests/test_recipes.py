"""Settings: the recipes' values, `key=value` words, and what is said about mistakes."""

import json

import pytest

from llava_fast.training import plan
from llava_fast.training.config import TrainConfig, changed, parse_value
from llava_fast.training.recipes import RECIPES
from llava_fast.training.run import usage

PLACES = {"model": "m", "data": "d.json", "images": "i"}


def words(**places):
    return [f"{key}={value}" for key, value in places.items()]


def test_llava_1_5_stage_1():
    [stage] = RECIPES["pretrain"].stages({"vision": "v", "llm": "l", "data": "d", "images": "i"})
    assert (stage.parts, stage.template, stage.image_mode) == (("projector",), "plain", "crop")
    assert (stage.lr, stage.batch, stage.epochs, stage.max_length) == (1e-3, 256, 1, 0)
    assert stage.projector_type == "mlp2x_gelu"


def test_llava_1_5_stage_2():
    [stage] = RECIPES["finetune"].stages(PLACES)
    assert (stage.parts, stage.template, stage.image_mode) == (("projector", "llm"), "v1", "pad")
    assert (stage.lr, stage.batch, stage.epochs, stage.max_length) == (2e-5, 128, 1, 0)
    assert (stage.betas, stage.eps, stage.weight_decay) == ((0.9, 0.999), 1e-8, 0)
    assert (stage.warmup, stage.clip) == (0.03, 0)


def test_the_default_is_both_recipes_in_turn():
    run = plan.resolve([])
    assert [stage.recipe for stage in run.stages] == ["pretrain", "finetune"]
    assert run.stages[1].model == str(run.stages[0].folder / "model")
    assert str(run.out) == "runs/tiny"


def test_words_reach_all_stages_or_one():
    one, two = plan.resolve(["seed=7", "stage2.steps=5", "out=x"]).stages
    assert (one.seed, two.seed) == (7, 7)
    assert (one.steps, two.steps) == (150, 5)
    assert str(two.folder) == "x/stage2"


def test_values_have_the_type_of_their_field():
    assert parse_value("lr", "1e-3") == 1e-3
    assert parse_value("steps", "10") == 10
    assert parse_value("fresh", "true") is True
    assert parse_value("betas", "0.8,0.95") == (0.8, 0.95)
    assert parse_value("data", "7") == "7"


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("bacth=3", r"unknown key `bacth`, did you mean `batch`\?"),
        ("pack_token=3", "did you mean `pack_tokens`"),
        ("recipe=finetine", r"unknown recipe `finetine`, did you mean `finetune`\?"),
        ("stage3.lr=1", "unknown stage `stage3`, did you mean `stage"),
        ("steps=ten", "steps: got `ten`, expected a whole number"),
        ("fresh=perhaps", "fresh: got `perhaps`, expected true or false"),
        ("betas=0.9", "betas: got `0.9`, expected two numbers"),
        ("lr=nan", "lr: got nan, expected 0 to"),
        ("keep=1", "keep: got 1, expected 2 to"),
        ("train=projector,lm", "train: got `lm`, expected one of projector, llm, vision"),
        ("image_mode=stretch", "image_mode: got `stretch`, expected one of crop, pad"),
        ("evaluate=x", "evaluate: got `x`, expected NAME=FILE"),
        ("steps", "got `steps`, expected key=value"),
        ("stage1.model=x", "got `model` and `vision`/`llm`, expected one or the other"),
    ],
)
def test_mistakes_are_named(word, message):
    with pytest.raises(ValueError, match=message):
        plan.resolve([word])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("recipe=pretrain stage1.lr=3", "`stage1.lr`: recipe `pretrain` has no named stages"),
        ("recipe=backbones stage1.seed=3", "recipe `backbones` has no named stages"),
        ("stage1.out=x", "`stage1.out`: `out` is the same for all stages, expected `out=`"),
        ("stage2.fresh=true", "`fresh` is the same for all stages"),
    ],
)
def test_stages_are_named_where_there_are_some(words, message):
    with pytest.raises(ValueError, match=message):
        plan.resolve(words.split())


def test_what_a_recipe_needs_is_asked_for():
    with pytest.raises(ValueError, match="model: got nothing, expected `model=DIR`"):
        plan.resolve(["recipe=finetune"])
    with pytest.raises(ValueError, match="images: got nothing, expected `images=PATH`"):
        plan.resolve(["recipe=finetune", "model=m", "data=d"])
    with pytest.raises(ValueError, match="expected one or the other"):
        plan.resolve(["recipe=finetune", "vision=v", *words(**PLACES)])


def test_backbones_take_a_place_and_a_seed():
    run = plan.resolve(["recipe=backbones", "seed=3"])
    assert (str(run.out), run.seed, run.stages) == ("runs/backbones", 3, [])
    with pytest.raises(ValueError, match="recipe `backbones` takes `out`, `seed` and `fresh`"):
        plan.resolve(["recipe=backbones", "lr=1"])


def test_help_lists_every_recipe_and_key():
    text = usage()
    for name in [*RECIPES, *TrainConfig.__dataclass_fields__]:
        assert f"\n  {name}" in text
    assert max(map(len, text.splitlines())) <= 110


def test_only_settings_without_effect_may_change():
    config = TrainConfig(**PLACES)
    saved = json.loads(config.to_json())
    assert changed(saved, config) == []
    assert changed(saved, TrainConfig(**PLACES, log_every=3, save_every=2, fresh=True)) == []
    assert changed(saved, TrainConfig(**PLACES, on_bad_sample="skip", device="cpu")) == []
    assert changed(saved, TrainConfig(**PLACES, lr=0.5)) == ["lr: was 2e-05, now 0.5"]
    assert changed(saved, TrainConfig(**PLACES, seed=1, clip=2.0)) == [
        "clip: was 0.0, now 2.0",
        "seed: was 0, now 1",
    ]


def test_a_changed_setting_is_refused_by_name(tmp_path):
    arguments = ["recipe=finetune", *words(**PLACES), f"out={tmp_path}"]
    run = plan.resolve(arguments)
    (tmp_path / "config.json").write_text(run.stages[0].to_json())
    plan.refuse_changes(plan.resolve([*arguments, "keep=5"]))
    with pytest.raises(ValueError, match="other settings, max_length: was 0, now 1024"):
        plan.refuse_changes(plan.resolve([*arguments, "max_length=1024"]))

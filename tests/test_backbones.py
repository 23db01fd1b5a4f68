"""The shipped backbones, and the runs that make such backbones again."""

import json
import multiprocessing
import os
import queue
import time
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from transformers import (
    AutoTokenizer,
    CLIPVisionConfig,
    CLIPVisionModel,
    LlamaConfig,
    LlamaForCausalLM,
)

from llava_fast.training.default import BACKBONES, pretrain
from llava_fast.training.default.pretrain import language, texts, tower
from llava_fast.training.default.pretrain.check import check_language, check_tower
from llava_fast.training.default.pretrain.documents import EOS, IGNORED, Encoder
from llava_fast.training.default.pretrain.mimetic import LOOK_BACK, set_attention_start
from llava_fast.training.default.pretrain.optim import cosine, late_decay, orthogonalised
from llava_fast.training.default.pretrain.tokenizer import write_tokenizer
from llava_fast.training.default.scenes import COLOUR_NAMES, SHAPES, random_scene

MAKE = {"vision": tower.pretrain_tower, "lm": language.pretrain_language}
LOADERS = {"vision": CLIPVisionModel, "lm": LlamaForCausalLM}


def assert_complete(folder: Path) -> None:
    """transformers and AutoTokenizer find everything, in single precision."""
    for name, loader in LOADERS.items():
        model, info = loader.from_pretrained(folder / name, output_loading_info=True)
        assert not any(info.values()), info
        assert model.dtype == torch.float32
    tokenizer = AutoTokenizer.from_pretrained(folder)
    control = tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id
    assert control == (1, 2, 0)
    assert tokenizer.pad_token == "<pad>"
    assert tokenizer.pad_token_id == len(tokenizer) - 1
    assert tokenizer.image_token == "<image>"
    assert tokenizer.image_token_id == len(tokenizer) - 2
    assert len(tokenizer) <= model.config.vocab_size
    assert tokenizer("red").input_ids[0] == tokenizer.bos_token_id


def test_the_shipped_backbones_are_complete_and_small() -> None:
    assert_complete(BACKBONES)
    assert sum(p.stat().st_size for p in BACKBONES.rglob("*") if p.is_file()) <= 4_000_000


def test_the_shipped_language_model_answers_about_scenes_in_words() -> None:
    model = LlamaForCausalLM.from_pretrained(BACKBONES / "lm")
    accuracy = check_language(model, BACKBONES / "tokenizer.json", questions=150)
    assert len(accuracy) == 7
    assert np.mean(list(accuracy.values())) > 0.95, accuracy


def test_the_shipped_tower_sees_colour_and_shape_in_each_cell() -> None:
    model = CLIPVisionModel.from_pretrained(BACKBONES / "vision")
    accuracy = check_tower(model, BACKBONES / "tokenizer.json", pictures=360)
    assert accuracy["colour"] > 0.97
    assert accuracy["shape"] > 0.93


def test_the_checks_fail_for_backbones_that_know_nothing() -> None:
    torch.manual_seed(0)
    lm = LlamaForCausalLM(LlamaConfig(**language.CONFIG))
    answers = check_language(lm, BACKBONES / "tokenizer.json", questions=40)
    assert max(answers.values()) < 0.2
    blank = CLIPVisionModel(CLIPVisionConfig(**tower.CONFIG))
    torch.nn.init.zeros_(blank.get_parameter("embeddings.patch_embedding.weight"))
    seen = check_tower(blank, BACKBONES / "tokenizer.json", pictures=60)
    assert max(seen.values()) < 0.5


@given(st.text(max_size=60))
def test_the_tokenizer_gives_every_text_back(text: str) -> None:
    tokenizer = Tokenizer.from_file(str(BACKBONES / "tokenizer.json"))
    for control in ("<unk>", "<s>", "</s>", "<image>", "<pad>"):
        text = text.replace(control, "")
    text = text.replace("▁", "_")  # the piece for a space is no text of its own
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    assert 0 not in ids
    assert tokenizer.decode(ids) == text


def test_the_tokenizer_is_made_again_the_same_and_knows_the_words(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        write_tokenizer(tmp_path / name, scenes=1500)
    made = (tmp_path / "a" / "tokenizer.json").read_bytes()
    assert (tmp_path / "b" / "tokenizer.json").read_bytes() == made
    shipped = json.loads((BACKBONES / "tokenizer.json").read_text("utf-8"))
    assert set(json.loads(made)["model"]["vocab"]) == set(shipped["model"]["vocab"])
    encoder = Encoder(tmp_path / "a" / "tokenizer.json")
    for word in (*COLOUR_NAMES, *SHAPES, "top", "center"):
        assert len(encoder.ids(word)) == 1


def test_documents_are_words_and_only_their_answers_are_supervised() -> None:
    encoder, rng = Encoder(BACKBONES / "tokenizer.json"), Random(5)
    tokenizer = Tokenizer.from_file(str(BACKBONES / "tokenizer.json"))
    image, kinds = tokenizer.token_to_id("<image>"), set()
    for number in range(600):
        document = texts.training_document(number / 600, rng)
        ids, labels = encoder.labelled(document)
        assert image not in ids
        assert "picture" not in document.context
        supervised = [label for label in labels if label != IGNORED]
        assert all(label in (IGNORED, token) for token, label in zip(ids, labels, strict=True))
        if document.exchanges:
            answers = [answer for _, _, answer in document.exchanges]
            assert supervised.count(EOS) == len(answers)
            assert tokenizer.decode(supervised) == " ".join(answers)
            kinds |= {exchange.kind for exchange in document.exchanges}
        else:
            assert tokenizer.decode(supervised) == document.continuation + "\n"
    assert len(kinds) == 10  # seven short kinds, count-shape, detail, complex


def test_a_drill_asks_one_kind_of_question() -> None:
    rng = Random(6)
    for _ in range(300):
        scene = random_scene(rng, held_pairs=True)
        drill = texts.drill(scene, rng, texts.DRILLS)
        kinds = {exchange.kind for exchange in drill}
        assert len(kinds) <= 1 or all(kind.startswith("count") for kind in kinds)
        assert len({exchange.question for exchange in drill}) == len(drill) <= 6


@pytest.mark.parametrize(("layer", "head"), [(0, 0), (0, 2), (0, 3), (1, 2), (1, 3)])
@torch.no_grad()
def test_look_back_heads_start_out_looking_back(layer: int, head: int) -> None:
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**language.CONFIG, attn_implementation="eager"))
    set_attention_start(model)
    ids = torch.randint(0, 512, (8, 40))
    attention = model(input_ids=ids, output_attentions=True).attentions[layer][:, head]
    found = attention[:, 10:].argmax(-1)
    wanted = torch.arange(10, 40) - LOOK_BACK[layer][head]
    assert (found == wanted).float().mean() > 0.9


@torch.no_grad()
def test_matching_heads_start_out_finding_the_same_word() -> None:
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**language.CONFIG, attn_implementation="eager"))
    set_attention_start(model)
    attention = model.model.layers[2].self_attn
    words = torch.nn.functional.normalize(model.model.embed_tokens.weight, dim=-1)
    for rows in (slice(0, 32), slice(32, 64)):
        queries = words @ attention.q_proj.weight[rows].T
        keys = words @ attention.k_proj.weight[rows].T
        assert ((queries @ keys.T).argmax(-1) == torch.arange(512)).float().mean() > 0.95


@pytest.mark.parametrize("shape", [(3, 16, 64), (2, 64, 16), (1, 32, 32)])
def test_orthogonalised_sets_singular_values_near_one(shape: tuple[int, int, int]) -> None:
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(1)) * 7
    out = orthogonalised(matrices)
    values = torch.linalg.svdvals(out)
    assert values.min() > 0.3
    assert values.max() < 1.3
    overlap = (out * matrices).sum((1, 2)) / torch.linalg.svdvals(matrices).sum(1)
    assert (overlap > 0.6).all()  # still the direction of the gradient


@pytest.mark.parametrize("schedule", [cosine, late_decay])
def test_schedules_rise_to_one_and_fall(schedule) -> None:
    values = [schedule(i / 1000) for i in range(1000)]
    assert max(values) == pytest.approx(1, abs=1e-3)
    assert values[15] == pytest.approx(0.5, abs=0.01)
    assert values[-1] < 0.02
    peak = values.index(max(values))
    assert values[peak:] == sorted(values[peak:], reverse=True)


@pytest.mark.parametrize("name", MAKE)
def test_three_steps_twice_give_the_same_weights(name: str, monkeypatch) -> None:
    monkeypatch.setattr(tower, "GROUPS_A_STEP", 3)
    first, second = (
        MAKE[name](BACKBONES / "tokenizer.json", 0, 3, lambda *_: None).state_dict()
        for _ in range(2)
    )
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize(("name", "steps", "fall"), [("vision", 60, 0.1), ("lm", 30, 1.5)])
def test_the_loss_falls(name: str, steps: int, fall: float, monkeypatch) -> None:
    monkeypatch.setattr(tower, "GROUPS_A_STEP", 4)
    means: list[float] = []  # of at most the last 50 steps
    MAKE[name](BACKBONES / "tokenizer.json", 0, steps, lambda _, loss: means.append(loss))
    assert means[-1] < means[0] - fall, means


def test_a_short_run_writes_everything(tmp_path: Path) -> None:
    lines: list[str] = []
    pretrain.run(tmp_path, 0, lines.append, tower_steps=1, language_steps=2)
    assert_complete(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "lm",
        "tokenizer.json",
        "tokenizer_config.json",
        "vision",
    ]
    assert any(line.startswith("lm: step 2 of 2, loss ") for line in lines)
    assert any(line.startswith("vision: saved after ") for line in lines)
    assert any(line.startswith("lm: right colour ") for line in lines)
    assert any(line.startswith("vision: right colour ") for line in lines)


def test_a_part_that_fails_ends_the_other() -> None:
    fork = multiprocessing.get_context("fork")
    waiting = fork.Process(target=time.sleep, args=(60,), name="lm")
    failing = fork.Process(target=os._exit, args=(3,), name="vision")
    for process in (waiting, failing):
        process.start()
    with pytest.raises(RuntimeError, match="pre-training of `vision` failed"):
        pretrain._follow([waiting, failing], queue.Queue(), lambda line: None)
    waiting.join(10)
    assert waiting.exitcode

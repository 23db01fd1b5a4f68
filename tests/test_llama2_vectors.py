"""Vectors of LLaVA 1.2.2 with Llama 2's own tokenizer, which is not ours to ship.

LLAVA_FAST_LLAMA2_TOKENIZER names its `tokenizer.model`; without it these tests are skipped.
"""

import json
import os
import random
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from benches.peers import llava_text
from llava_fast import Sample, Tokenizer, encode
from tests import llava_rules as rules
from tests import oracle_text as oracle
from tests.data import make_text_golden as golden
from tests.scale import scaled

MODEL = os.environ.get("LLAVA_FAST_LLAMA2_TOKENIZER")


def converted(folder: Path, legacy: bool) -> Path:
    """A directory with the SentencePiece model and the configuration of Llama 2."""
    if not MODEL:
        pytest.skip("LLAVA_FAST_LLAMA2_TOKENIZER is not set")
    config = {
        "tokenizer_class": "LlamaTokenizer",
        "legacy": legacy,
        "add_bos_token": True,
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "tokenizer.model").symlink_to(MODEL)
    return folder


@pytest.fixture(scope="module")
def legacy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return converted(tmp_path_factory.mktemp("legacy"), legacy=True)


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return converted(tmp_path_factory.mktemp("newer"), legacy=False)


# The two-round conversation from token 31 on, as LLaVA 1.2.2 with its slow tokenizer encodes it.
# 0 is the picture.
V1 = """3148 1001 29901 29871 0 29871 13 5618 338 445 29973 319 1799 9047 13566 29901 319
 6635 29889 2 3148 1001 29901 18585 29973 319 1799 9047 13566 29901 3869 29892 372 338 29889 2"""


def taught(sample: Sample) -> list[tuple[int, int]]:
    """Runs of supervised positions."""
    learned = [False, *(sample.labels != -100).tolist(), False]
    edges = [i for i in range(len(learned) - 1) if learned[i] != learned[i + 1]]
    return list(zip(edges[::2], edges[1::2], strict=True))


@pytest.mark.parametrize(
    ("template", "length", "runs"),
    [
        ("v1", 67, [(47, 51), (61, 67)]),
        ("v0", 76, [(33, 35), (46, 57), (62, 76)]),
        ("mistral_instruct", 37, [(16, 21), (30, 37)]),
        ("llava_llama_2", 85, [(63, 68), (78, 85)]),
    ],
)
def test_lengths_and_masks(
    legacy: Path, template: str, length: int, runs: list[tuple[int, int]]
) -> None:
    sample = encode(golden.TWO_ROUNDS, Tokenizer.from_pretrained(legacy), template, 1)
    assert len(sample.input_ids) == length
    assert taught(sample) == runs


def test_ids_of_v1(legacy: Path) -> None:
    sample = encode(golden.TWO_ROUNDS, Tokenizer.from_pretrained(legacy), "v1", 1)
    assert sample.input_ids.tolist()[31:] == [int(word) for word in V1.split()]


def test_ids_of_v1_without_the_space_after_a_token(newer: Path) -> None:
    """The picture and the second round begin without one: 29871 is gone, 3148 1001 is 11889."""
    sample = encode(golden.TWO_ROUNDS, Tokenizer.from_pretrained(newer), "v1", 1)
    expected = [int(word) for word in V1.split()]
    del expected[5]
    expected[19:21] = [11889]
    assert sample.input_ids.tolist()[31:] == expected
    assert taught(sample) == [(46, 50), (59, 65)]


def test_ids_of_v1_with_the_space_after_a_picture_only(newer: Path) -> None:
    """LLaVA encodes the text behind a picture alone, so that it begins with one after all."""
    ours = Tokenizer.from_pretrained(newer, image_prefix=True)
    sample = encode(golden.TWO_ROUNDS, ours, "v1", 1)
    expected = [int(word) for word in V1.split()]
    expected[20:22] = [11889]
    assert sample.input_ids.tolist()[31:] == expected
    assert len(sample.input_ids) == 66
    assert taught(sample) == [(47, 51), (60, 66)]


def test_a_caption(legacy: Path) -> None:
    turns = [{"from": "human", "value": "<image>"}, {"from": "gpt", "value": "A cat."}]
    record = {"image": "a.jpg", "conversations": turns}
    sample = encode(record, Tokenizer.from_pretrained(legacy), "plain", 1)
    assert sample.input_ids.tolist() == [1, 0, 319, 6635, 29889, 13]
    assert taught(sample) == [(2, 6)]


@pytest.mark.parametrize("template", rules.RULES)
def test_ids_and_labels_equal_llavas(template: str, legacy: Path) -> None:
    theirs, ours = AutoTokenizer.from_pretrained(legacy), Tokenizer.from_pretrained(legacy)
    for seed in range(scaled(5_000)):
        record = rules.clean_record(random.Random(seed), template)
        ids, labels = rules.RULES[template](record, theirs)
        sample = encode(record, ours, template, 1, 1 << 20)
        expected = [ours.image_id if token == llava_text.IMAGE else token for token in ids]
        assert sample.input_ids.tolist() == expected, f"seed {seed}"
        assert sample.labels.tolist() == labels, f"seed {seed}"


@pytest.fixture(scope="module", params=["legacy", "newer"])
def with_pictures(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Tokenizer, oracle.Structure]:
    """Llama's own vocabulary with a token for pictures.

    transformers saves the rule of spaces but not `legacy`, and reads its file as the newer kind.
    """
    folder = tmp_path_factory.mktemp("with_pictures")
    theirs = AutoTokenizer.from_pretrained(request.getfixturevalue(request.param))
    theirs.add_special_tokens({"additional_special_tokens": ["<image>"]})
    theirs.save_pretrained(folder)
    ours = Tokenizer.from_pretrained(folder, legacy=request.param == "legacy")
    return ours, oracle.structure_of(folder)


@pytest.mark.parametrize("template", oracle.TEMPLATES)
def test_ids_and_labels_equal_the_whole_string(
    with_pictures: tuple[Tokenizer, oracle.Structure], template: str
) -> None:
    ours, structure = with_pictures
    for seed in range(scaled(5_000)):
        record, image_tokens = oracle.draw(seed, template)
        expected = structure.encode(oracle.rendered(record, template), image_tokens)
        sample = encode(record, ours, template, image_tokens, 1 << 20)
        assert oracle.lists(sample) == expected, f"seed {seed}"

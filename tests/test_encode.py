"""Ids and labels against the oracle, on random conversations full of control strings."""

import json
import random
import shutil
import unicodedata
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from llava_fast import DataError, Tokenizer, encode
from tests import oracle_text as oracle
from tests.oracle_layouts import END, EOS, EOT, NO_SYSTEM, TRIMMED, TURN_END
from tests.scale import scaled

CASES = [(family, template) for family in oracle.FAMILIES for template in oracle.TEMPLATES]
STOPS = dict.fromkeys(oracle.TEMPLATES, EOS) | {
    "llama_2": f" {EOS}",
    "mistral_instruct": f" {EOS}",
    "llama_3": EOT,
    "gemma": TURN_END,
    **dict.fromkeys(["mpt", "chatml_direct", "qwen_1_5", "qwen_2", "qwen_2_5"], END),
}


@cache
def tokenizer(family: str) -> Tokenizer:
    return Tokenizer.from_pretrained(oracle.TOKENIZERS / family)


def check(seed: int, template: str, ours: Tokenizer, structure: oracle.Structure) -> None:
    """A drawn record's ids, labels and picture positions are the oracle's."""
    record, image_tokens = oracle.draw(seed, template)
    expected = structure.encode(oracle.rendered(record, template), image_tokens)
    sample = encode(record, ours, template, image_tokens, 1 << 20)
    assert oracle.lists(sample) == expected, f"seed {seed}"


@pytest.mark.parametrize(("family", "template"), CASES)
def test_ids_and_labels_equal_the_whole_string(family: str, template: str) -> None:
    for seed in range(scaled(20_000)):
        check(seed, template, tokenizer(family), oracle.structure(family))


@pytest.mark.parametrize("template", oracle.TEMPLATES)
@pytest.mark.parametrize(
    "name", ["spm_llama_like_legacy", "spm_llama_like", "byte_bpe_chatml", "llama3_like"]
)
def test_larger_tokenizers(name: str, template: str, fixtures: Path) -> None:
    folder = fixtures / "tokenizers" / name
    ours, structure = Tokenizer.from_pretrained(folder), oracle.structure_of(folder)
    for seed in range(scaled(5_000)):
        check(seed, template, ours, structure)


@pytest.mark.parametrize("template", ["v1", "llama_2", "qwen_2", "llama_3"])
@pytest.mark.parametrize("family", oracle.FAMILIES)
def test_tokens_that_swallow_white_space(family: str, template: str, tmp_path: Path) -> None:
    """Ends of turns take the space before them, pictures the space behind them."""
    image = oracle.structure(family).image
    tree = json.loads((oracle.TOKENIZERS / family / "tokenizer.json").read_text(encoding="utf-8"))
    for token in tree["added_tokens"]:
        token["lstrip"] = token["content"] in ("</s>", "<|im_end|>", "<|eot_id|>")
        token["rstrip"] = token["content"] == image
    shutil.copytree(oracle.TOKENIZERS / family, tmp_path, dirs_exist_ok=True)
    (tmp_path / "tokenizer.json").write_text(json.dumps(tree), encoding="utf-8")
    ours, structure = Tokenizer.from_pretrained(tmp_path), oracle.structure_of(tmp_path)
    for seed in range(scaled(5_000)):
        check(seed, template, ours, structure)


def supervised_runs(ids: list[int], labels: list[int]) -> list[list[int]]:
    """The ids of each run of neighbouring targets."""
    runs: list[list[int]] = []
    before = False
    for token, label in zip(ids, labels, strict=True):
        if label != -100:
            assert label == token
            runs += [] if before else [[]]
            runs[-1].append(token)
        before = label != -100
    return runs


def learned_texts(record: dict, template: str) -> list[str]:
    """What the model learns to write, one text for each run of targets."""
    answers = [turn["value"] for turn in record["conversations"] if turn["from"] == "gpt"]
    if template in TRIMMED:
        answers = [answer.strip() for answer in answers]
    if template == "plain":
        return [f"{answers[0]}\n"]
    if template != "v0":
        return [answer + STOPS[template] for answer in answers]
    *first, last = [f"### Assistant: {answer}\n###" for answer in answers]
    return ["###", *first, f"{last} "]


def squashed(text: str) -> str:
    """The text without what tokenizers do to it: composition, `▁` for a space, outer space."""
    return unicodedata.normalize("NFC", text).replace("▁", " ").strip()


@pytest.mark.parametrize(("family", "template"), CASES)
def test_targets_decode_to_answers_and_stop(family: str, template: str) -> None:
    ours, structure = tokenizer(family), oracle.structure(family)
    for seed in range(scaled(5_000)):
        record, image_tokens = oracle.draw(seed, template)
        sample = encode(record, ours, template, image_tokens, 1 << 20)
        runs = supervised_runs(sample.input_ids.tolist(), sample.labels.tolist())
        texts = [ours.decode(run, skip_special_tokens=False) for run in runs]
        expected = [structure.shown(text) for text in learned_texts(record, template)]
        assert list(map(squashed, texts)) == list(map(squashed, expected)), f"seed {seed}"


# Cyrillic, Hebrew and Greek: what each kind of turn is written in.
ALPHABETS = {
    "human": range(0x430, 0x450),
    "system": range(0x5D0, 0x5EB),
    "gpt": range(0x3B1, 0x3CA),
}


def letters(rng: random.Random, role: str) -> str:
    """Words of one alphabet, with white space anywhere."""
    alphabet = ALPHABETS[role]
    pool = [*map(chr, alphabet), " ", "\n"]
    return chr(alphabet[0]) + "".join(rng.choices(pool, k=rng.randrange(30)))


def only(text: str, role: str) -> str:
    return "".join(letter for letter in text if ord(letter) in ALPHABETS[role])


@pytest.mark.parametrize(("family", "template"), CASES)
def test_no_letter_of_a_question_is_learned(family: str, template: str) -> None:
    ours = tokenizer(family)
    for seed in range(scaled(2_000)):
        rng = random.Random(seed)
        plain = template == "plain"
        roles = [] if template in NO_SYSTEM else ["system"]
        roles += ["human", "gpt"] * (1 if plain else rng.randint(1, 4))
        turns = [{"from": role, "value": letters(rng, role)} for role in roles]
        answers = only("".join(turn["value"] for turn in turns), "gpt")
        if plain:
            turns[0]["value"] += "<image>"
        record = {"image": ["a.jpg"] * plain, "conversations": turns}
        sample = encode(record, ours, template, 1, 1 << 20)
        target = sample.labels != -100
        learned = ours.decode(sample.input_ids[target].tolist())
        masked = ours.decode(sample.input_ids[~target].tolist())
        assert only(learned, "gpt") == answers, f"seed {seed}"
        assert only(masked, "gpt") == "", f"seed {seed}"
        assert only(learned, "human") == only(learned, "system") == "", f"seed {seed}"


def test_segments_are_what_was_encoded() -> None:
    record = {
        "image": "a.jpg",
        "conversations": [
            {"from": "human", "value": "What?\n<image>"},
            {"from": "gpt", "value": "A cat."},
        ],
    }
    sample = encode(record, tokenizer("sp_legacy"), "v1_short", 3)
    assert [segment[:3] for segment in sample.segments] == [
        ("<s>", "token", False),
        ("USER: ", "mark", False),
        ("<image>", "image", False),
        ("\nWhat?", "text", False),
        (" ASSISTANT:", "mark", False),
        (" ", "mark", True),
        ("A cat.", "text", True),
        ("</s>", "stop", True),
    ]
    ends = [segment.stop for segment in sample.segments]
    assert [segment.start for segment in sample.segments] == [0, *ends[:-1]]
    assert ends[-1] == len(sample.input_ids)
    assert sample.input_ids.dtype == sample.labels.dtype == sample.image_starts.dtype == np.int64
    start = sample.image_starts[0]
    assert (sample.input_ids[start : start + 3] == tokenizer("sp_legacy").image_id).all()


@pytest.mark.parametrize(("family", "template"), CASES)
def test_segments_join_to_the_conversation(family: str, template: str) -> None:
    """Their texts are the whole string, their flags its mask, their positions the whole sample."""
    ours, structure = tokenizer(family), oracle.structure(family)
    for seed in range(scaled(2_000)):
        record, image_tokens = oracle.draw(seed, template)
        segments = encode(record, ours, template, image_tokens, 1 << 20).segments
        parts = oracle.rendered(record, template)
        shown = [(structure.shown(text), supervised) for text, supervised in parts]
        bos = structure.bos or ""
        expected = [(c, s) for text, s in [(bos, False), *shown] for c in text]
        assert [(c, s.supervised) for s in segments for c in s.text] == expected, f"seed {seed}"
        stops = [segment.stop for segment in segments]
        assert [segment.start for segment in segments] == [0, *stops[:-1]], f"seed {seed}"


@pytest.mark.parametrize(("family", "template"), [c for c in CASES if c[1] != "plain"])
def test_a_long_record_keeps_its_first_whole_rounds(family: str, template: str) -> None:
    ours = tokenizer(family)
    for seed in range(scaled(2_000)):
        record, image_tokens = oracle.draw(seed, template)
        whole = [prefix(record, image_tokens, n) for n in range(1, 5)]
        samples = [encode(r, ours, template, tokens, 1 << 20) for r, tokens in whole if r]
        lengths = [len(sample.input_ids) for sample in samples]
        limit = random.Random(seed).randint(lengths[0], lengths[-1])
        kept = encode(record, ours, template, image_tokens, limit)
        best = max(n for n, length in enumerate(lengths) if length <= limit)
        assert oracle.lists(kept) == oracle.lists(samples[best]), f"seed {seed}"
        with pytest.raises(DataError, match=f"needs {lengths[0]} tokens, max_length is"):
            encode(record, ours, template, image_tokens, lengths[0] - 1)


def prefix(record: dict, image_tokens: list[int], rounds: int) -> tuple[dict | None, list[int]]:
    """The record cut to its first rounds, None where it has fewer."""
    first = record["conversations"][0]["from"] == "system"
    turns = record["conversations"][: 2 * rounds + first]
    if len(turns) < 2 * rounds + first:
        return None, []
    images = sum(t["value"].count("<image>") for t in turns if t["from"] == "human")
    cut = {**record, "conversations": turns, "image": record["image"][:images]}
    return cut, image_tokens[:images]


@pytest.mark.parametrize("family", oracle.FAMILIES)
def test_a_caption_that_is_too_long_is_refused(family: str) -> None:
    """A caption is one round: it is kept whole or not at all."""
    record, image_tokens = oracle.draw(3, "plain")
    length = len(encode(record, tokenizer(family), "plain", image_tokens).input_ids)
    encode(record, tokenizer(family), "plain", image_tokens, length)
    with pytest.raises(DataError, match=f"needs {length} tokens, max_length is {length - 1}"):
        encode(record, tokenizer(family), "plain", image_tokens, length - 1)

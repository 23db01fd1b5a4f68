"""Ids and masks against `apply_chat_template` of transformers."""

import random
from functools import cache
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from llava_fast import Tokenizer, encode
from tests import oracle_text as oracle
from tests.chat_templates import JINJA
from tests.dressed import dress, unprefixed
from tests.oracle_layouts import IMAGE, NO_SYSTEM
from tests.scale import scaled

ROLES = {"system": "system", "human": "user", "gpt": "assistant"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each family with every control token; `unprefixed` writes no space in front, as Gemma."""
    made = {name: dress(name, tmp_path_factory.mktemp(name)) for name in oracle.FAMILIES}
    bare = unprefixed(dress("sp_first", tmp_path_factory.mktemp("unprefixed")))
    return made | {"unprefixed": bare}


def clean_record(rng: random.Random, template: str) -> dict:
    """A conversation that has no control strings and no empty text, which templates leave out."""
    record = oracle.random_record(rng, template, injections=False)
    stripped = template in ("llama_2", "mistral_instruct")
    for turn in record["conversations"]:
        turn["value"] = turn["value"] if turn["value"].strip() else "Word."
        if stripped:
            turn["value"] = turn["value"].strip()
    return record


def messages_of(record: dict, image: str, system: str | None) -> list[dict]:
    """The conversation as transformers takes it; `system` where it has none."""
    messages = []
    for turn in record["conversations"]:
        content = turn["value"]
        if turn["from"] == "human":
            content = oracle.normalise(content).replace(IMAGE, image)
        messages.append({"role": ROLES[turn["from"]], "content": content})
    if system is not None and messages[0]["role"] != "system":
        messages.insert(0, {"role": "system", "content": system})
    return messages


@cache
def pair(folder: Path) -> tuple[Tokenizer, object]:
    return Tokenizer.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize("family", ["sp_legacy", "chatml", "llama3", "unprefixed"])
@pytest.mark.parametrize("template", JINJA)
def test_ids_and_labels_are_those_of_transformers(
    template: str, family: str, folders: dict[str, Path]
) -> None:
    ours, theirs = pair(folders[family])
    jinja, system = JINJA[template]
    image = oracle.structure_of(folders[family]).image
    # Qwen's tokenizer writes no BOS, and so its template spells none; ours follows the tokenizer.
    begin = [ours.bos_id] if ours.bos_id is not None and "bos_token" not in jinja else []
    for seed in range(scaled(5_000)):
        record = clean_record(random.Random(seed), template)
        expected = theirs.apply_chat_template(
            messages_of(record, image, system),
            chat_template=jinja,
            return_dict=True,
            return_assistant_tokens_mask=True,
        )
        sample = encode(record, ours, template, 1, 1 << 20)
        assert sample.input_ids.tolist() == begin + expected["input_ids"], f"seed {seed}"
        learned = (sample.labels != -100).astype(int).tolist()
        assert learned == [0] * len(begin) + expected["assistant_masks"], f"seed {seed}"


@pytest.mark.parametrize("template", JINJA)
def test_ids_where_a_space_stands_first_only(template: str, folders: dict[str, Path]) -> None:
    """A BOS that is spelled takes the space of the text behind it: there it must be an id."""
    ours, theirs = pair(folders["sp_first"])
    jinja, system = JINJA[template]
    for seed in range(scaled(5_000)):
        record = clean_record(random.Random(seed), template)
        messages = messages_of(record, "<image>", system)
        text = theirs.apply_chat_template(messages, chat_template=jinja, tokenize=False)
        expected = theirs(text.removeprefix("<s>"))["input_ids"]
        sample = encode(record, ours, template, 1, 1 << 20)
        assert sample.input_ids.tolist() == expected, f"seed {seed}"


@pytest.mark.parametrize(
    ("name", "template"), [("byte_bpe_chatml", "qwen_2"), ("llama3_like", "llama_3")]
)
def test_the_template_that_a_tokenizer_brings(name: str, template: str, fixtures: Path) -> None:
    """The larger tokenizers have templates of their own, which trim nothing."""
    ours, theirs = pair(fixtures / "tokenizers" / name)
    default = oracle.SYSTEM[template]
    for seed in range(scaled(5_000)):
        record = clean_record(random.Random(seed), template)
        for turn in record["conversations"]:
            turn["value"] = turn["value"].strip()
        expected = theirs.apply_chat_template(
            messages_of(record, "<image>", None if template in NO_SYSTEM else default),
            return_dict=True,
            return_assistant_tokens_mask=True,
        )
        sample = encode(record, ours, template, 1, 1 << 20)
        assert sample.input_ids.tolist() == expected["input_ids"], f"seed {seed}"
        learned = (sample.labels != -100).astype(int).tolist()
        assert learned == expected["assistant_masks"], f"seed {seed}"

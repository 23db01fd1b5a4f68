"""Ids and labels with tokenizers that put spaces and cut text in other ways."""

import json
from pathlib import Path

import pytest

from llava_fast import Tokenizer, encode
from tests import oracle_text as oracle
from tests.dressed import dress
from tests.scale import scaled


def metaspace(scheme: str, split: bool) -> dict:
    step = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": split}
    return {"normalizer": None, "pre_tokenizer": step}


def byte_level(prefix: bool) -> dict:
    step = {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": False}
    return {"pre_tokenizer": step | {"use_regex": True}}


def first(*steps: dict) -> dict:
    """Those steps before the normalizer that the tokenizer has."""
    return {"first": list(steps)}


SQUEEZE = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}
STRIP = {"type": "Strip", "strip_left": True, "strip_right": True}
KINDS = {
    "a space before every run": ("sp_first", metaspace("always", False)),
    "a space before every run, word by word": ("sp_first", metaspace("always", True)),
    "a space at the start, word by word": ("sp_first", metaspace("first", True)),
    "no space, word by word": ("sp_first", metaspace("never", True)),
    "no space": ("sp_first", metaspace("never", False)),
    "GPT-2": ("chatml", byte_level(prefix=False)),
    "RoBERTa": ("llama3", byte_level(prefix=True)),
    "small letters": ("sp_first", first({"type": "NFKC"}, {"type": "Lowercase"})),
    "small letters of bytes": ("llama3", first({"type": "NFKC"}, {"type": "Lowercase"})),
    "no double spaces": ("sp_legacy", first(SQUEEZE)),
    "no double spaces of bytes": ("chatml", first(SQUEEZE)),
    "no outer space": ("sp_legacy", first(STRIP)),
    "no outer space of bytes": ("chatml", first(STRIP)),
    "whole words first": ("sp_legacy", {"model": {"ignore_merges": True}}),
    "no bytes": ("sp_legacy", {"model": {"byte_fallback": False, "fuse_unk": False}}),
}


def changed(kind: str, target: Path) -> Path:
    """A tokenizer of that kind that has every control token."""
    family, change = KINDS[kind]
    file = dress(family, target) / "tokenizer.json"
    tree = json.loads(file.read_text(encoding="utf-8"))
    change = dict(change)
    steps = change.pop("first", [])
    tree["model"] |= change.pop("model", {})
    tree |= change
    if steps:
        last = [tree["normalizer"]] if tree["normalizer"] else []
        tree["normalizer"] = {"type": "Sequence", "normalizers": [*steps, *last]}
    file.write_text(json.dumps(tree), encoding="utf-8")
    return target


@pytest.mark.parametrize("kind", KINDS)
def test_ids_and_labels_equal_the_whole_string(kind: str, tmp_path: Path) -> None:
    folder = changed(kind, tmp_path)
    ours, structure = Tokenizer.from_pretrained(folder), oracle.structure_of(folder)
    for seed in range(scaled(20_000)):
        template = oracle.TEMPLATES[seed % len(oracle.TEMPLATES)]
        record, image_tokens = oracle.draw(seed, template)
        expected = structure.encode(oracle.rendered(record, template), image_tokens)
        sample = encode(record, ours, template, image_tokens, 1 << 20)
        assert oracle.lists(sample) == expected, f"seed {seed}, {template}"

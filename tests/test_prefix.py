"""Where a SentencePiece tokenizer puts a space in front, against transformers and LLaVA's rule."""

import json
import random
from pathlib import Path

import pytest

from llava_fast import DataError, Tokenizer, encode
from llava_fast.prefix import READ_AS_IT_IS
from tests import oracle_text as oracle
from tests.data import make_text_golden as golden
from tests.scale import scaled

FAMILIES = ("sp_legacy", "sp_first")
RECORD = golden.TWO_ROUNDS


def written(folder: Path, family: str, model_type: str | None = None, **config: object) -> Path:
    """A directory with the tokenizer of a family under another configuration."""
    source = oracle.TOKENIZERS / family
    named = json.loads((source / "tokenizer_config.json").read_text(encoding="utf-8")) | config
    (folder / "tokenizer_config.json").write_text(json.dumps(named), encoding="utf-8")
    (folder / "tokenizer.json").write_bytes((source / "tokenizer.json").read_bytes())
    if model_type is not None:
        (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
    return folder


def same_as_transformers(folder: Path, ours: Tokenizer, cases: int) -> None:
    """Ids of texts and of whole conversations."""
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(folder)
    for seed in range(scaled(cases)):
        rng = random.Random(seed)
        text = rng.choice(["", " ", "  ", "▁"]) + oracle.random_text(rng, rng.randrange(9), [])
        assert ours.encode(text) == theirs.encode(text, add_special_tokens=False), f"seed {seed}"
        record = oracle.random_record(rng, "v1", injections=False)
        text = "".join(text for text, _ in oracle.rendered(record, "v1"))
        text = text.replace(oracle.EOS, "</s>").replace(oracle.IMAGE, "<image>")
        ids = encode(record, ours, "v1", 1, 1 << 20).input_ids.tolist()
        assert ids == theirs(text)["input_ids"], f"seed {seed}"
        assert ours.decode(ids) == theirs.decode(ids, skip_special_tokens=True), f"seed {seed}"


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "config",
    [
        {"tokenizer_class": "PreTrainedTokenizerFast", "legacy": True},
        {"tokenizer_class": "LlamaTokenizer"},
        {"tokenizer_class": "LlamaTokenizerFast", "legacy": True},
        {"tokenizer_class": "LlamaTokenizer", "legacy": False, "model_type": "llama"},
        {"tokenizer_class": "LlamaTokenizer", "add_prefix_space": False},
        {"tokenizer_class": "LlamaTokenizer", "add_prefix_space": True, "legacy": True},
        {"tokenizer_class": "LlamaTokenizer", "legacy": True, "model_type": "llava"},
        {"tokenizer_class": "LlamaTokenizerFast", "legacy": True, "model_type": "mistral"},
    ],
    ids=lambda config: ",".join(map(str, config.values())),
)
def test_a_directory_reads_as_in_transformers(tmp_path: Path, family: str, config: dict) -> None:
    folder = written(tmp_path, family, **config)
    ours = Tokenizer.from_pretrained(folder)
    same_as_transformers(folder, ours, 1_000)
    saved = tmp_path / "saved"
    ours.save_pretrained(saved)
    again = Tokenizer.from_pretrained(saved)
    assert again.fingerprint == ours.fingerprint
    same_as_transformers(saved, again, 100)


def test_byte_level_tokenizers_of_that_class_are_read_as_they_are(tmp_path: Path) -> None:
    folder = written(tmp_path, "llama3", tokenizer_class="LlamaTokenizer")
    plain = Tokenizer.from_pretrained(oracle.TOKENIZERS / "llama3")
    assert Tokenizer.from_pretrained(folder).fingerprint == plain.fingerprint


def test_the_model_types_that_transformers_reads_as_they_are() -> None:
    from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING_NAMES

    assert {TOKENIZER_MAPPING_NAMES[name] for name in READ_AS_IT_IS} == {"TokenizersBackend"}
    for name in ("llama", "llava_onevision"):
        assert TOKENIZER_MAPPING_NAMES.get(name) != "TokenizersBackend"


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("legacy", [True, False])
def test_legacy_is_selectable_in_both_directions(tmp_path: Path, family: str, legacy: bool) -> None:
    ours = Tokenizer.from_pretrained(oracle.TOKENIZERS / family, legacy=legacy)
    same = Tokenizer.from_pretrained(oracle.TOKENIZERS / ("sp_legacy" if legacy else "sp_first"))
    for seed in range(scaled(2_000)):
        record = oracle.random_record(random.Random(seed), "v1")
        got, expected = (encode(record, each, "v1", 1, 1 << 20) for each in (ours, same))
        assert got.input_ids.tolist() == expected.input_ids.tolist(), f"seed {seed}"
        assert got.labels.tolist() == expected.labels.tolist(), f"seed {seed}"
    ours.save_pretrained(tmp_path)
    again = Tokenizer.from_pretrained(tmp_path)
    assert again.fingerprint == ours.fingerprint
    assert json.loads((tmp_path / "tokenizer_config.json").read_text())["legacy"] is legacy
    same_as_transformers(tmp_path, again, 100)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("legacy", [True, False])
def test_the_text_after_a_picture_as_llava_encodes_it(
    tmp_path: Path, family: str, legacy: bool
) -> None:
    """LLaVA encodes what stands between two pictures alone and leaves out its BOS."""
    ours = Tokenizer.from_pretrained(oracle.TOKENIZERS / family, legacy=legacy, image_prefix=True)
    ours.save_pretrained(tmp_path)
    again = Tokenizer.from_pretrained(tmp_path)
    assert again.fingerprint == ours.fingerprint
    theirs = oracle.structure("sp_legacy" if legacy else "sp_first").tokenizer
    for seed in range(scaled(2_000)):
        record = oracle.random_record(random.Random(seed), "v1")
        text = "".join(text for text, _ in oracle.rendered(record, "v1"))
        ids = [1]
        for number, part in enumerate(text.split(oracle.IMAGE)):
            ids += [ours.image_id] * (number > 0)
            ids += theirs.encode(part, add_special_tokens=False).ids
        got = encode(record, again, "v1", 1, 1 << 20).input_ids.tolist()
        assert got == ids, f"seed {seed}"


def test_after_a_picture_both_ways() -> None:
    def ids(family: str, image_prefix: bool | None) -> list[int]:
        folder = oracle.TOKENIZERS / family
        ours = Tokenizer.from_pretrained(folder, image_prefix=image_prefix)
        return encode(RECORD, ours, "v1", 1).input_ids.tolist()

    assert ids("sp_legacy", None) == ids("sp_legacy", True)
    assert ids("sp_first", None) == ids("sp_first", False)
    assert len(ids("sp_first", True)) == len(ids("sp_first", False)) + 1
    assert len(ids("sp_legacy", True)) == len(ids("sp_legacy", False)) + 1


@pytest.mark.parametrize("choice", [{"legacy": True}, {"legacy": False}, {"image_prefix": True}])
def test_where_there_is_nothing_to_choose(choice: dict[str, bool]) -> None:
    with pytest.raises(ValueError, match=r"puts no `▁` before a text"):
        Tokenizer.from_pretrained(oracle.TOKENIZERS / "chatml", **choice)


def test_files_that_say_nonsense(tmp_path: Path) -> None:
    folder = written(tmp_path, "sp_first", image_prefix="yes")
    with pytest.raises(DataError, match="image_prefix: got 'yes', expected true or false"):
        Tokenizer.from_pretrained(folder)
    for content in (
        "{",
        "[]",
        "{}",
        '{"normalizer": 3}',
        '{"pre_tokenizer": {"type": "Sequence"}}',
    ):
        folder = written(tmp_path, "sp_first", tokenizer_class="LlamaTokenizer")
        (folder / "tokenizer.json").write_text(content, encoding="utf-8")
        for legacy in (None, True)[: 1 + (content != "{}")]:
            with pytest.raises(DataError, match=r"tokenizer\.json`: not a tokenizer"):
                Tokenizer.from_pretrained(folder, legacy=legacy)

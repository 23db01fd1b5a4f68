"""The tokenizer as an object, against tokenizers, transformers and stored vectors."""

import filecmp
import json
import pickle
import random
import subprocess
import sys
from pathlib import Path

import pytest
from tokenizers import Tokenizer as PeerTokenizer

import llava_fast
from llava_fast import DataError, Tokenizer, encode
from tests import oracle_text as oracle
from tests.data import make_text_golden as golden
from tests.scale import scaled

TEXT = "A red circle, 12 漢?"


@pytest.fixture(params=oracle.FAMILIES)
def folder(request: pytest.FixtureRequest) -> Path:
    return oracle.TOKENIZERS / request.param


def changed(folder: Path, target: Path, **config: object) -> Path:
    """A copy of the tokenizer with other configuration; None removes a key."""
    merged = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8")) | config
    kept = {key: value for key, value in merged.items() if value is not None}
    (target / "tokenizer_config.json").write_text(json.dumps(kept), encoding="utf-8")
    (target / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes())
    return target


def test_templates() -> None:
    known = "plain v0 v1 v1_short llava_v1 llama_2 mistral_instruct mpt chatml_direct"
    assert llava_fast.templates() == [
        *known.split(),
        *"qwen_1_5 qwen_2 qwen_2_5 llama_3 gemma".split(),
    ]


def test_text_as_in_transformers(folder: Path) -> None:
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(folder)
    ours = Tokenizer.from_pretrained(folder)
    assert (ours.eos_id, ours.pad_id) == (theirs.eos_token_id, theirs.pad_token_id)
    assert ours.bos_id == theirs.bos_token_id
    assert ours.vocab_size == len(theirs)
    for seed in range(scaled(20_000)):
        rng = random.Random(seed)
        text = oracle.random_text(rng, rng.randrange(20), literals=[])
        ids = ours.encode(text)
        assert ids == theirs.encode(text, add_special_tokens=False), f"seed {seed}"
        assert ours.decode(ids) == theirs.decode(ids), f"seed {seed}"
        assert ours.decode([*ids, ours.eos_id]) == theirs.decode(ids), f"seed {seed}"


def test_a_conversation_as_in_transformers(folder: Path) -> None:
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(folder)
    ours = Tokenizer.from_pretrained(folder)
    structure = oracle.structure(folder.name)
    for seed in range(scaled(5_000)):
        record = oracle.random_record(random.Random(seed), "v1", injections=False)
        text = "".join(structure.shown(text) for text, _ in oracle.rendered(record, "v1"))
        sample = encode(record, ours, "v1", 1, 1 << 20)
        assert sample.input_ids.tolist() == theirs(text)["input_ids"], f"seed {seed}"


@pytest.mark.parametrize("vector", json.loads(golden.FILE.read_text(encoding="utf-8")))
def test_stored_vectors(vector: dict) -> None:
    ours = Tokenizer.from_pretrained(oracle.TOKENIZERS / vector["family"])
    sample = encode(vector["record"], ours, vector["template"], golden.IMAGE_TOKENS)
    assert sample.input_ids.tolist() == vector["input_ids"]
    assert sample.labels.tolist() == vector["labels"]
    assert sample.image_starts.tolist() == vector["image_starts"]


def test_the_scripts_write_the_committed_files(tmp_path: Path) -> None:
    script = oracle.TOKENIZERS.parent / "make_tokenizers.py"
    subprocess.run([sys.executable, script, tmp_path], check=True)
    for family in oracle.FAMILIES:
        names = ["tokenizer.json", "tokenizer_config.json"]
        equal, _, _ = filecmp.cmpfiles(tmp_path / family, oracle.TOKENIZERS / family, names, False)
        assert equal == names
        assert (tmp_path / family / names[0]).stat().st_size < 150_000
    stored = json.loads(golden.FILE.read_text(encoding="utf-8"))
    assert [golden.vector(case) for case in golden.cases()] == stored


def test_pickle_and_save(folder: Path, tmp_path: Path) -> None:
    ours = Tokenizer.from_pretrained(folder)
    ours.save_pretrained(tmp_path / "copy")
    text = "Is it <image> red? 漢 1987"
    for other in (pickle.loads(pickle.dumps(ours)), Tokenizer.from_pretrained(tmp_path / "copy")):
        assert other.encode(text) == ours.encode(text)
        assert other.fingerprint == ours.fingerprint
        for name in ("bos_id", "eos_id", "pad_id", "image_id"):
            assert getattr(other, name) == getattr(ours, name)


def test_bos_is_written_iff_the_files_say_so(tmp_path: Path) -> None:
    chatml = oracle.TOKENIZERS / "chatml"
    assert Tokenizer.from_pretrained(chatml).bos_id is None
    named = changed(chatml, tmp_path, bos_token="<|im_start|>")
    assert Tokenizer.from_pretrained(named).bos_id is None
    told = changed(chatml, tmp_path, bos_token="<|im_start|>", add_bos_token=True)
    ours = Tokenizer.from_pretrained(told)
    record = {"conversations": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]}
    assert encode(record, ours).input_ids[0] == ours.bos_id == ours.image_id - 2


def test_the_image_token_is_found_or_asked_for(tmp_path: Path) -> None:
    legacy = oracle.TOKENIZERS / "sp_legacy"
    assert Tokenizer.from_pretrained(legacy, image_token="<pad>").image_id == 1163
    tree = json.loads((legacy / "tokenizer.json").read_text(encoding="utf-8"))
    tree["added_tokens"] = [t for t in tree["added_tokens"] if t["content"] != "<image>"]
    tree["added_tokens"][-1]["id"] -= 1
    changed(legacy, tmp_path, pad_token=None)
    (tmp_path / "tokenizer.json").write_text(json.dumps(tree), encoding="utf-8")
    ours = Tokenizer.from_pretrained(tmp_path)
    # Every byte has a token, so `<unk>` is free; padding must then be something else.
    assert (ours.image_id, ours.pad_id) == (0, ours.eos_id)
    tree["model"]["byte_fallback"] = False
    (tmp_path / "tokenizer.json").write_text(json.dumps(tree), encoding="utf-8")
    with pytest.raises(DataError, match=r"tokenizer\.json`: no image token: .* image_token="):
        Tokenizer.from_pretrained(tmp_path)
    used = Tokenizer.from_pretrained(tmp_path, image_token="<unk>")
    with pytest.raises(DataError, match="ordinary text into its control token `<unk>`"):
        used.encode("漢")


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    legacy = oracle.TOKENIZERS / "sp_legacy"
    with pytest.raises(DataError, match=r"no tokenizer\.json, and transformers"):
        Tokenizer.from_pretrained(tmp_path)
    changed(legacy, tmp_path, eos_token=None)
    with pytest.raises(DataError, match="no `eos_token`"):
        Tokenizer.from_pretrained(tmp_path)
    changed(legacy, tmp_path, eos_token="<nothing>")
    with pytest.raises(DataError, match="eos_token: `<nothing>` is not in the vocabulary"):
        Tokenizer.from_pretrained(tmp_path)
    changed(legacy, tmp_path)
    for content in (b"", b"{", b"[]", b"{}", b'{"model": {"vocab": {"</s>": 1, "<image>": 2}}}'):
        (tmp_path / "tokenizer.json").write_bytes(content)
        with pytest.raises(DataError, match=r"tokenizer\.json`: "):
            Tokenizer.from_pretrained(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text("{,", encoding="utf-8")
    with pytest.raises(DataError, match=r"tokenizer_config\.json`: "):
        Tokenizer.from_pretrained(tmp_path)


def mutated(rng: random.Random, tree: object) -> object:
    """A copy with one node replaced by something of another kind."""
    if isinstance(tree, (dict, list)) and tree and rng.random() < 0.9:
        copy = tree.copy()
        key = rng.choice(list(tree) if isinstance(tree, dict) else range(len(tree)))
        copy[key] = mutated(rng, tree[key])
        return copy
    return rng.choice([None, -1, 1 << 40, "", "x", [], {}, True, [["a"]], {"type": "BPE"}])


def test_a_damaged_tokenizer_is_a_data_error(folder: Path, tmp_path: Path) -> None:
    tree = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    changed(folder, tmp_path)
    for seed in range(scaled(5_000)):
        content = json.dumps(mutated(random.Random(seed), tree))
        (tmp_path / "tokenizer.json").write_text(content, encoding="utf-8")
        try:
            ids = Tokenizer.from_pretrained(tmp_path).encode(TEXT)
        except DataError:
            continue
        if not ids:
            # The damage itself: a post-processor may leave the text out.
            theirs = PeerTokenizer.from_str(content).encode(TEXT, add_special_tokens=False)
            assert not theirs.ids, f"seed {seed}"

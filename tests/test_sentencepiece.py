"""A directory that holds a SentencePiece model only, against sentencepiece and transformers."""

import io
import json
import random
from pathlib import Path

import pytest

from llava_fast import DataError, Tokenizer, encode
from tests import oracle_text as oracle
from tests.data import make_text_golden as golden
from tests.data.make_tokenizers import TEXT
from tests.scale import scaled

sentencepiece = pytest.importorskip("sentencepiece")
pytest.importorskip("google.protobuf")


@pytest.fixture(scope="module")
def model() -> bytes:
    """A BPE model in the manner of Llama 2."""
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT.splitlines()),
        model_writer=written,
        vocab_size=700,
        model_type="bpe",
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        add_dummy_prefix=True,
        split_digits=True,
        minloglevel=2,
    )
    return written.getvalue()


@pytest.fixture(params=[True, False], ids=["legacy", "not_legacy"])
def legacy(request: pytest.FixtureRequest) -> bool:
    return request.param


@pytest.fixture
def folder(tmp_path: Path, model: bytes, legacy: bool) -> Path:
    (tmp_path / "tokenizer.model").write_bytes(model)
    config = {
        "tokenizer_class": "LlamaTokenizer",
        "legacy": legacy,
        "add_bos_token": True,
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
    }
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return tmp_path


def test_ids_of_sentencepiece_and_transformers(folder: Path, model: bytes) -> None:
    from transformers import AutoTokenizer

    ours = Tokenizer.from_pretrained(folder)
    theirs = AutoTokenizer.from_pretrained(folder)
    original = sentencepiece.SentencePieceProcessor(model_proto=model)
    assert (ours.bos_id, ours.eos_id, ours.image_id) == (1, 2, 0)
    assert ours.path == "words"
    for seed in range(scaled(5_000)):
        rng = random.Random(seed)
        text = "A" + oracle.random_text(rng, rng.randrange(20), literals=[])
        ids = ours.encode(text)
        assert ids == original.encode(text), f"seed {seed}"
        assert ids == theirs.encode(text, add_special_tokens=False), f"seed {seed}"


def test_a_conversation_as_llava_encodes_it(folder: Path, model: bytes, legacy: bool) -> None:
    ours = Tokenizer.from_pretrained(folder, image_prefix=True)
    original = sentencepiece.SentencePieceProcessor(model_proto=model)
    rounds = "".join(text for text, _ in oracle.rendered(golden.TWO_ROUNDS, "v1"))
    [first, second], last = (part.split(oracle.IMAGE) for part in rounds.split(oracle.EOS)[:2])
    got = encode(golden.TWO_ROUNDS, ours, "v1", 1).input_ids.tolist()
    start = [1, *original.encode(first), 0, *original.encode(second), 2]
    assert got[: len(start)] == start
    # Without a prefix of its own, the text after `</s>` is what follows a prefix of one token.
    expected = original.encode(*last) if legacy else original.encode("\n" + last[0])[2:]
    assert got[len(start) :] == [*expected, 2]


def test_saved_it_needs_no_conversion(folder: Path, tmp_path: Path, legacy: bool) -> None:
    ours = Tokenizer.from_pretrained(folder)
    saved = tmp_path / "saved"
    ours.save_pretrained(saved)
    again = Tokenizer.from_pretrained(saved)
    other = Tokenizer.from_pretrained(folder, legacy=not legacy)
    assert again.fingerprint == ours.fingerprint != other.fingerprint
    assert again.encode("A red circle") == ours.encode("A red circle")


def test_without_sentencepiece_it_says_what_to_install(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llava_fast.tokenizer._installed", lambda _: False)
    with pytest.raises(DataError, match=r"tokenizer\.model`: pip install sentencepiece protobuf"):
        Tokenizer.from_pretrained(folder)

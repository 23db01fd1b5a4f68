"""Text encoded word by word, against the Python `tokenizers` package and the whole string."""

import json
import os
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tokenizers import Tokenizer as Peer

from llava_fast import Tokenizer
from tests import oracle_text as oracle
from tests.scale import scaled

FIXTURES = os.environ.get("LLAVA_FAST_FIXTURES")
FOLDERS = [oracle.TOKENIZERS / family for family in oracle.FAMILIES]
if FIXTURES:
    FOLDERS += sorted((Path(FIXTURES) / "tokenizers").iterdir())
ADDED = ["<extra>", "red circle", "▁▁x", "\n\n\n", "don't"]


@pytest.fixture(params=FOLDERS, ids=lambda folder: folder.name)
def folder(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.fixture
def extended(folder: Path, tmp_path: Path) -> Path:
    """The same tokenizer with added tokens that a text may spell."""
    tree = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    first = max(token["id"] for token in tree["added_tokens"]) + 1
    plain = tree["added_tokens"][0] | {"special": False}
    tree["added_tokens"] += [
        plain | {"id": first + number, "content": content} for number, content in enumerate(ADDED)
    ]
    (tmp_path / "tokenizer.json").write_text(json.dumps(tree), encoding="utf-8")
    config = (folder / "tokenizer_config.json").read_bytes()
    (tmp_path / "tokenizer_config.json").write_bytes(config)
    return tmp_path


def whole(folder: Path) -> Peer:
    """The tokenizer that encodes a whole string and takes special tokens in it for text."""
    peer = Peer.from_file(str(folder / "tokenizer.json"))
    peer.encode_special_tokens = True
    return peer


def spelled(peer: Peer) -> list[str]:
    """The tokens of a vocabulary as text, roughly: those of bytes stay as they are written."""
    table = str.maketrans({"▁": " ", "Ġ": " ", "Ċ": "\n"})
    return [token.translate(table) for token in sorted(peer.get_vocab(with_added_tokens=False))]


def random_text(rng: random.Random, tokens: list[str]) -> str:
    """Words, control strings, tokens of the vocabulary in any order, and any characters."""
    literals = [*oracle.CONTROL, *ADDED, *(text[:-1] for text in ADDED)]
    literals += rng.choices(tokens, k=4 * len(oracle.WORDS))
    text = oracle.random_text(rng, rng.randrange(24), literals)
    for _ in range(rng.choice([0, 0, 1, 4])):
        at = rng.randrange(len(text) + 1)
        code = rng.choice([rng.randrange(0x80), rng.randrange(0x3000), rng.randrange(0x110000)])
        text = text[:at] + ("" if 0xD800 <= code < 0xE000 else chr(code)) + text[at:]
    return text


def check(folder: Path, cases: int) -> None:
    ours, peer = Tokenizer.from_pretrained(folder), whole(folder)
    assert ours.path == "words"
    tokens = spelled(peer)
    for seed in range(scaled(cases)):
        text = random_text(random.Random(seed), tokens)
        expected = peer.encode(text, add_special_tokens=False).ids
        assert ours.encode(text) == expected, f"seed {seed}"
        assert ours.encode(text) == expected, f"seed {seed}, known words"


def test_words_give_the_ids_of_the_whole(folder: Path) -> None:
    check(folder, 20_000)


def test_a_text_that_spells_an_added_token_is_not_cut(extended: Path) -> None:
    check(extended, 20_000)


def test_the_path_names_its_reason(tmp_path: Path) -> None:
    source = oracle.TOKENIZERS / "sp_first"
    tree = json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))
    tree["model"]["ignore_merges"] = True
    (tmp_path / "tokenizer.json").write_text(json.dumps(tree), encoding="utf-8")
    config = (source / "tokenizer_config.json").read_bytes()
    (tmp_path / "tokenizer_config.json").write_bytes(config)
    ours, peer = Tokenizer.from_pretrained(tmp_path), whole(tmp_path)
    assert ours.path == "whole: the model treats the ends of a text in a way of its own"
    text = "The red circle, twice:  red circle"
    assert ours.encode(text) == peer.encode(text, add_special_tokens=False).ids


def test_threads_and_tokenizers_keep_their_words_apart() -> None:
    pairs = [(Tokenizer.from_pretrained(folder), whole(folder)) for folder in FOLDERS]

    def work(worker: int) -> None:
        for seed in range(scaled(2_000)):
            text = random_text(random.Random(seed), oracle.WORDS)
            ours, peer = pairs[(seed + worker) % len(pairs)]
            assert ours.encode(text) == peer.encode(text, add_special_tokens=False).ids

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_process_goes_on_with_the_words(folder: Path) -> None:
    ours, peer = Tokenizer.from_pretrained(folder), whole(folder)
    texts = [random_text(random.Random(seed), spelled(peer)) for seed in range(20)]
    expected = [peer.encode(text, add_special_tokens=False).ids for text in texts]
    known = [ours.encode(text) for text in texts[:10]]
    child = os.fork()
    if child == 0:
        os._exit([ours.encode(text) for text in texts] != expected)
    _, status = os.waitpid(child, 0)
    assert (known, os.waitstatus_to_exitcode(status)) == (expected[:10], 0)

"""Calls that would lose data, take all memory or teach a model something else than was meant."""

import json
import os
from pathlib import Path

import pytest

from llava_fast import DataError, LlavaDataset, Tokenizer, encode
from llava_fast.cli import main
from tests import oracle_text as oracle
from tests.test_records import QA, gpt, human, talk

FOLDER = oracle.TOKENIZERS / "sp_legacy"
OURS = Tokenizer.from_pretrained(FOLDER)
PICTURE = talk(human("<image>Q"), gpt("A"), image="i.jpg")
MINE = {"user_prefix": "U: ", "assistant_prefix": "A: ", "stop": "{eos}"}


@pytest.mark.parametrize("option", ["index --check --bad-list", "inspect --html"])
def test_what_is_read_is_not_written(option: str, tmp_path: Path, capsys) -> None:
    command, *rest = option.split()
    data = tmp_path / "one.json"
    data.write_text(json.dumps([talk(*QA)]))
    before = data.read_bytes()
    mixture = tmp_path / "mix.yaml"
    mixture.write_text(f"datasets: [{{json_path: {data}, sampling_strategy: all}}]")
    os.link(data, tmp_path / "same.json")
    os.mkfifo(tmp_path / "pipe")
    for read, written, why in [
        (data, data, "it would be lost"),
        (data, tmp_path / "same.json", "it would be lost"),
        (mixture, data, "it would be lost"),
        (mixture, mixture, "it would be lost"),
        (data, tmp_path / "pipe", "no regular file"),
        (data, "/dev/null", "no regular file"),
    ]:
        words = [command, read, "--tokenizer", FOLDER, *rest, written]
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        assert ended.value.code == 1
        assert why in capsys.readouterr().err
    assert data.read_bytes() == before
    assert Path("/dev/null").is_char_device()


@pytest.mark.parametrize("tokens", [0, -1, 10**9, 2**63, 2**70, 1.5, "5", None, [[1]], [10**9]])
def test_picture_positions(tokens: object) -> None:
    with pytest.raises(ValueError, match="image_tokens"):
        encode(PICTURE, OURS, "v1", tokens)


def test_many_large_pictures_are_refused_before_they_take_memory() -> None:
    many = talk(human("<image>" * 64 + "Q"), gpt("A"), image=["i.jpg"] * 64)
    with pytest.raises(ValueError, match="image_tokens: 1048576 positions"):
        encode(many, OURS, "v1", 1 << 20)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"user_prefix": "<image>U: "}, "it spells `<image>`, which stands for the pictures"),
        ({"system": "<image>"}, "it spells `<image>`"),
        ({"prompt": {"assistant_prefix": "<image>"}}, "it spells `<image>`"),
        ({"stop": "", "prompt": {"stop": "{eos}"}}, "no STOP with this tokenizer"),
        ({"stop": ""}, "`stop` is missing"),
    ],
)
def test_templates_of_ones_own(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encode(talk(*QA), OURS, MINE | change)
    with pytest.raises(ValueError, match=message):
        LlavaDataset([talk(*QA)], None, OURS, template=MINE | change)


def test_a_stop_that_the_tokenizer_does_not_have() -> None:
    chatml = Tokenizer.from_pretrained(oracle.TOKENIZERS / "chatml")
    assert chatml.bos_id is None
    with pytest.raises(ValueError, match="no STOP with this tokenizer"):
        encode(talk(*QA), chatml, MINE | {"stop": "{bos}"})


@pytest.mark.parametrize(("template", "noted"), [("gemma", True), ("v1", False), ("v0", False)])
def test_marks_that_are_no_tokens_are_noted(
    template: str, noted: bool, tmp_path: Path, capsys
) -> None:
    data = tmp_path / "one.json"
    data.write_text(json.dumps([talk(*QA)]))
    for words in (["index", data, "--check"], ["inspect", data]):
        with pytest.raises(SystemExit):
            main([str(word) for word in [*words, "--tokenizer", FOLDER, "--template", template]])
        assert ("is no token of this tokenizer" in capsys.readouterr().err) == noted


def test_tokenizers() -> None:
    with pytest.raises(DataError, match="begins a sequence or ends an answer"):
        Tokenizer.from_pretrained(FOLDER, image_token="</s>")
    with pytest.raises(DataError, match="no such directory"):
        Tokenizer.from_pretrained(FOLDER / "tokenizer.json")
    with pytest.raises(ValueError, match="legacy: got 'yes'"):
        Tokenizer.from_pretrained(FOLDER, legacy="yes")
    with pytest.raises(TypeError, match="tokenizer: got a str"):
        encode(talk(*QA), "x")
    with pytest.raises(TypeError, match="template: got a int"):
        encode(talk(*QA), OURS, 5)
    with pytest.raises(ValueError, match="max_length: got -1"):
        encode(talk(*QA), OURS, max_length=-1)
    with pytest.raises(DataError, match="record: no JSON"):
        encode({"conversations": [human(b"Q")]}, OURS)
    with pytest.raises(DataError, match="got an empty path"):
        encode(PICTURE | {"image": ""}, OURS)

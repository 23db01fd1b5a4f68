"""Which records are taken, which are repaired as LLaVA repairs them, and which are refused."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llava_fast import DataError, Tokenizer, encode
from tests import oracle_text as oracle

OURS = Tokenizer.from_pretrained(oracle.TOKENIZERS / "sp_legacy")


def human(text: object) -> dict:
    return {"from": "human", "value": text}


def gpt(text: object) -> dict:
    return {"from": "gpt", "value": text}


def shown(record: dict, template: str = "v1_short") -> str:
    segments = encode(record, OURS, template, 1, 1 << 20).segments
    return "".join(segment.text for segment in segments[1:])


def talk(*turns: object, **fields: object) -> dict:
    return {"id": "x", "conversations": list(turns), **fields}


QA = [human("Q"), gpt("A")]
REFUSED = {
    "missing field `conversations`": {"id": "x"},
    "bad field `conversations`: got a string, expected a list of turns": {"conversations": "Q"},
    "empty conversation": talk(),
    "bad turn 0: got a string, expected an object": talk("Q", gpt("A")),
    "bad turn 1: missing `from`": talk(human("Q"), {"value": "A"}),
    "bad turn 1: missing `value`": talk(human("Q"), {"from": "gpt"}),
    "bad turn 1: `value`: got null, expected text": talk(human("Q"), gpt(None)),
    "bad turn 1: `value`: got a number, expected text": talk(human("Q"), gpt(3)),
    "bad turn 1: unknown role: got `critic`": talk(human("Q"), {"from": "critic", "value": "A"}),
    "bad turn 2: a `system` turn can only come first": talk(*QA, {"from": "system", "value": ""}),
    "bad turn 1: the same role twice in a row": talk(human("Q"), human("Q")),
    "bad turn 2: the same role twice in a row": talk(*QA, gpt("A")),
    "bad turn 0: an answer before the first question": talk(gpt("<image>"), *QA, image="i.jpg"),
    "empty answer in turn 1": talk(human("Q"), gpt("")),
    "empty answer in turn 3": talk(*QA, human("Q"), gpt(" \n\x1c")),
    "1 `<image>` tags for 0 images": talk(human("<image>Q"), gpt("A")),
    "0 `<image>` tags for 1 images": talk(*QA, image="i.jpg"),
    "2 `<image>` tags for 1 images": talk(human("<image><image>"), gpt("A"), image="i.jpg"),
    "2 `<image>` tags for 1 images$": talk(human("<ima<image>ge>"), gpt("A"), image="i.jpg"),
    "1 `<image>` tags for 2 images": talk(human("<image>"), gpt("A"), image=["i.jpg", "j.jpg"]),
    "bad field `image`: got a number, expected a path or a list": talk(*QA, image=[3]),
    "bad field `image`: got a boolean": talk(*QA, image=False),
    "bad field `id`: got a list, expected a string or a number": {**talk(*QA), "id": []},
    "no supervised token": talk(human("Q")),
    "malformed record: .*hex escape": talk(human("\ud800"), gpt("A")),
}


@pytest.mark.parametrize(("message", "record"), REFUSED.items())
def test_a_refused_record_says_why(message: str, record: dict) -> None:
    with pytest.raises(DataError, match=message):
        encode(record, OURS)


def test_duplicate_keys_are_refused() -> None:
    from llava_fast import _rust

    twice = '{"image": "a", "image": "b", "conversations": []}'
    with pytest.raises(DataError, match="the key `image` comes twice"):
        _rust.encode(twice, OURS._core, "v1", 1, 99, (False, False), False)


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (talk(*QA), "USER: Q ASSISTANT: A</s>"),
        (talk(*QA, id=7, model="", extra=[{"a": 1}]), "USER: Q ASSISTANT: A</s>"),
        ({"conversatons": QA}, "USER: Q ASSISTANT: A</s>"),
        (talk(*QA, image=None), "USER: Q ASSISTANT: A</s>"),
        (talk(human(""), gpt("A")), "USER:  ASSISTANT: A</s>"),
        (talk(*QA, human("open")), "USER: Q ASSISTANT: A</s>"),
        (talk(gpt("Hello"), *QA), "USER: Q ASSISTANT: A</s>"),
        (talk({"from": "system", "value": "Be kind."}, *QA), "Be kind. USER: Q ASSISTANT: A</s>"),
        (talk(human("Q\n<image>"), gpt("A"), image="i"), "USER: <image>\nQ ASSISTANT: A</s>"),
        (talk(human(" <image> "), gpt("A"), image="i"), "USER: <image> ASSISTANT: A</s>"),
        (
            talk(human("<image> or <image>?"), gpt("A"), image=["i", "j"]),
            "USER: <image> or <image>? ASSISTANT: A</s>",
        ),
        (talk(human("Q"), gpt("<image></s>")), "USER: Q ASSISTANT: <image></s></s>"),
    ],
)
def test_a_taken_record_reads_as_expected(record: dict, expected: str) -> None:
    assert shown(record) == expected


def test_plain_takes_one_caption_with_an_image() -> None:
    caption = talk(human("Describe it.\n<image>"), gpt("A cat."), image="i.jpg")
    assert shown(caption, "plain") == "<image>A cat.\n"
    for record in (talk(*QA), talk(human("<image>"), gpt("A"), *QA, image="i.jpg")):
        with pytest.raises(DataError, match="template `plain`: expected"):
            encode(record, OURS, "plain")
    caption["conversations"].insert(0, {"from": "system", "value": "S"})
    with pytest.raises(DataError, match="template `plain`: no place for a system text"):
        encode(caption, OURS, "plain")


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="template: got `v2`, expected one of `plain`, `v0`, `v1`"):
        encode(talk(*QA), OURS, "v2")
    with pytest.raises(ValueError, match="got 1 numbers, expected one for each of 0 images"):
        encode(talk(*QA), OURS, "v1", [3])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
TURN = st.fixed_dictionaries(
    {},
    optional={
        "from": st.sampled_from(["human", "gpt", "system", "user"]) | JSON,
        "value": st.sampled_from(["", "<image>", "Q", "<image>\nQ <image>"]) | st.text() | JSON,
    },
)
RECORD = st.fixed_dictionaries(
    {},
    optional={
        "id": JSON,
        "image": st.just("i.jpg") | st.lists(st.just("i.jpg"), max_size=3) | JSON,
        "conversations": st.lists(TURN | JSON, max_size=5) | JSON,
        "category": JSON,
    },
)


@given(JSON | RECORD)
def test_any_json_is_a_sample_or_a_data_error(record: dict) -> None:
    try:
        sample = encode(record, OURS, "v1", 2, 1 << 20)
    except DataError:
        return
    assert (sample.labels != -100).any()
    targets = sample.labels != -100
    assert (sample.labels[targets] == sample.input_ids[targets]).all()
    images = record.get("image")
    count = 1 if isinstance(images, str) else len(images or [])
    assert len(sample.image_starts) == count
    assert (sample.input_ids == OURS.image_id).sum() == 2 * count


LLAVA_JSON = {
    "empty_gpt_value": "empty answer in turn 1",
    "empty_gpt_value_only_turn": "empty answer in turn 1",
    "starts_with_gpt_tag_lost": "bad turn 0: an answer before the first question",
    "two_humans_in_a_row": "bad turn 1: the same role twice",
    "two_gpts_in_a_row": "bad turn 2: the same role twice",
    "unknown_role": "bad turn 1: unknown role: got `critic`",
    "image_tag_in_text_only": "1 `<image>` tags for 0 images",
    "two_tags_one_image": "2 `<image>` tags for 1 images",
    "three_tags_over_turns_one_image": "3 `<image>` tags for 1 images",
    "image_key_no_tag": "0 `<image>` tags for 1 images",
    "int_value": "bad turn 1: `value`: got a number",
    "null_value": "bad turn 1: `value`: got null",
    "missing_value": "bad turn 1: missing `value`",
    "missing_from": "bad turn 1: missing `from`",
    "empty_conversations": "empty conversation",
    "no_conversations_key": "missing field `conversations`",
    "tag_beyond_max_length": "the first turn needs",
    "answer_beyond_max_length": "the first turn needs",
    "zero_length_text": "empty answer in turn 1",
}


def test_the_dirty_records(fixtures: Path) -> None:
    folder = fixtures / "llava_json"
    records = json.loads((folder / "dirty.json").read_text(encoding="utf-8"))
    cases = json.loads((folder / "dirty_expect.json").read_text(encoding="utf-8"))
    for record, case in zip(records, cases, strict=True):
        expected = LLAVA_JSON.get(case["case"])
        if expected:
            with pytest.raises(DataError, match=expected):
                encode(record, OURS)
            continue
        sample = encode(record, OURS)
        turns = record.get("conversations") or record["conversatons"]
        answers = [turn["value"] for turn in turns if turn["from"] == "gpt"]
        taught = "".join(segment.text for segment in sample.segments if segment.supervised)
        which = 0 if case["case"] == "many_turns_beyond_max_length" else -1
        assert answers[which] in taught, case["case"]
        ids = sample.input_ids.tolist()
        assert ids.count(OURS.bos_id) == 1
        assert ids.count(OURS.eos_id) == sum(segment.kind == "stop" for segment in sample.segments)
        assert ids.count(OURS.image_id) == 576 * len(sample.image_starts)
        assert len(ids) <= 2048


def test_a_lone_surrogate_is_refused(fixtures: Path) -> None:
    file = fixtures / "llava_json" / "dirty_lone_surrogate.json"
    records = json.loads(file.read_text(encoding="utf-8"))
    with pytest.raises(DataError, match="hex escape"):
        encode(records[1], OURS)

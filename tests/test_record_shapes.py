"""Records of other shapes than LLaVA's, and the two ways to read a record that is not as it should
be."""

import json
import random

import pytest

from llava_fast import DataError, LlavaDataset, Tokenizer, encode
from tests import oracle_text as oracle
from tests.scale import scaled
from tests.test_records import QA, gpt, human, talk

OURS = Tokenizer.from_pretrained(oracle.TOKENIZERS / "sp_legacy")


def shown(record: dict, **rules: object) -> str:
    segments = encode(record, OURS, "v1_short", 1, 1 << 20, **rules).segments
    return "".join(segment.text for segment in segments[1:])


def said(role: str, content: object) -> dict:
    return {"role": role, "content": content}


ONE = "USER: Q ASSISTANT: A</s>"
PICTURE = {"type": "image"}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"messages": [said("user", "Q"), said("assistant", "A")]}, ONE),
        ({"conversations": [said("user", "Q"), said("assistant", "A")]}, ONE),
        ({"conversations": [said("human", "Q"), said("gpt", "A")]}, ONE),
        ({"items": [human("Q"), {"from": "chatgpt", "value": "A"}]}, ONE),
        ({"conversations": [human("Q"), {"from": "bing", "value": "A"}]}, ONE),
        ({"inputs": "Q", "targets": "A", "task": "t"}, ONE),
        (
            {
                "inputs": [1],
                "inputs_pretokenized": "Q",
                "targets": [2],
                "targets_pretokenized": "A",
            },
            ONE,
        ),
        ({"prompt": "Q", "completion": "A<|endoftext|>", "input": "x"}, ONE),
        ({"conversations": None, "image": None, "images": [], "messages": QA}, ONE),
        ({"instruction": "Q", "output": "A", "items": "x", "conversations": None}, ONE),
        ({"instruction": "Q", "input": "", "output": "A"}, ONE),
        ({"instruction": "Q", "output": "A"}, ONE),
        ({"instruction": "Q", "input": "I", "output": "A"}, "USER: Q\nI ASSISTANT: A</s>"),
        (
            {
                "id": "seed_task_0",
                "instruction": "Q",
                "instances": [{"input": "", "output": "A"}, {"input": "I", "output": "B"}],
            },
            ONE + "USER: Q\nI ASSISTANT: B</s>",
        ),
        (
            {
                "images": ["i.jpg"],
                "messages": [
                    said("system", [{"type": "text", "text": "S"}]),
                    said("user", [PICTURE, {"type": "text", "text": "Q"}]),
                    said("assistant", [{"type": "text", "text": "A"}]),
                ],
            },
            "S USER: <image>\nQ ASSISTANT: A</s>",
        ),
        (
            {
                "messages": [
                    said(
                        "user",
                        [{"type": "image", "path": "i"}, "or", {"type": "image", "url": "j"}],
                    ),
                    said("assistant", "A"),
                ]
            },
            "USER: <image>or<image> ASSISTANT: A</s>",
        ),
    ],
)
def test_other_shapes(record: dict, expected: str) -> None:
    assert shown(record) == expected


CODES = {
    "missing_field": [{"instruction": "Q"}, {"id": "x"}],
    "bad_field": [{"inputs": ["Q"], "targets": "A"}, talk(*QA, image=3), {"messages": "Q"}],
    "ambiguous_record": [
        talk(*QA, image="i", images=["i"]),
        talk(*QA, messages=QA),
        talk(human([PICTURE | {"path": "j"}]), gpt("A"), image="i"),
    ],
    "empty_conversation": [talk(), {"instruction": "Q", "instances": []}],
    "empty_answer": [{"inputs": "Q", "targets": " "}, talk(human("Q"), gpt(""))],
    "nothing_supervised": [talk(human("Q"))],
    "turn_not_an_object": [talk("Q"), {"instruction": "Q", "instances": [3]}],
    "missing_role": [talk({"value": "Q"})],
    "missing_text": [talk({"from": "human"})],
    "null_text": [talk(human(None))],
    "not_text": [talk(human(3)), talk(human([4]))],
    "unknown_role": [talk({"from": "critic", "value": ""})],
    "late_system": [talk(*QA, {"from": "system", "value": ""})],
    "repeated_role": [talk(human("Q"), human("Q")), talk(*QA, gpt("A"))],
    "lost_image_tag": [
        talk(gpt("<image>"), *QA, image="i.jpg"),
        talk(*QA, human("<image>"), image="i.jpg"),
    ],
    "bad_part": [
        {"messages": [said("user", "Q"), said("assistant", [PICTURE])]},
        talk(human([{"type": "video"}])),
    ],
    "image_tag_count": [talk(human("<image>"), gpt("A")), talk(*QA, image="i.jpg")],
    "too_long": [talk(human("Q " * 3000), gpt("A"))],
    "too_deep": [talk(*QA, extra=json.loads("[" * 70 + "]" * 70))],
    "bad_unicode": [talk(human("\ud800"), gpt("A"))],
    "record_too_large": [talk(human("Q" * (16 << 20)), gpt("A"))],
    "malformed_record": [3, [1]],
}


def test_each_fault_has_its_code_and_leaves_the_others_alone() -> None:
    good = talk(*QA)
    bad = [(code, record) for code, records in CODES.items() for record in records]
    records = [one for _, record in bad for one in (record, good)]
    data = LlavaDataset(records, None, OURS, on_bad_sample="skip")
    found = {sample.record: sample for sample in data.bad}
    for place, (code, _) in enumerate(bad):
        sample = found.pop(2 * place)
        assert sample.code == code, sample
        assert sample.message.startswith(f"record {2 * place} (id ")
    assert not found
    assert (data.lengths[1::2] > 0).all()


def test_what_is_put_right_is_counted() -> None:
    records = [
        talk(*QA),
        {"conversatons": QA},
        {"prompt": "Q", "completion": "A<|endoftext|>"},
        talk(*QA, human("open")),
        talk(gpt("Hello"), *QA, human("open")),
        talk(*QA, *[human("Q " * 50), gpt("A")] * 9),
    ]
    data = LlavaDataset(records, None, OURS, template="v1_short", max_length=100)
    assert data.repairs == {
        "misspelled_key": 1,
        "stripped_end_mark": 1,
        "dropped_open_question": 2,
        "dropped_leading_answer": 1,
        "shortened": 1,
    }


def test_a_leading_answer_can_stay() -> None:
    record = talk({"from": "system", "value": "S"}, gpt("Hello"), *QA)
    assert shown(record) == "S USER: Q ASSISTANT: A</s>"
    kept = shown(record, keep_leading_answer=True)
    assert kept == "S ASSISTANT: Hello</s>USER: Q ASSISTANT: A</s>"
    assert shown(talk(gpt("Hello")), keep_leading_answer=True) == "ASSISTANT: Hello</s>"
    segments = encode(record, OURS, "llama_2", keep_leading_answer=True).segments
    text = "".join(segment.text for segment in segments)
    assert text == "<s><<SYS>>\nS\n<</SYS>>\n\n Hello </s><s>[INST] Q [/INST] A </s>"


def test_reading_as_llava_does() -> None:
    unused = talk(*QA, image="i.jpg")
    twice = talk(human("<image>\n<image>\nQ"), gpt("A"), image="i.jpg")
    assert shown(unused, compat="llava") == ONE
    assert shown(twice, compat="llava") == "USER: <image>\nQ ASSISTANT: A</s>"
    data = LlavaDataset([unused, twice], None, OURS, compat="llava")
    assert data.repairs == {"unused_image": 1, "collapsed_tags": 1}
    assert data.total_images == 1
    several = talk(human("<image><image>"), gpt("A"), image=["i", "j"])
    assert shown(several, compat="llava") == "USER: <image><image> ASSISTANT: A</s>"
    with pytest.raises(DataError, match="1 `<image>` tags for 0 images"):
        encode(talk(human("<image>"), gpt("A")), OURS, compat="llava")
    with pytest.raises(ValueError, match="compat: got `hf`, expected `strict` or `llava`"):
        encode(unused, OURS, compat="hf")


def test_mutated_records_are_samples_or_typed_errors() -> None:
    """Bytes flipped, cut out, doubled: what still is JSON may still be a record."""
    from llava_fast import _rust

    seeds = [json.dumps(record) for records in CODES.values() for record in records]
    seeds = [seed for seed in seeds if len(seed) < 2000] + [json.dumps(talk(*QA))] * 20
    taken = 0
    for number in range(scaled(5_000)):
        rng = random.Random(number)
        text = bytearray(rng.choice(seeds).encode())
        for _ in range(rng.randint(0, 3)):
            place = rng.randrange(max(len(text), 1))
            kind = rng.randrange(3)
            if kind == 0:
                text[place : place + 1] = bytes([rng.choice(b'{}[]":,\\u0d8\x00 tfn-e9')])
            elif kind == 1:
                del text[place : place + rng.randint(1, 9)]
            else:
                text[place:place] = text[place : place + rng.randint(1, 30)]
        try:
            written = text.decode(errors="replace")
            _rust.encode(written, OURS._core, "v1", 1, 2048, (False, False), False)
        except DataError:
            continue
        taken += 1
    assert taken

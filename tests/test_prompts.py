"""Generation prompts: the start of the conversation as it was trained on."""

import json

import pytest

from llava_fast import DataError, Tokenizer, encode
from llava_fast.text import encode_prompt
from tests import oracle_text as oracle
from tests.oracle_layouts import CHAT, IMAGE
from tests.scale import scaled

ROLES = {"system": "system", "human": "user", "gpt": "assistant"}
TOKENIZERS = {name: Tokenizer.from_pretrained(oracle.TOKENIZERS / name) for name in oracle.FAMILIES}
TRAINED_ALIKE = [template for template in oracle.TEMPLATES if template != "v0"]


def content(turn: dict) -> str:
    """The text with its pictures where training puts them."""
    if turn["from"] != "human":
        return turn["value"]
    return oracle.normalise(turn["value"]).replace(IMAGE, "<image>")


def joined(segments: list) -> str:
    return "".join(segment.text for segment in segments)


@pytest.mark.parametrize("family", oracle.FAMILIES)
@pytest.mark.parametrize("template", TRAINED_ALIKE)
def test_a_prompt_is_the_start_of_its_training_conversation(family: str, template: str) -> None:
    ours = TOKENIZERS[family]
    for seed in range(scaled(2_000)):
        record, image_tokens = oracle.draw(seed, template)
        *turns, answer = record["conversations"]
        trained = encode(record, ours, template, image_tokens, 1 << 20)
        messages = [{"role": ROLES[turn["from"]], "content": content(turn)} for turn in turns]
        prompt = encode_prompt(messages, ours, template, image_tokens)
        assert joined(trained.segments).startswith(joined(prompt.segments)), f"seed {seed}"
        assert prompt.image_starts.tolist() == trained.image_starts.tolist(), f"seed {seed}"
        # The newline before an answer may be one token with white space the answer begins with.
        if answer["value"][0].isspace() and joined(prompt.segments).endswith("\n"):
            continue
        length = len(prompt.input_ids)
        assert prompt.input_ids.tolist() == trained.input_ids[:length].tolist(), f"seed {seed}"
        assert prompt.labels.tolist() == trained.labels[:length].tolist(), f"seed {seed}"
        assert prompt.labels[-1] == -100, f"seed {seed}"


@pytest.mark.parametrize(
    ("template", "ending"),
    [
        ("v1", " ASSISTANT:"),
        ("llama_2", " [/INST]"),
        ("mistral_instruct", " [/INST]"),
        ("mpt", "<|im_end|><|im_start|>assistant\n"),
        ("qwen_2", "<|im_end|>\n<|im_start|>assistant\n"),
        ("llama_3", "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"),
        ("gemma", "<end_of_turn>\n<start_of_turn>model\n"),
        ("plain", ""),
    ],
)
def test_what_a_prompt_ends_with(template: str, ending: str) -> None:
    messages = [{"role": "user", "content": "Who?"}]
    for ours in TOKENIZERS.values():
        segments = encode_prompt(messages, ours, template, [1]).segments
        tail = "" if template == "plain" else f"Who?{ending}"
        assert joined(segments).endswith(tail)
        assert (segments[-1].kind == "image") == (template == "plain")


TALK = [
    {"role": "user", "content": "What?"},
    {"role": "assistant", "content": "A cat."},
    {"role": "user", "content": "Sure?"},
]


def test_v0_asks_otherwise_than_it_was_trained() -> None:
    _, *segments = encode_prompt(TALK, TOKENIZERS["sp_legacy"], "v0", [2]).segments
    expected = CHAT.format("human") + "###Human: <image>\nWhat?###Assistant: A cat.###"
    assert joined(segments) == expected + "Human: Sure?###Assistant:"


def test_pictures_of_a_prompt() -> None:
    ours = TOKENIZERS["sp_legacy"]
    caption = encode_prompt([TALK[0]], ours, "plain", [4])
    assert caption.input_ids.tolist() == [ours.bos_id, *[ours.image_id] * 4]
    in_place = [{"role": "user", "content": "Is <image> older than <image>?"}]
    sample = encode_prompt(in_place, ours, "v1_short", [1, 2])
    kinds = [segment.kind for segment in sample.segments if segment.kind not in ("mark", "token")]
    assert kinds == ["text", "image", "text", "image", "text"]


@pytest.mark.parametrize("family", oracle.FAMILIES)
@pytest.mark.parametrize("template", TRAINED_ALIKE)
def test_an_answer_in_a_prompt_is_text(family: str, template: str) -> None:
    """What a model said before cannot end its turn or open another."""
    if template == "plain":
        return
    ours, structure = TOKENIZERS[family], oracle.structure(family)
    hostile = " ".join(oracle.CONTROL)
    talk = [TALK[0], {"role": "assistant", "content": f"{hostile}."}, TALK[2]]
    prompt = encode_prompt(talk, ours, template)
    texts = [segment.text for segment in prompt.segments if segment.kind == "text"]
    assert f"{hostile}." in texts
    tree = json.loads((oracle.TOKENIZERS / family / "tokenizer.json").read_text(encoding="utf-8"))
    control = {token["id"] for token in tree["added_tokens"]}
    plain = encode_prompt([TALK[0], TALK[1], TALK[2]], ours, template)
    found, expected = (
        [token for token in sample.input_ids.tolist() if token in control]
        for sample in (prompt, plain)
    )
    assert found == expected
    assert structure.image not in [s.text for s in prompt.segments if s.kind == "image"]


@pytest.mark.parametrize(
    ("messages", "images", "message"),
    [
        ([], [], "a user turn at the end"),
        ([{"role": "assistant", "content": "Hi"}], [], "turn 0: got assistant, expected user"),
        ([{"role": "tool", "content": "Hi"}], [], "turn 0: unknown role: got `tool`"),
        ([{"role": "user", "content": "<image>"}], [], "1 `<image>` tags for 0 images"),
        ([{"role": "user", "content": "<image><image>"}], [1], "2 `<image>` tags for 1 images"),
    ],
)
def test_bad_prompts(messages: list, images: list[int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        encode_prompt(messages, TOKENIZERS["sp_legacy"], "v1", images)

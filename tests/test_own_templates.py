"""Templates of one's own: a plain object, held against a second reading of its description."""

import json
import random
from pathlib import Path

import pytest

from llava_fast import DataError, Tokenizer, encode
from llava_fast.text import encode_prompt
from tests import oracle_text as oracle
from tests.dressed import CONTROL, dress
from tests.oracle_layouts import BOS, EOS, Parts, mark, normalise
from tests.scale import scaled

ALPACA = {
    "name": "alpaca",
    "system": "Below is an instruction. Write a response.",
    "system_suffix": "\n\n",
    "user_prefix": "### Instruction:\n",
    "user_suffix": "\n\n",
    "assistant_prefix": "### Response:",
    "answer_prefix": "\n",
    "stop": "{eos}",
}
AFFIXES = """system_prefix system_suffix separator user_prefix user_suffix assistant_prefix
 answer_prefix answer_suffix stop assistant_suffix end""".split()
LEARNED = ("answer_prefix", "answer_suffix", "stop")
TEXTS = [
    "Q: ",
    " A:",
    " ",
    "\n",
    "\n\n",
    "### ",
    "[END]",
    "{bos}",
    "{eos}",
    "</s>",
    "<s>",
    *CONTROL,
]


def written(affix: object, learned: bool = False) -> Parts:
    """Parts of an affix: a string, an object that says what it is for, or a list of those."""
    if isinstance(affix, list):
        return [part for one in affix for part in written(one, learned)]
    if isinstance(affix, dict):
        [affix] = affix.values()
        learned = True
    for name in [*CONTROL, "</s>", "<s>"]:
        affix = affix.replace(name, mark(name))
    return [(affix.replace("{bos}", BOS).replace("{eos}", EOS), learned)]


def rendered(record: dict, template: dict) -> Parts:
    """The conversation in a template of one's own."""
    put = {name: written(template.get(name, ""), name in LEARNED) for name in AFFIXES}
    turns = [turn["value"] for turn in record["conversations"]]
    if template.get("trim"):
        turns = [turn.strip() for turn in turns]
    system = written(template.get("system", ""))
    if record["conversations"][0]["from"] == "system":
        system = [(turns.pop(0), False)]
    if any(text for text, _ in system):
        system = [*put["system_prefix"], *system, *put["system_suffix"]]
    inside = template.get("system_in_user", False)
    parts = [] if inside else list(system)
    for index, (question, answer) in enumerate(zip(turns[::2], turns[1::2], strict=True)):
        parts += put["separator"] if index else []
        parts += put["user_prefix"]
        parts += system if inside and index == 0 else []
        parts += [(normalise(question), False), *put["user_suffix"], *put["assistant_prefix"]]
        parts += [*put["answer_prefix"], (answer, True), *put["answer_suffix"], *put["stop"]]
        parts += put["assistant_suffix"]
    return [*parts, *put["end"]]


def random_affix(rng: random.Random) -> object:
    text = "".join(rng.choices(TEXTS, k=rng.randrange(3)))
    kinds = [text, text, {"learn": text}, [text, {"learn": rng.choice(TEXTS)}, rng.choice(TEXTS)]]
    return rng.choice(kinds)


def random_template(rng: random.Random) -> dict:
    template = {name: random_affix(rng) for name in AFFIXES if rng.random() < 0.7}
    # A tokenizer without BOS has no such token, and a template needs a STOP.
    template["stop"] = rng.choice([text for text in TEXTS if text != "{bos}"])
    for switch in ("trim", "system_in_user"):
        if rng.random() < 0.3:
            template[switch] = True
    if rng.random() < 0.6:
        template["system"] = rng.choice(["Be kind.", "<|im_start|>system\nBe kind.", " "])
    return template


@pytest.fixture(scope="module", params=[*oracle.FAMILIES, "all_tokens"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each tokenizer, and one that has every control token."""
    if request.param == "all_tokens":
        return dress("sp_legacy", tmp_path_factory.mktemp("dressed"))
    return oracle.TOKENIZERS / request.param


def test_any_template_is_what_its_description_says(folder: Path) -> None:
    ours, structure = Tokenizer.from_pretrained(folder), oracle.structure_of(folder)
    for seed in range(scaled(20_000)):
        rng = random.Random(seed)
        template = random_template(rng)
        record = oracle.random_record(rng, "v1")
        image_tokens = [rng.randint(1, 5) for _ in record["image"]]
        expected = structure.encode(rendered(record, template), image_tokens)
        sample = encode(record, ours, template, image_tokens, 1 << 20)
        assert oracle.lists(sample) == expected, f"seed {seed}: {template}"


def test_control_tokens_of_a_template_are_those_of_the_tokenizer(tmp_path: Path) -> None:
    """A tokenizer that has a template's tokens writes them as ids, others as text."""
    for family in oracle.FAMILIES:
        folder = dress(family, tmp_path / family)
        ours, structure = Tokenizer.from_pretrained(folder), oracle.structure_of(folder)
        for template in oracle.TEMPLATES:
            for seed in range(scaled(2_000)):
                record, image_tokens = oracle.draw(seed, template)
                parts = oracle.rendered(record, template)
                sample = encode(record, ours, template, image_tokens, 1 << 20)
                expected = structure.encode(parts, image_tokens)
                assert oracle.lists(sample) == expected, f"seed {seed}"


def test_an_object_and_its_file_are_the_same(tmp_path: Path) -> None:
    ours = Tokenizer.from_pretrained(oracle.TOKENIZERS / "sp_legacy")
    file = tmp_path / "alpaca.json"
    file.write_text(json.dumps(ALPACA), encoding="utf-8")
    turns = [{"from": "human", "value": "Name a colour."}, {"from": "gpt", "value": "Red."}]
    samples = [
        encode({"conversations": turns}, ours, template) for template in (ALPACA, file, str(file))
    ]
    text = "".join(segment.text for segment in samples[0].segments)
    assert text == (
        "<s>Below is an instruction. Write a response.\n\n### Instruction:\nName a colour.\n\n"
        "### Response:\nRed.</s>"
    )
    learned = "".join(segment.text for segment in samples[0].segments if segment.supervised)
    assert learned == "\nRed.</s>"
    for sample in samples[1:]:
        assert sample.input_ids.tolist() == samples[0].input_ids.tolist()
        assert sample.labels.tolist() == samples[0].labels.tolist()
    prompt = encode_prompt([{"role": "user", "content": "Name a colour."}], ours, ALPACA)
    assert "".join(segment.text for segment in prompt.segments) == text.removesuffix("\nRed.</s>")


@pytest.mark.parametrize("template", ["gemma", {**ALPACA, "system_turn": False}])
def test_a_system_turn_where_there_is_no_place_is_refused(template: object) -> None:
    ours = Tokenizer.from_pretrained(oracle.TOKENIZERS / "sp_legacy")
    turns = [
        {"from": "system", "value": "Be kind."},
        {"from": "human", "value": "Hi"},
        {"from": "gpt", "value": "Hello."},
    ]
    expected = "no place for a system text"
    with pytest.raises(DataError, match=expected):
        encode({"conversations": turns}, ours, template)
    messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}]
    with pytest.raises(DataError, match=expected):
        encode_prompt(messages, ours, template)

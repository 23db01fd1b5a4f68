"""Which of our templates a model's own chat template is, if any.

Three short chats are rendered by transformers and by each of our templates, once to the last answer
and once up to it, and compared in text and in ids.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from llava_fast.printable import escaped
from llava_fast.template import Template
from llava_fast.text import Sample, encode, encode_prompt, templates
from llava_fast.tokenizer import Tokenizer

QUESTION, ANSWER, SYSTEM = "What is this?", "A cat.", "Be brief."
AGAIN, INDEED = "Sure?", "Yes, it is."
_TAG = "<image>\n"
# Characters before and after a difference.
_SHOWN = 24


class Probe(NamedTuple):
    """A chat as messages; images: how many pictures it has."""

    name: str
    messages: list[dict[str, str]]
    images: int = 0


def _rounds(*texts: str) -> list[dict[str, str]]:
    roles = ("user", "assistant")
    return [{"role": roles[at % 2], "content": text} for at, text in enumerate(texts)]


PROBES = (
    Probe("one round", _rounds(QUESTION, ANSWER)),
    Probe(
        "system, two rounds",
        [{"role": "system", "content": SYSTEM}, *_rounds(QUESTION, ANSWER, AGAIN, INDEED)],
    ),
    Probe("picture", _rounds(_TAG + QUESTION, ANSWER), 1),
)


class Rendered(NamedTuple):
    """A chat as text and ids. The text is without BOS, the ids are with it."""

    text: str
    ids: list[int]


class Case(NamedTuple):
    """A probe with its last answer (`whole`) or up to it, as transformers renders it."""

    probe: Probe
    whole: bool
    theirs: Rendered

    @property
    def name(self) -> str:
        """In words."""
        return self.probe.name if self.whole else f"{self.probe.name}, prompt"


class Refusal(NamedTuple):
    """A probe that a chat template has no place for, and its words."""

    probe: str
    reason: str


def questions(image_token: str) -> list[tuple[list[dict[str, Any]], bool]]:
    """What transformers is asked to render: each probe whole and up to its last answer, each with
    texts as texts and as lists of parts, since chat templates know one form or the other.

    image_token: what stands for a picture in a text.
    """
    return [
        (messages if whole else messages[:-1], not whole)
        for probe in PROBES
        for whole in (True, False)
        for messages in (_in_texts(probe.messages, image_token), _in_parts(probe.messages))
    ]


def sorted_out(answers: list[dict[str, Any]]) -> tuple[list[Case], list[Refusal]]:
    """The answers to `questions`, of the two forms the one that their template knows."""
    found = iter(zip(answers[0::2], answers[1::2], strict=True))
    cases, refusals = [], []
    for probe in PROBES:
        for whole in (True, False):
            answer = _known(probe, *next(found))
            if "error" in answer:
                refusals.append(Refusal(probe.name, answer["error"]))
            else:
                cases.append(Case(probe, whole, Rendered(answer["text"], answer["ids"])))
    return cases, list(dict.fromkeys(refusals))


def _known(probe: Probe, plain: dict[str, Any], parts: dict[str, Any]) -> dict[str, Any]:
    """A form that a template does not know comes out as a Python list, or not at all."""
    both = (parts, plain) if probe.images else (plain, parts)
    good = (one for one in both if QUESTION in one.get("text", "") and "'type'" not in one["text"])
    return next(good, plain)


def _in_texts(messages: list[dict[str, str]], image_token: str) -> list[dict[str, Any]]:
    return [
        message | {"content": message["content"].replace("<image>", image_token)}
        for message in messages
    ]


def _in_parts(messages: list[dict[str, str]]) -> list[dict[str, Any]]:
    """Contents as lists of pictures and texts."""
    turns = []
    for message in messages:
        picture = message["content"].startswith(_TAG)
        parts = [{"type": "image"}] if picture else []
        parts.append({"type": "text", "text": message["content"].removeprefix(_TAG)})
        turns.append({"role": message["role"], "content": parts})
    return turns


class Ours(NamedTuple):
    """A template of ours; bare: with an empty system text where the chat brings none."""

    template: Template
    bare: bool = False

    def __str__(self) -> str:
        """For a message."""
        return f"`{self.template}`{' without its system text' if self.bare else ''}"


def ours(case: Case, tokenizer: Tokenizer, own: Ours) -> Rendered | None:
    """The same by one of our templates, None if it has no place for it."""
    messages, images = case.probe.messages, [1] * case.probe.images
    if own.bare and messages[0]["role"] != "system":
        messages = [{"role": "system", "content": ""}, *messages]
    try:
        if case.whole:
            record = _record(messages, case.probe.images)
            sample = encode(record, tokenizer, own.template, images, 1 << 20)
        else:
            sample = encode_prompt(messages[:-1], tokenizer, own.template, images)
    except ValueError:
        return None
    return Rendered(_text(sample, tokenizer), sample.input_ids.tolist())


def _record(messages: list[dict[str, str]], images: int) -> dict[str, Any]:
    names = {"user": "human", "assistant": "gpt", "system": "system"}
    turns = [{"from": names[one["role"]], "value": one["content"]} for one in messages]
    return {"id": "probe", "image": ["probe.png"] * images, "conversations": turns}


def _text(sample: Sample, tokenizer: Tokenizer) -> str:
    """What the segments spell, without BOS."""
    first = sample.segments[:1]
    bos = bool(first) and first[0].kind == "token" and sample.input_ids[0] == tokenizer.bos_id
    return "".join(segment.text for segment in sample.segments[1 if bos else 0 :])


class Match(NamedTuple):
    """How far one of our templates agrees: cases equal in ids, characters in common.

    texts: whether the texts of all cases are equal. prompts: whether all cases that the model is to
    answer are equal in ids.
    """

    equal: int
    characters: int
    own: Ours
    texts: bool
    prompts: bool


def matches(cases: list[Case], tokenizer: Tokenizer) -> list[Match]:
    """All of our templates, with and without their system texts, the best first; of equals the
    first in the table."""
    candidates = [Ours(name, bare) for bare in (False, True) for name in templates()]
    found = [_match(cases, tokenizer, own) for own in candidates]
    return sorted(found, key=lambda match: match[:2], reverse=True)


def _match(cases: list[Case], tokenizer: Tokenizer, own: Ours) -> Match:
    equal, characters, texts, prompts = 0, 0, True, True
    for case in cases:
        mine = ours(case, tokenizer, own) or Rendered("", [])
        same = mine.ids == case.theirs.ids
        equal += same
        texts &= mine.text == case.theirs.text
        prompts &= same or case.whole
        characters += _common(mine.text, case.theirs.text)
    return Match(equal, characters, own, texts, prompts)


def differences(cases: list[Case], tokenizer: Tokenizer, own: Ours) -> Iterator[str]:
    """One line for each case in which that template of ours differs: where it begins to."""
    for case in cases:
        mine = ours(case, tokenizer, own)
        if mine is None:
            yield f"{case.name}: ours has no place for it, theirs `{escaped(case.theirs.text)}`"
        elif mine.ids != case.theirs.ids:
            yield f"{case.name}: {difference(case.theirs, mine)}"


def difference(theirs: Rendered, own: Rendered) -> str:
    """The first difference: its place, both texts around it, both ids from there."""
    at = _common(theirs.ids, own.ids)
    ids = f"ids from {at}: theirs {theirs.ids[at : at + 4]}, ours {own.ids[at : at + 4]}"
    if theirs.text == own.text:
        return f"equal text, {ids}"
    at = _common(theirs.text, own.text)
    shown = [
        escaped(text[max(at - _SHOWN, 0) : at]) + "|" + escaped(text[at : at + _SHOWN])
        for text in (theirs.text, own.text)
    ]
    return f"text from {at}: theirs `{shown[0]}`, ours `{shown[1]}`; {ids}"


def _common(a: Any, b: Any) -> int:
    """Length of the common beginning."""
    most = min(len(a), len(b))
    return next((at for at in range(most) if a[at] != b[at]), most)

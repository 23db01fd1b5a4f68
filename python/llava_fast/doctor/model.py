"""`llava-fast doctor MODEL`: whether our ids of a model directory are those of transformers, and
which template its chats are written in."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llava_fast import _rust
from llava_fast.doctor import Line
from llava_fast.doctor.chat import (
    Case,
    Match,
    Ours,
    Refusal,
    Rendered,
    difference,
    differences,
    matches,
    questions,
    sorted_out,
)
from llava_fast.doctor.render import ask
from llava_fast.files import read_json
from llava_fast.printable import escaped, one_line
from llava_fast.template import template_text
from llava_fast.tokenizer import Tokenizer

# What tokenizers treat in ways of their own: runs of spaces, line ends, digits, accents, bytes.
TEXTS = (
    "A chat between a curious user and an assistant.",
    "  two  spaces,\n\nlines\tand tabs ",
    "It's 1987, 10,000 or 3.14?!",
    "na\u00efve \u6f22\u5b57 \u043d\u0435\u0442 \U0001f642",
    "def f(x):\n    return {x: [1, 2]}\n",
)
TRAINED_WITH = "keep to the ids that the model was trained with"


def examine_model(directory: Path) -> Iterator[Line]:
    """What is found of the tokenizer and the templates of a directory."""
    if not directory.is_dir():
        yield Line("model", "failed", f"`{escaped(str(directory))}` is no directory", "correct it")
        return
    try:
        tokenizer = Tokenizer.from_pretrained(directory)
    except (ValueError, OSError) as error:
        yield Line("tokenizer", "failed", one_line(error), "the model cannot be trained on")
        return
    text = f"{tokenizer.vocab_size} ids; tokenization path: {escaped(tokenizer.path)}"
    yield Line("tokenizer", "ok", text)
    yield _special(tokenizer)
    [image] = tokenizer.tokens([tokenizer.image_id])
    found = ask(directory, questions(image), list(TEXTS))
    if "error" in found:
        advice = "correct the files; without that only our side is known"
        yield Line("transformers", "warning", escaped(found["error"]), advice)
        return
    yield _same_ids(tokenizer, found)
    if found["chats"] is None:
        yield Line("chat template", "ok", "the directory has none: nothing to compare ours with")
        yield from _trained(directory, [], tokenizer)
        return
    cases, refusals = sorted_out(found["chats"])
    yield from _chat_template(cases, refusals, tokenizer)
    yield from _trained(directory, cases, tokenizer)


def _special(tokenizer: Tokenizer) -> Line:
    pairs = (
        ("BOS", tokenizer.bos_id),
        ("EOS", tokenizer.eos_id),
        ("pad", tokenizer.pad_id),
        ("image", tokenizer.image_id),
    )
    said = [
        f"{name} {index} `{escaped(tokenizer.tokens([index])[0])}`"
        if index is not None
        else f"{name} none"
        for name, index in pairs
    ]
    return Line("special ids", "ok", ", ".join(said))


def _same_ids(tokenizer: Tokenizer, found: dict[str, Any]) -> Line:
    for text, theirs in zip(TEXTS, found["texts"], strict=True):
        own = tokenizer.encode(text)
        if own != theirs:
            said = difference(Rendered(text, theirs), Rendered(text, own))
            return Line("ids", "warning", f"`{escaped(text)}`: {said}", TRAINED_WITH)
    return Line("ids", "ok", f"{len(TEXTS)} texts have the ids of transformers' {found['kind']}")


def _chat_template(
    cases: list[Case], refusals: list[Refusal], tokenizer: Tokenizer
) -> Iterator[Line]:
    if not cases:
        advice = "correct the chat template; ours does not need it"
        yield Line("chat template", "failed", escaped(refusals[0].reason), advice)
        return
    ranked = matches(cases, tokenizer)
    equal = [match for match in ranked if match.equal == len(cases)]
    # Without a system text many are equal that have none.
    equal = [match for match in equal if not match.own.bare] or equal
    if equal:
        how = "text and ids" if all(match.texts for match in equal) else "ids"
        text = f"equal to {_listed(equal)} in {how}, {len(cases)} renderings"
        yield Line("chat template", "ok", text)
    else:
        yield _closest(ranked, len(cases))
        for line in differences(cases, tokenizer, ranked[0].own):
            yield Line("difference", "warning", line)
    for probe, reason in refusals:
        yield Line("chat template", "ok", f"has no place for `{probe}`: {escaped(reason)}")


def _closest(ranked: list[Match], total: int) -> Line:
    same = [match for match in ranked if match.texts and not match.own.bare]
    if same:
        text = f"equal to {_listed(same)} in text, but in ids only in {same[0].equal} of {total}"
        return Line("chat template", "warning", f"{text} renderings", TRAINED_WITH)
    best = ranked[0]
    text = f"none of ours; {best.own} is closest, equal in {best.equal} of {total} renderings"
    prompts = [match for match in ranked if match.prompts and not match.own.bare]
    if prompts:
        text += f"; its prompts are those of {_listed(prompts)}"
    advice = "look at the differences; a template of your own can be like the chat template"
    return Line("chat template", "warning", text, advice)


def _trained(directory: Path, cases: list[Case], tokenizer: Tokenizer) -> Iterator[Line]:
    """The template that llava_fast.json names, beside what the chat template is."""
    file = directory / "llava_fast.json"
    try:
        template = read_json(file).get("template") if file.is_file() else None
        if template is None:
            text = "llava_fast.json names none: `template=` has to be given"
            yield Line("own template", "ok", text)
            return
        name = _rust.template_name(template_text(template))
        different = list(differences(cases, tokenizer, Ours(template)))
    except (ValueError, TypeError) as error:
        advice = "name one of `llava_fast.templates()`"
        yield Line("own template", "failed", one_line(error), advice)
        return
    text = f"`{escaped(name)}` in llava_fast.json"
    if different:
        advice = "generate with ours, or replace the chat template"
        text += f"; the chat template differs: {different[0]}"
        yield Line("own template", "warning", text, advice)
    else:
        yield Line("own template", "ok", text)


def _listed(found: list[Match]) -> str:
    return ", ".join(str(match.own) for match in found)

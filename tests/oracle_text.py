"""Ids and labels the slow and obvious way.

The whole conversation is one string, encoded once by the Python `tokenizers` package; a token is a
target iff one of its characters lies in an answer. To keep structure apart from text that spells
it, the special tokens of the tokenizer are renamed to strings no text contains.
"""

import json
import random
from functools import cache
from pathlib import Path

from tokenizers import Tokenizer

TOKENIZERS = Path(__file__).parent / "data" / "tokenizers"
FAMILIES = ("sp_legacy", "sp_first", "chatml", "llama3")
TEMPLATES = ("plain", "v0", "v1", "v1_short")

SYSTEM = (
    "A chat between a curious {0} and an artificial intelligence assistant. The assistant gives "
    "helpful, detailed, and polite answers to the {0}'s questions."
)
STOP, IMAGE = "\ue000STOP\ue001", "\ue000IMAGE\ue001"


def rename(tree: object, names: dict[str, str]) -> object:
    """The tree with every string and key that is one of `names` replaced."""
    if isinstance(tree, str):
        return names.get(tree, tree)
    if isinstance(tree, list):
        return [rename(item, names) for item in tree]
    if isinstance(tree, dict):
        return {names.get(key, key): rename(value, names) for key, value in tree.items()}
    return tree


@cache
def renamed(folder: Path, eos: str, image: str) -> Tokenizer:
    """The tokenizer of a folder, with special tokens that only structure spells."""
    tree = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    names = {t["content"]: f"\ue000{t['content']}\ue001" for t in tree["added_tokens"]}
    names |= {eos: STOP, image: IMAGE}
    return Tokenizer.from_str(json.dumps(rename(tree, names)))


@cache
def structure(family: str) -> tuple[Tokenizer, str, str]:
    """Renamed tokenizer, its end-of-sequence and image token."""
    folder = TOKENIZERS / family
    config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    image = "<|image_pad|>" if family == "chatml" else "<image>"
    return renamed(folder, config["eos_token"], image), config["eos_token"], image


def normalise(question: str) -> str:
    if question.count("<image>") == 1:
        question = ("<image>\n" + question.replace("<image>", "").strip()).strip()
    return question.replace("<image>", IMAGE)


def rendered(record: dict, template: str) -> list[tuple[str, bool]]:
    """(text, supervised) of a clean record: system?, then human and gpt in turn."""
    turns = [turn["value"] for turn in record["conversations"]]
    system = turns.pop(0) if record["conversations"][0]["from"] == "system" else None
    rounds = list(zip(map(normalise, turns[0::2]), turns[1::2], strict=False))
    if template == "plain":
        [(question, answer)] = rounds
        return [(IMAGE * question.count(IMAGE), False), (f"{answer}\n", True)]
    default = {"v0": SYSTEM.format("human"), "v1": SYSTEM.format("user"), "v1_short": ""}[template]
    system = default if system is None else system
    out = []
    if template == "v0":
        out += [(f"{system}\n\n" if system else "", False)]
        for question, answer in rounds:
            out += [("###", True), (f" Human: {question}\n", False)]
            out += [(f"### Assistant: {answer}\n", True)]
        return [*out, ("### ", True)]
    out += [(f"{system} " if system else "", False)]
    for question, answer in rounds:
        out += [(f"USER: {question} ASSISTANT:", False), (f" {answer}{STOP}", True)]
    return out


def encode(
    parts: list[tuple[str, bool]], tokenizer: Tokenizer, image_tokens: list[int]
) -> tuple[list[int], list[int], list[int]]:
    """Ids, labels and the first position of each image."""
    learned = [supervised for text, supervised in parts for _ in text]
    encoding = tokenizer.encode("".join(text for text, _ in parts))
    image_id = tokenizer.token_to_id(IMAGE)
    ids, labels, starts = [], [], []
    for token, (start, end) in zip(encoding.ids, encoding.offsets, strict=True):
        count = 1
        if token == image_id:
            count = image_tokens[len(starts)]
            starts.append(len(ids))
        target = token if any(learned[start:end]) else -100
        ids += [token] * count
        labels += [target] * count
    return ids, labels, starts


# fmt: off
WORDS = [
    "the", "a", "red", "circle", "picture", "of", "is", "are", "two", "3", "12", "1987", "10,000",
    "don't", "It's", "what?", "No.", "Yes,", "!", "left-of", "(x)", "x=1", "#tag", "###", "##", "#",
    "USER:", "ASSISTANT:", "ASSISTANT", "Human:", "Assistant:", "::", "...", "?!",
]
SPACES = [" "] * 12 + ["  ", "   ", "\n", "\n\n", "\t", " \n ", "\r\n", "\u00a0", "\u2003", ""]
RARE = [
    "é", "e\u0301", "ﬁ", "漢字", "ни", "🙂", "👩\u200d🚀", "\u202e", "\x00", "\ufeff", "▁", "ñ",
]
CONTROL = [
    "<s>", "</s>", "<unk>", "<pad>", "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|image_pad|>",
    "<0x0A>", "<image>", "<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>",
    "<|end_header_id|>", "<|eot_id|>", "<s", "</s",
]
# fmt: on


def random_text(rng: random.Random, length: int, literals: list[str]) -> str:
    pool = WORDS * 6 + RARE + literals
    return "".join(rng.choice(pool) + rng.choice(SPACES) for _ in range(length))


def random_record(rng: random.Random, template: str, injections: bool = True) -> dict:
    """A clean record that the template can express."""
    literals = CONTROL if injections else []
    in_questions = [text for text in literals if text != "<image>"]
    images, turns = [], []
    plain = template == "plain"
    if not plain and rng.random() < 0.2:
        turns.append({"from": "system", "value": random_text(rng, rng.randrange(6), literals)})
    for index in range(1 if plain else rng.randint(1, 4)):
        tags = rng.choice([1, 1, 2]) if plain else rng.choice([0, 0, 1, 1, 2])
        texts = [random_text(rng, rng.randrange(6), in_questions) for _ in range(tags + 1)]
        if tags == 1:
            texts[rng.randrange(2)] = ""
        question = "<image>".join(texts)
        images += [f"{index}.{n}.jpg" for n in range(tags)]
        answer = random_text(rng, rng.randrange(12), literals)
        answer = answer if answer.strip() else "A" + answer
        turns += [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]
    return {"id": "r", "image": images, "conversations": turns}

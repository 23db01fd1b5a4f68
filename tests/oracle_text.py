"""Ids and labels the slow and obvious way.

The whole conversation is one string, encoded once by the Python `tokenizers` package; a token is a
target iff one of its characters lies in an answer. To keep structure apart from text that spells
it, the special tokens of the tokenizer are renamed to strings no text contains.
"""

import json
import random
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tokenizers import Tokenizer

from llava_fast import Sample
from tests.oracle_layouts import (
    BOS,
    CLOSE,
    EOS,
    IMAGE,
    NO_SYSTEM,
    OPEN,
    SYSTEM,
    TEMPLATES,
    Parts,
    mark,
    normalise,
    rendered,
)

__all__ = ["SYSTEM", "TEMPLATES", "normalise", "rendered"]

TOKENIZERS = Path(__file__).parent / "data" / "tokenizers"
FAMILIES = ("sp_legacy", "sp_first", "chatml", "llama3")
Arrays = tuple[list[int], list[int], list[int]]
MARK = re.compile(f"{OPEN}(.*?){CLOSE}")


@dataclass(frozen=True)
class Structure:
    """A tokenizer whose special tokens only structure spells.

    bos: the token it begins a sequence with, None where it does not; eos, image: its tokens.
    """

    tokenizer: Tokenizer
    bos: str | None
    eos: str
    image: str

    def spell(self, text: str) -> str:
        """The text with the marks this tokenizer has; others become what they are called."""

        def one(found: re.Match) -> str:
            if found[0] == BOS:
                return mark(self.bos) if self.bos else ""
            if found[1] == self.eos:
                return EOS
            known = self.tokenizer.token_to_id(found[0]) is not None
            return found[0] if known else found[1]

        return MARK.sub(one, text)

    def shown(self, text: str) -> str:
        """The text as a user of the tokenizer would write it."""
        named = self.spell(text).replace(EOS, self.eos).replace(IMAGE, self.image)
        return MARK.sub(r"\1", named)

    def encode(self, parts: Parts, image_tokens: list[int]) -> Arrays:
        """Ids, labels and the first position of each image."""
        parts = [(self.spell(text), supervised) for text, supervised in parts]
        learned = [supervised for text, supervised in parts for _ in text]
        encoding = self.tokenizer.encode("".join(text for text, _ in parts))
        image_id = self.tokenizer.token_to_id(IMAGE)
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


def lists(sample: Sample) -> Arrays:
    """Ids, labels and picture positions of ours, as the oracle has them."""
    return sample.input_ids.tolist(), sample.labels.tolist(), sample.image_starts.tolist()


def rename(tree: object, names: dict[str, str]) -> object:
    """The tree with every string and key that is one of `names` replaced."""
    if isinstance(tree, str):
        return names.get(tree, tree)
    if isinstance(tree, list):
        return [rename(item, names) for item in tree]
    if isinstance(tree, dict):
        return {names.get(key, key): rename(value, names) for key, value in tree.items()}
    return tree


def structure_of(folder: Path) -> Structure:
    """The structure of a tokenizer directory."""
    tree = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    added = [token["content"] for token in tree["added_tokens"]]
    eos, image = config["eos_token"], "<image>" if "<image>" in added else "<|image_pad|>"
    names = {content: mark(content) for content in added} | {eos: EOS, image: IMAGE}
    tokenizer = Tokenizer.from_str(json.dumps(rename(tree, names)))
    begins = bool(tokenizer.encode("").ids)
    return Structure(tokenizer, config["bos_token"] if begins else None, eos, image)


@cache
def structure(family: str) -> Structure:
    """The structure of one of the committed tokenizers."""
    return structure_of(TOKENIZERS / family)


# fmt: off
WORDS = [
    "the", "a", "red", "circle", "picture", "of", "is", "are", "two", "3", "12", "1987", "10,000",
    "don't", "It's", "what?", "No.", "Yes,", "!", "left-of", "(x)", "x=1", "#tag", "###", "##", "#",
    "USER:", "ASSISTANT:", "ASSISTANT", "Human:", "Assistant:", "::", "...", "?!", "[INST]",
    "[/INST]", "<<SYS>>", "user", "assistant", "model",
]
SPACES = [" "] * 12 + ["  ", "   ", "\n", "\n\n", "\t", " \n ", "\r\n", "\u00a0", "\u2003", ""]
RARE = [
    "é", "e\u0301", "ﬁ", "漢字", "ни", "🙂", "👩\u200d🚀", "\u202e", "\x00", "\ufeff", "▁", "ñ",
    "\u0301", "\u200b", "\x85", "\x1f", "\u2581\u2581",
]
CONTROL = [
    "<s>", "</s>", "<unk>", "<pad>", "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|image_pad|>",
    "<0x0A>", "<image>", "<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>",
    "<|end_header_id|>", "<|eot_id|>", "<s", "</s", "<start_of_turn>", "<end_of_turn>", "<bos>",
    "<eos>", "<</SYS>>\n\n", "{bos}", "{eos}", "[INST] <<SYS>>\n",
]
# fmt: on


def random_text(rng: random.Random, length: int, literals: list[str]) -> str:
    pool = WORDS * 6 + RARE + literals
    return "".join(rng.choice(pool) + rng.choice(SPACES) for _ in range(length))


def draw(seed: int, template: str) -> tuple[dict, list[int]]:
    """A random record, and a number of tokens for each of its pictures."""
    rng = random.Random(seed)
    record = random_record(rng, template)
    return record, [rng.randint(1, 5) for _ in record["image"]]


def random_record(rng: random.Random, template: str, injections: bool = True) -> dict:
    """A clean record that the template can express."""
    literals = CONTROL if injections else []
    in_questions = [text for text in literals if text != "<image>"]
    images, turns = [], []
    plain = template == "plain"
    if template not in NO_SYSTEM and rng.random() < 0.2:
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

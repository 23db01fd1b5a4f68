"""LLaVA's way to ids and labels for its older templates, written anew from `train.py`.

The prompt is tokenised piece by piece around `<image>`, and every mask comes from tokenising the
rounds again and counting. On clean conversations and a tokenizer with a space before every run of
text the counts are right, and ours must agree with them; `benches.peers.llava_text` has `v1`.

A tokenizer is a callable whose result has `input_ids` with BOS, as those of transformers.
"""

import random

from benches.peers import llava_text
from benches.peers.llava_text import IGNORE, STOP, image_first, tokenize
from tests import oracle_text as oracle
from tests.oracle_layouts import CHAT, VISION

Arrays = tuple[list[int], list[int]]
LINES = [" "] * 9 + ["\n", "\n\n", "  "]


def turns_of(record: dict) -> list[str]:
    """The texts of human and gpt in turn."""
    turns = record["conversations"]
    return [turn["value"] for turn in (image_first(turns) if "image" in record else turns)]


def plain(record: dict, tokenizer) -> Arrays:
    """`preprocess_plain`: the picture, the caption and a newline."""
    ids = tokenize(f"<image>{turns_of(record)[1]}\n", tokenizer)
    masked = len(tokenize("<image>", tokenizer))
    return ids, [IGNORE] * masked + ids[masked:]


def v1(record: dict, tokenizer) -> Arrays:
    """`preprocess_v1`."""
    ids, labels = llava_text.encode(record, tokenizer)
    return ids.tolist(), labels.tolist()


def v0(record: dict, tokenizer) -> Arrays:
    """`preprocess`: a human turn is masked but for its first two tokens, which stand for `###`."""
    header = CHAT.format("human") + "\n\n"
    names = ("Human", "Assistant")
    texts = [f"### {names[n % 2]}: {text}\n" for n, text in enumerate(turns_of(record))]
    ids = tokenize(header + "".join(texts) + "### ", tokenizer)
    labels = list(ids)
    position = len(tokenize(header, tokenizer))
    labels[:position] = [IGNORE] * position
    for index, text in enumerate(texts):
        length = len(tokenize(text, tokenizer))
        if index % 2 == 0:
            mask(labels, position + 2, position + length)
        position += length
    return ids, labels


def llama_2(record: dict, tokenizer) -> Arrays:
    """`preprocess_llama_2` of `llava_llama_2`."""
    return inst(record, tokenizer, f"<<SYS>>\n{VISION}\n<</SYS>>\n\n", "<s>")


def mistral_instruct(record: dict, tokenizer) -> Arrays:
    """The same of `mistral_instruct`: no system text, no BOS between rounds."""
    return inst(record, tokenizer, "", "")


def inst(record: dict, tokenizer, system: str, begin: str) -> Arrays:
    turns = turns_of(record)
    text = ""
    for index in range(0, len(turns), 2):
        question = (system if index == 0 else "") + turns[index]
        text += f"{begin}[INST] {question} [/INST] {turns[index + 1]} {STOP}"
    text = text.removeprefix(begin)
    return counted(text, "[/INST] ", tokenizer)


def counted(text: str, separator: str, tokenizer) -> Arrays:
    """Ids, and labels by the counting of `preprocess_llama_2` and `preprocess_v1`.

    Raises ValueError where LLaVA would print "tokenization mismatch" and drop the sample.
    """
    ids = tokenize(text, tokenizer)
    labels = [IGNORE, *ids[1:]]
    position = 1
    for turn in filter(None, text.split(STOP)):
        question, _, _ = turn.partition(separator)
        asked = len(tokenize(question + separator, tokenizer)) - 2
        mask(labels, position, position + asked)
        position += len(tokenize(turn, tokenizer))
    if position != len(ids):
        raise ValueError(f"tokenization mismatch: {position} tokens counted of {len(ids)}")
    return ids, labels


def mask(labels: list[int], start: int, stop: int) -> None:
    labels[start:stop] = [IGNORE] * (stop - start)


RULES = {
    "plain": plain,
    "v0": v0,
    "v1": v1,
    "llama_2": llama_2,
    "mistral_instruct": mistral_instruct,
}


def clean_text(rng: random.Random, words: int) -> str:
    """Words and lines that begin and end with a word, and spell nothing of a template."""
    pool = [word for word in oracle.WORDS if "#" not in word and ":" not in word]
    pool = [word for word in pool if word not in ("[INST]", "[/INST]")] + ["é", "漢字", "🙂"]
    text = rng.choice(pool)
    return text + "".join(rng.choice(LINES) + rng.choice(pool) for _ in range(words))


def clean_record(rng: random.Random, template: str) -> dict:
    """What LLaVA's rules can mask: words, at most one picture in a question."""
    plain = template == "plain"
    turns, pictures = [], 0
    for _ in range(1 if plain else rng.randint(1, 4)):
        question = clean_text(rng, rng.randrange(8))
        if plain or rng.random() < 0.4:
            question = rng.choice([f"<image>\n{question}", f"{question}\n<image>"])
            pictures += 1
        answer = clean_text(rng, rng.randrange(12))
        turns += [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]
    images = {"image": [f"{n}.jpg" for n in range(pictures)]} if pictures else {}
    return images | {"conversations": turns}

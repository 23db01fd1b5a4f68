"""LLaVA-1.5's `v1` prompt and loss mask, written anew from their published behaviour.

The prompt is tokenised piece by piece around `<image>`; the mask comes from tokenising every round
and every instruction again and counting. Right for a SentencePiece tokenizer in legacy mode.
"""

import copy

import torch

IGNORE = -100
IMAGE = -200
SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)
STOP = "</s>"
ANSWER = "ASSISTANT: "


def image_first(turns: list[dict]) -> list[dict]:
    """Turns with `<image>` moved to the front of its turn, on a line of its own."""
    turns = copy.deepcopy(turns)
    for turn in turns:
        if "<image>" in turn["value"]:
            text = turn["value"].replace("<image>", "").strip()
            turn["value"] = f"<image>\n{text}".strip()
    return turns


def render(turns: list[dict]) -> str:
    """The whole conversation as one string."""
    text = SYSTEM + " "
    for index, turn in enumerate(turns):
        question = index % 2 == 0
        text += f"{'USER' if question else 'ASSISTANT'}: {turn['value']}{' ' if question else STOP}"
    return text


def tokenize(text: str, tokenizer) -> list[int]:
    """Ids of `text`, with -200 for each `<image>`; BOS once."""
    pieces = [tokenizer(piece).input_ids for piece in text.split("<image>")]
    ids = pieces[0][:]
    for piece in pieces[1:]:
        ids.append(IMAGE)
        ids.extend(piece[1:] if piece[:1] == [tokenizer.bos_token_id] else piece)
    return ids


def encode(record: dict, tokenizer) -> tuple[torch.Tensor, torch.Tensor]:
    """(input_ids, labels) of one record, both (T,) int64.

    Raises ValueError where LLaVA would print "tokenization mismatch" and drop the sample.
    """
    turns = record["conversations"]
    text = render(image_first(turns) if "image" in record else turns)
    input_ids = torch.tensor(tokenize(text, tokenizer))
    labels = input_ids.clone()
    position = 1
    labels[:position] = IGNORE
    for turn in text.split(STOP):
        if not turn:
            break
        instruction, answer, _ = turn.partition(ANSWER)
        asked = len(tokenize(instruction + answer, tokenizer)) - 2
        labels[position : position + asked] = IGNORE
        position += len(tokenize(turn, tokenizer))
    if position != len(input_ids):
        raise ValueError(f"tokenization mismatch: {position} tokens counted of {len(input_ids)}")
    return input_ids, labels

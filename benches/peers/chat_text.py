"""The same ids and labels from transformers: its chat template marks what the assistant wrote."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benches.peers.chat_layouts import Layout
from benches.peers.llava_text import IGNORE

Messages = list[dict[str, str]]


def chat_tokenizer(folder: Path, layout: Layout):
    """The fast class of transformers with the chat template of a layout."""
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    tokenizer.chat_template = layout.chat_template(tokenizer.bos_token or "")
    return tokenizer


def messages(record: dict, layout: Layout) -> Messages:
    """A record in the form of OpenAI's API."""
    names = {"human": "user", "gpt": "assistant"}
    return [
        {"role": names[turn["from"]], "content": turn["value"]} for turn in layout.turns(record)
    ]


def encode(conversations: Sequence[Messages], tokenizer) -> list[tuple[np.ndarray, np.ndarray]]:
    """(input_ids, labels) of every conversation; a picture stays one token."""
    encoded = tokenizer.apply_chat_template(
        conversations, return_dict=True, return_assistant_tokens_mask=True
    )
    return [
        _label(np.array(ids, np.int64), np.array(mask, bool))
        for ids, mask in zip(encoded["input_ids"], encoded["assistant_masks"], strict=True)
    ]


def _label(input_ids: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return input_ids, np.where(mask, input_ids, IGNORE)

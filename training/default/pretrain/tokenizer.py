"""Trains the default's tokenizer: byte-pair encoding in the layout of Llama's `tokenizer.json`."""

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from ..questions import caption, conversation, detail, reasoning
from ..scenes import random_scene

VOCABULARY = 512  # rows of the embedding; the last ones stay unused
CONTROL = ("<unk>", "<s>", "</s>")
BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
EXTRA = ("<image>", "<pad>")  # after all other pieces
SPACE = "▁"


def write_tokenizer(folder: Path, scenes: int = 6000) -> None:
    """Writes tokenizer.json and tokenizer_config.json, trained on the text of random scenes."""
    trained = _train(_sentences(scenes))
    pieces = [*CONTROL, *BYTES]
    learned = sorted(trained["vocab"], key=trained["vocab"].get)
    pieces += [piece for piece in (*learned, SPACE) if piece not in CONTROL]
    vocab = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    layout = _layout(vocab, trained["merges"])
    (folder / "tokenizer.json").write_text(json.dumps(layout, ensure_ascii=False), "utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(_config(), indent=2) + "\n", "utf-8")


def _sentences(scenes: int) -> Iterator[str]:
    rng = Random(1)
    for _ in range(scenes):
        scene = random_scene(rng, held_pairs=True)
        yield caption(scene)
        for _, question, answer in (
            detail(scene),
            *conversation(scene, rng),
            *reasoning(scene, rng),
        ):
            yield f"USER: {question} ASSISTANT: {answer}"


def _train(sentences: Iterator[str]) -> dict[str, Any]:
    """The `model` part of the trained file; pieces never reach over a space or punctuation."""
    tokenizer = Tokenizer(models.BPE())
    spaces = [normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)]
    tokenizer.normalizer = normalizers.Sequence(spaces)
    words = pre_tokenizers.Split(SPACE, "merged_with_next")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, pre_tokenizers.Punctuation()])
    size = VOCABULARY - len(CONTROL) - len(BYTES) - len(EXTRA)
    trainer = trainers.BpeTrainer(vocab_size=size, show_progress=False)
    tokenizer.train_from_iterator(sentences, trainer)
    return json.loads(tokenizer.to_str())["model"]


def _layout(vocab: dict[str, int], merges: list[list[str]]) -> dict[str, Any]:
    """Llama's file: a space before the text, `▁` for spaces, bytes for what has no piece."""
    added = {piece: vocab[piece] for piece in CONTROL}
    added |= {piece: len(vocab) + i for i, piece in enumerate(EXTRA)}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added_token(piece, number) for piece, number in added.items()],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Prepend", "prepend": SPACE},
                {"type": "Replace", "pattern": {"String": " "}, "content": SPACE},
            ],
        },
        "pre_tokenizer": None,
        "post_processor": _begin_with("<s>", vocab["<s>"]),
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
                {"type": "Strip", "content": " ", "start": 1, "stop": 0},
            ],
        },
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": "<unk>",
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": True,
            "ignore_merges": False,
            "vocab": vocab,
            "merges": merges,
        },
    }


def _begin_with(token: str, number: int) -> dict[str, Any]:
    """Puts the control token before each text, as Llama's own file does."""
    first = [{"SpecialToken": {"id": token, "type_id": i}} for i in range(2)]
    text = [{"Sequence": {"id": name, "type_id": i}} for i, name in enumerate("AB")]
    return {
        "type": "TemplateProcessing",
        "single": [first[0], text[0]],
        "pair": [first[0], text[0], first[1], text[1]],
        "special_tokens": {token: {"id": token, "ids": [number], "tokens": [token]}},
    }


def _added_token(piece: str, number: int) -> dict[str, Any]:
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {"id": number, "content": piece, **flags, "special": True}


def _config() -> dict[str, Any]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "add_bos_token": True,
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "pad_token": "<pad>",
        "image_token": "<image>",
        "model_max_length": 1024,
        "clean_up_tokenization_spaces": False,
    }

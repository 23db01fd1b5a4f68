"""The committed tokenizers with the control tokens that other families have."""

import json
import shutil
from pathlib import Path

from tests.oracle_text import TOKENIZERS

CONTROL = (
    "<|im_start|>",
    "<|im_end|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
    "<start_of_turn>",
    "<end_of_turn>",
)


def dress(family: str, target: Path, **flags: bool) -> Path:
    """A copy of a tokenizer in `target` that has every control token of every template.

    flags: of the tokens of the copy, such as `normalized`.
    """
    shutil.copytree(TOKENIZERS / family, target, dirs_exist_ok=True)
    file = target / "tokenizer.json"
    tree = json.loads(file.read_text(encoding="utf-8"))
    added = tree["added_tokens"]
    known = [token["content"] for token in added]
    free = 1 + max(*tree["model"]["vocab"].values(), *(token["id"] for token in added))
    missing = [content for content in CONTROL if content not in known]
    added += [{**added[0], "id": free + n, "content": name} for n, name in enumerate(missing)]
    for token in added:
        token.update(flags)
    file.write_text(json.dumps(tree), encoding="utf-8")
    return target


def folding(folder: Path) -> Path:
    """The tokenizer of a directory, changed to fold look-alikes (NFKC) before anything else."""
    file = folder / "tokenizer.json"
    tree = json.loads(file.read_text(encoding="utf-8"))
    steps = [tree["normalizer"]] if tree["normalizer"] else []
    tree["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "NFKC"}, *steps]}
    file.write_text(json.dumps(tree), encoding="utf-8")
    return folder


def unprefixed(folder: Path) -> Path:
    """A SentencePiece tokenizer, changed to put no space in front of any text."""
    file = folder / "tokenizer.json"
    tree = json.loads(file.read_text(encoding="utf-8"))
    tree["pre_tokenizer"]["prepend_scheme"] = "never"
    file.write_text(json.dumps(tree), encoding="utf-8")
    return folder


def unmarked(folder: Path) -> Path:
    """The tokenizer, changed as `add_tokens` leaves it: control tokens are not called special."""
    file = folder / "tokenizer.json"
    tree = json.loads(file.read_text(encoding="utf-8"))
    for token in tree["added_tokens"]:
        token["special"] = token["content"] not in CONTROL
    file.write_text(json.dumps(tree), encoding="utf-8")
    return folder

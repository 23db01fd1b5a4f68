"""Before which texts a SentencePiece tokenizer puts a `▁`: as its files say, or as asked for.

Its tokenizer.json says so in one of two ways: the normalizer `Prepend` or the pre-tokenizer
`Metaspace`. transformers 5 follows it, but for one class of tokenizers, which it builds anew.
"""

import json
from typing import Any

from llava_fast.errors import DataError

MARK = "▁"
_SPACES = {"type": "Replace", "pattern": {"String": " "}, "content": MARK}
# Model types whose tokenizer transformers reads as it is, whatever class its configuration names.
READ_AS_IT_IS = frozenset({"llava", "llava_next", "mistral", "mixtral", "vipllava"})


def settle(
    content: bytes, config: dict[str, Any], model_config: dict[str, Any], legacy: bool | None
) -> tuple[bytes, dict[str, Any]]:
    """tokenizer.json that says itself what holds, and its configuration.

    content, config, model_config: tokenizer.json, tokenizer_config.json and config.json.
    legacy: as `Tokenizer.from_pretrained` describes it.

    Raises DataError if the content is no tokenizer, ValueError if there is nothing to choose.
    """
    name = config.get("tokenizer_class") or model_config.get("tokenizer_class")
    llama = str(name).removesuffix("Fast") == "LlamaTokenizer"
    if legacy is None and not llama:
        return content, config
    # Of another class, so that transformers reads what is saved as it is, wherever it is saved.
    config = config | {"tokenizer_class": "PreTrainedTokenizerFast"}
    if legacy is None and _is_read_as_it_is(content, model_config):
        return content, config
    try:
        tree = json.loads(content)
        if legacy is None:
            legacy = bool(config.get("legacy", False))
            _as_llama_tokenizer(tree, config, legacy)
        elif _is_legacy(tree) != legacy:
            _change(tree, legacy)
    except (LookupError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise DataError(f"not a tokenizer: {error!r}") from None
    return json.dumps(tree, ensure_ascii=False).encode(), config | {"legacy": legacy}


def _is_read_as_it_is(content: bytes, model_config: dict[str, Any]) -> bool:
    """Whether `AutoTokenizer` follows a tokenizer.json although the class is `LlamaTokenizer`."""
    return model_config.get("model_type") in READ_AS_IT_IS or b'"ByteLevel"' in content


def _as_llama_tokenizer(tree: dict[str, Any], config: dict[str, Any], legacy: bool) -> None:
    """What `LlamaTokenizer` of transformers 5 keeps of a tokenizer.json: vocabulary, merges, added
    tokens and post-processor.

    Source: transformers `tokenization_llama.py`.
    """
    prefixed = config.get("add_prefix_space") is not False
    tree["normalizer"] = None
    tree["pre_tokenizer"] = _metaspace(_scheme(legacy) if prefixed else "never")
    steps = [
        {"type": "Replace", "pattern": {"String": MARK}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
    ]
    if prefixed:
        steps.append({"type": "Strip", "content": " ", "start": 1, "stop": 0})
    tree["decoder"] = {"type": "Sequence", "decoders": steps}
    model = tree["model"]
    tree["model"] = {
        "type": "BPE",
        "fuse_unk": True,
        "byte_fallback": True,
        "vocab": model["vocab"],
        "merges": model["merges"],
    }


def _scheme(legacy: bool) -> str:
    return "always" if legacy else "first"


def _metaspace(scheme: str) -> dict[str, Any]:
    return {"type": "Metaspace", "replacement": MARK, "prepend_scheme": scheme, "split": False}


def _is_legacy(tree: dict[str, Any]) -> bool:
    """Whether every text gets a prefix; ValueError if none does."""
    schemes = {_scheme_of(step) for step in _metaspaces(tree)} - {"never"}
    if _prepends(tree):
        return True
    if not schemes:
        raise ValueError("legacy: the tokenizer puts no `▁` before a text")
    return "always" in schemes


def _change(tree: dict[str, Any], legacy: bool) -> None:
    """Makes the legacy kind the other one, and the other way round, as both are usually written."""
    normalizers = _steps(tree.get("normalizer"), "normalizers")
    before_model = _steps(tree.get("pre_tokenizer"), "pretokenizers")
    for step in _metaspaces(tree):
        step.pop("add_prefix_space", None)
        step["prepend_scheme"] = "never"
    if legacy:
        normalizers[:0] = [{"type": "Prepend", "prepend": MARK}, _SPACES]
    else:
        normalizers = [step for step in normalizers if step["type"] != "Prepend"]
        before_model.insert(0, _metaspace("first"))
    tree["normalizer"] = {"type": "Sequence", "normalizers": normalizers}
    tree["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": before_model}


def _prepends(tree: dict[str, Any]) -> bool:
    steps = _steps(tree.get("normalizer"), "normalizers")
    return any(step["type"] == "Prepend" for step in steps)


def _metaspaces(tree: dict[str, Any]) -> list[dict[str, Any]]:
    steps = _steps(tree.get("pre_tokenizer"), "pretokenizers")
    return [step for step in steps if step["type"] == "Metaspace"]


def _scheme_of(metaspace: dict[str, Any]) -> str:
    unnamed = "never" if metaspace.get("add_prefix_space") is False else "always"
    return metaspace.get("prepend_scheme", unnamed)


def _steps(step: dict[str, Any] | None, key: str) -> list[dict[str, Any]]:
    """A step and the steps inside a `Sequence`, which lists them under `key`."""
    if step is None:
        return []
    if step["type"] != "Sequence":
        return [step]
    return [inner for part in step[key] for inner in _steps(part, key)]

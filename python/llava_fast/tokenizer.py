"""A Hugging Face tokenizer as its directory describes it, run in Rust without the GIL."""

import json
from collections.abc import Sequence
from importlib.util import find_spec
from os import PathLike
from pathlib import Path
from typing import Any

from llava_fast import _rust, prefix
from llava_fast.errors import DataError

_IMAGE_TOKENS = ("<image>", "<|image_pad|>")
_MAX_IDS = 1 << 24


class Tokenizer:
    """A Hugging Face tokenizer, run by the `tokenizers` crate.

    Special tokens come from structure only: what a text spells is text. `bos_id` is the id written
    before a sequence, None where the tokenizer writes none; `eos_id` ends an answer.
    """

    def __init__(self, tokenizer_json: bytes, config: dict[str, Any]) -> None:
        """From the content of tokenizer.json and tokenizer_config.json.

        `image_prefix` of the configuration is as `from_pretrained` describes it.
        """
        self._json = tokenizer_json
        self._config = config
        ids = _SpecialIds(tokenizer_json, config)
        self.eos_id = ids.eos
        self.pad_id = ids.pad
        self.image_id = ids.image
        self._core = _rust.Tokenizer(
            tokenizer_json,
            bos=ids.bos,
            add_bos=bool(config.get("add_bos_token")),
            eos=ids.eos,
            pad=ids.pad,
            image=ids.image,
            image_prefix=_optional_bool(config, "image_prefix"),
        )
        self.bos_id: int | None = self._core.bos

    @classmethod
    def from_pretrained(
        cls,
        directory: str | PathLike[str],
        image_token: str | None = None,
        *,
        legacy: bool | None = None,
        image_prefix: bool | None = None,
    ) -> "Tokenizer":
        """The tokenizer of a model directory; nothing is downloaded.

        Reads tokenizer.json, tokenizer_config.json and special_tokens_map.json. A directory without
        tokenizer.json (only a SentencePiece model, say) goes through transformers once.
        BOS is written iff the post-processor writes it or `add_bos_token` is true.
        image_token: the token of a picture position; by default `image_token` of the config,
        `<image>`, `<|image_pad|>`, or the unknown token where no text can yield it.
        legacy: whether a SentencePiece tokenizer puts a `▁` before the text after every special
        token (True) or only at the start of a sequence (False); by default, what the tokenizer of
        transformers does for this directory.
        image_prefix: whether the text after a picture begins with a `▁`; by default, as after any
        special token. True is what LLaVA-1.5 does, which encodes that text alone.
        Both are saved by `save_pretrained`.

        Raises DataError naming the file that cannot be used; ValueError where the tokenizer puts no
        `▁` before a text, so that there is nothing to choose.
        """
        folder = Path(directory)
        if not folder.is_dir():
            raise DataError(f"`{folder}`: no such directory")
        file = folder / "tokenizer.json"
        config = _read_json(folder / "special_tokens_map.json")
        config |= _read_json(folder / "tokenizer_config.json")
        if file.is_file():
            content = file.read_bytes()
        else:
            content, converted = _convert(folder)
            config = converted | config
        if legacy is not None and not isinstance(legacy, bool):
            raise ValueError(f"legacy: got {legacy!r}, expected True, False or None")
        if image_token is not None:
            config["image_token"] = image_token
        if image_prefix is not None:
            config["image_prefix"] = image_prefix
        try:
            model = _read_json(folder / "config.json")
            return cls(*prefix.settle(content, config, model, legacy))
        except DataError as error:
            raise DataError(f"`{file}`: {error}") from None

    def encode(self, text: str) -> list[int]:
        """Ids of a text that starts a sequence, without BOS."""
        return self._core.encode(text)

    def decode(self, ids: Sequence[int], skip_special_tokens: bool = True) -> str:
        """Text of ids; special tokens are left out unless asked for."""
        return self._core.decode(list(ids), skip_special_tokens)

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """How each id is written in the vocabulary."""
        return self._core.tokens(list(ids))

    @property
    def vocab_size(self) -> int:
        """One more than the highest id."""
        return self._core.vocab_size

    @property
    def path(self) -> str:
        """How text is encoded: "words", looked up one by one, or "whole: " and why not by words."""
        uncut = self._core.uncut
        return "words" if uncut is None else f"whole: {uncut}"

    @property
    def fingerprint(self) -> int:
        """64-bit number that tells this tokenizer and its special ids from others."""
        return self._core.fingerprint

    def save_pretrained(self, directory: str | PathLike[str]) -> None:
        """Write tokenizer.json and tokenizer_config.json; transformers reads them too."""
        folder = Path(directory)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tokenizer.json").write_bytes(self._json)
        config = json.dumps(self._config, indent=2, ensure_ascii=False) + "\n"
        (folder / "tokenizer_config.json").write_text(config, encoding="utf-8")

    def __reduce__(self) -> tuple[Any, ...]:
        return Tokenizer, (self._json, self._config)


class _SpecialIds:
    """The ids of structure, from the two files of a tokenizer."""

    def __init__(self, tokenizer_json: bytes, config: dict[str, Any]) -> None:
        try:
            tree = json.loads(tokenizer_json)
            self.vocab = dict(_model_vocab(tree["model"]["vocab"]))
            self.vocab |= {
                token["content"]: token["id"] for token in tree.get("added_tokens") or []
            }
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"not a tokenizer: {error!r}") from None
        self.tree = tree
        self.config = config
        self.bos = self.named("bos_token")
        unknown = self.named("unk_token")
        eos = self.named("eos_token")
        if eos is None:
            raise DataError("no `eos_token` in tokenizer_config.json: it ends every answer")
        self.eos = eos
        self.image = self.find_image(unknown)
        if self.image in (self.eos, self.bos):
            raise DataError(f"image_token: id {self.image} begins a sequence or ends an answer")
        pads = (self.named("pad_token"), unknown, self.eos)
        # A pad position must never look like a picture.
        self.pad = next(pad for pad in pads if pad is not None and pad != self.image)

    def named(self, key: str) -> int | None:
        """The id of the token that the configuration names, None if it names none."""
        token = self.config.get(key)
        if isinstance(token, dict):
            token = token.get("content")
        if token is None:
            return None
        if not isinstance(token, str) or token not in self.vocab:
            raise DataError(f"{key}: `{token}` is not in the vocabulary")
        return self.id_of(token)

    def id_of(self, token: str) -> int:
        """The id of a token of the vocabulary, within what a model can have."""
        index = self.vocab[token]
        if type(index) is not int or not 0 <= index < _MAX_IDS:
            raise DataError(f"`{token}` has id {index!r}, expected 0..{_MAX_IDS - 1}")
        return index

    def find_image(self, unknown: int | None) -> int:
        """The id of a picture position."""
        named = self.named("image_token")
        if named is not None:
            return named
        for token in _IMAGE_TOKENS:
            if token in self.vocab:
                return self.id_of(token)
        if unknown is not None and self.spells_everything():
            return unknown
        raise DataError("no image token: name one with image_token=")

    def spells_everything(self) -> bool:
        """Whether byte tokens cover every text, so that the unknown token never occurs."""
        model = self.tree["model"]
        return bool(model.get("byte_fallback")) and all(
            f"<0x{byte:02X}>" in self.vocab for byte in range(256)
        )


def _model_vocab(vocab: Any) -> Any:
    """(token, id) pairs; Unigram models list (token, score)."""
    if isinstance(vocab, dict):
        return vocab.items()
    return ((token, index) for index, (token, _) in enumerate(vocab))


def _read_json(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"`{file}`: {error}") from None
    if not isinstance(content, dict):
        raise DataError(f"`{file}`: expected a JSON object")
    return content


def _convert(folder: Path) -> tuple[bytes, dict[str, Any]]:
    """What transformers makes of a directory without tokenizer.json."""
    missing = [name for name in ("sentencepiece", "google.protobuf") if not _installed(name)]
    if (folder / "tokenizer.model").is_file() and missing:
        raise DataError(
            f"`{folder}/tokenizer.model`: pip install sentencepiece protobuf to read it"
        )
    from transformers import AutoTokenizer

    try:
        theirs = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        content = theirs.backend_tokenizer.to_str().encode()
    except (OSError, ValueError, KeyError, AttributeError, ImportError) as error:
        raise DataError(f"`{folder}`: no tokenizer.json, and transformers: {error}") from None
    return content, dict(theirs.special_tokens_map)


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _optional_bool(config: dict[str, Any], key: str) -> bool | None:
    value = config.get(key)
    if value is not None and not isinstance(value, bool):
        raise DataError(f"{key}: got {value!r}, expected true or false")
    return value

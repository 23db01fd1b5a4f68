"""Train the four small tokenizers of the tests on the text below.

    python tests/data/make_tokenizers.py [FOLDER]

The same text gives the same files; a test checks that. The families differ in what the exactness of
ids depends on: where a space is put in front, what is merged over a space, how bytes are spelled.
"""

import json
import sys
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, trainers

FOLDER = Path(__file__).parent / "tokenizers"

TEXT = """
A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful,
detailed, and polite answers to the user's questions. USER: What is in the picture? ASSISTANT: There
is a red bicycle in front of a brick wall, and a cat sleeps on the saddle. USER: Is it raining?
ASSISTANT: No, the street is dry and the sky is clear. Human: How many windows can you count?
Assistant: I can see seven windows: four on the upper floor and three below.

Every morning the ferry leaves the harbour at half past six. The captain counts the passengers, the
dog of the cook counts the gulls, and neither of them ever comes to the same number twice. When the
fog is thick the horn sounds every ninety seconds, and the children on the pier answer with their
own voices. In summer the deck is full of bicycles, baskets and folded maps; in winter there are
only workers, a teacher with two heavy bags, and the smell of coffee.

A photograph shows what stood before the lens, never what the photographer thought. Ask what colour
the coat is, and the picture answers: green, with dark buttons. Ask whose coat it is, and it keeps
silent. Describe the image concisely. Give a short description of what you see. What is to the left
of the large blue square? The small yellow circle is to the left of the large blue square. Which
object is above the triangle? A purple star. How many circles are there? Three. Is there a green
triangle? Yes. Is there a black star? No.

To bake bread, mix 500 g of flour with 350 ml of water, 10 g of salt and 2 g of yeast. Wait twelve
hours. Fold the dough four times, let it rest for 45 minutes, and bake it at 240 degrees for 20
minutes, then at 200 degrees for another 25. The crust should sing when it cools: a fine crackling
that bakers wait for. If it is 1987 or 2024 does not matter; flour, water, salt and time do.

def area(width, height):
    # both in pixels; returns 0 for an empty box
    if width <= 0 or height <= 0:
        return 0
    return width * height

for x in range(10): print(x, area(x, x + 1))   # 0, 2, 6, 12, 20 ...

The mountain railway climbs 1,200 metres in 48 minutes. At the third tunnel the guide switches off
the light and asks everyone to listen: water runs behind the rock, somewhere to the right, and then
above. "It's older than the line," he says, "and it won't stop for us." Nobody's laughing; a child
asks whether the water has a name. It doesn't, he says, but you're welcome to give it one.

Der Fluss ist heute ruhig, und über der Brücke fliegen Möwen. Où est la gare, s'il vous plaît? La
gare est à gauche, après le café. El niño come una manzana en el jardín, y mañana será otro día.
"""

BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|DIGITS"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def special(content: str, index: int) -> dict:
    return {
        "id": index,
        "content": content,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": True,
    }


def sentencepiece_model(size: int) -> tuple[dict, list[dict]]:
    """Model and added tokens in the shape of a converted Llama-2 SentencePiece model."""
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=True)
    trainer = trainers.BpeTrainer(vocab_size=size, show_progress=False)
    trained.train_from_iterator(TEXT.splitlines(), trainer)
    bpe = json.loads(trained.to_str())["model"]
    learned = sorted(bpe["vocab"], key=bpe["vocab"].get)
    runs = ["▁▁", "▁▁▁▁"]
    tokens = ["<unk>", "<s>", "</s>", *BYTES, *runs, "\n", *learned]
    vocab = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    merges = [["▁", "▁"], ["▁▁", "▁▁"], *(list(merge) for merge in bpe["merges"])]
    model = {
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
    }
    names = ["<unk>", "<s>", "</s>", "<image>", "<pad>"]
    added = [special(name, vocab.setdefault(name, len(vocab))) for name in names]
    for name in names[3:]:
        del vocab[name]
    return model, added


def assemble(model: dict, added: list[dict], **parts: dict | None) -> dict:
    empty = dict.fromkeys(("truncation", "padding"))
    return {"version": "1.0", **empty, "added_tokens": added, **parts, "model": model}


def begin_with(token: str, index: int) -> dict:
    bos = {"SpecialToken": {"id": token, "type_id": 0}}
    text = {"Sequence": {"id": "A", "type_id": 0}}
    second = {"Sequence": {"id": "B", "type_id": 1}}
    return {
        "type": "TemplateProcessing",
        "single": [bos, text],
        "pair": [bos, text, {"SpecialToken": {"id": token, "type_id": 1}}, second],
        "special_tokens": {token: {"id": token, "ids": [index], "tokens": [token]}},
    }


SP_DECODER = {
    "type": "Sequence",
    "decoders": [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0},
    ],
}


def sp_legacy() -> tuple[dict, dict]:
    """A space before every run of text: Llama 1 and 2, Vicuna, LLaVA-1.5."""
    model, added = sentencepiece_model(900)
    normalizer = {
        "type": "Sequence",
        "normalizers": [
            {"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        ],
    }
    parts = {
        "normalizer": normalizer,
        "pre_tokenizer": None,
        "post_processor": begin_with("<s>", 1),
        "decoder": SP_DECODER,
    }
    return assemble(model, added, **parts), sp_config()


def sp_first() -> tuple[dict, dict]:
    """A space at the start of the string only: Llama-2 with `legacy=False`, newer Mistral."""
    model, added = sentencepiece_model(900)
    metaspace = {
        "type": "Metaspace",
        "replacement": "▁",
        "prepend_scheme": "first",
        "split": False,
    }
    parts = {
        "normalizer": None,
        "pre_tokenizer": metaspace,
        "post_processor": begin_with("<s>", 1),
        "decoder": SP_DECODER,
    }
    return assemble(model, added, **parts), sp_config()


def sp_config() -> dict:
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **names,
        "clean_up_tokenization_spaces": False,
    }


def byte_level(digits: str, names: list[str], size: int) -> dict:
    """A byte-level BPE that splits numbers as the pattern `digits` says."""
    pattern = SPLIT.replace("DIGITS", digits)
    split = {
        "type": "Split",
        "pattern": {"Regex": pattern},
        "behavior": "Isolated",
        "invert": False,
    }
    to_bytes = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": False,
        "use_regex": False,
    }
    steps = {"type": "Sequence", "pretokenizers": [split, to_bytes]}
    shell = assemble({"type": "BPE", "vocab": {}, "merges": []}, [], pre_tokenizer=steps)
    trained = Tokenizer.from_str(json.dumps(shell))
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
    trained.train_from_iterator([TEXT], trainer)
    trained.add_special_tokens([AddedToken(name, normalized=False) for name in names])
    result = json.loads(trained.to_str())
    result["decoder"] = to_bytes
    return result


def chatml() -> tuple[dict, dict]:
    """Byte-level, composed characters, no BOS: Qwen."""
    names = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|image_pad|>"]
    result = byte_level(r"\p{N}", names, 1000)
    result["normalizer"] = {"type": "NFC"}
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "add_bos_token": False,
        "clean_up_tokenization_spaces": False,
    }
    return result, config


def llama3() -> tuple[dict, dict]:
    """Byte-level with BOS, digits in threes, whole words before merges: Llama 3."""
    names = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>"]
    names += ["<|eot_id|>", "<image>"]
    result = byte_level(r"\p{N}{1,3}", names, 1000)
    result["model"]["ignore_merges"] = True
    ids = {token["content"]: token["id"] for token in result["added_tokens"]}
    begin = begin_with(names[0], ids[names[0]])
    byte_level_step = {
        "type": "ByteLevel",
        "add_prefix_space": True,
        "trim_offsets": False,
        "use_regex": True,
    }
    result["post_processor"] = {"type": "Sequence", "processors": [byte_level_step, begin]}
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": names[0],
        "eos_token": "<|eot_id|>",
        "pad_token": "<|end_of_text|>",
        "clean_up_tokenization_spaces": False,
    }
    return result, config


FAMILIES = {"sp_legacy": sp_legacy, "sp_first": sp_first, "chatml": chatml, "llama3": llama3}


def write(folder: Path = FOLDER) -> None:
    for name, build in FAMILIES.items():
        files = dict(zip(("tokenizer.json", "tokenizer_config.json"), build(), strict=True))
        (folder / name).mkdir(parents=True, exist_ok=True)
        for file, content in files.items():
            text = json.dumps(content, ensure_ascii=False, indent=0) + "\n"
            (folder / name / file).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)

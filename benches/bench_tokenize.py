"""A conversation to ids and labels on one thread, for a tokenizer of each family.

The peers: LLaVA's rule, where it is right; `tokenizers` with labels from offsets; the chat template
of transformers. Ours also puts 576 image positions where the peers leave one; the gate folds them
before comparing. The last family has a split pattern that ours does not know: it is encoded whole.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer as PeerTokenizer

from benches.conftest import Compare
from benches.gates import identical
from benches.peers import chat_text, llava_text, offset_text
from benches.peers.chat_layouts import CHATML, LLAMA_3, VICUNA, Layout
from benches.peers.llava_loader import fast_tokenizer
from benches.records import TOKENIZER, records
from llava_fast import Sample, Tokenizer, encode

IMAGE_TOKENS = 576
MAX_LENGTH = 4096
LAYOUTS = {"sp_legacy": VICUNA, "sp_first": VICUNA, "chatml": CHATML, "llama3": LLAMA_3}
UNKNOWN = "unknown pattern"


@dataclass(frozen=True)
class Family:
    """A tokenizer with the layout of its models, and conversations."""

    name: str
    folder: Path
    layout: Layout
    tokenizer: Tokenizer
    records: tuple[dict, ...]

    def ours(self) -> list[Sample]:
        """What is timed."""
        tokenizer, template = self.tokenizer, self.layout.template
        return [encode(r, tokenizer, template, IMAGE_TOKENS, MAX_LENGTH) for r in self.records]

    def folded(self, samples: Iterable[Sample]) -> dict[str, np.ndarray]:
        """Every run of image positions as one."""
        pairs = []
        for sample in samples:
            keep = np.ones(len(sample.input_ids), bool)
            for start in sample.image_starts:
                keep[start + 1 : start + IMAGE_TOKENS] = False
            pairs.append((sample.input_ids[keep], sample.labels[keep]))
        return self.joined(pairs)

    def joined(self, pairs: Iterable[tuple]) -> dict[str, np.ndarray]:
        """All records one after the other, LLaVA's -200 as the id of a picture."""
        input_ids = np.concatenate([np.asarray(pair[0]) for pair in pairs])
        image = self.tokenizer.image_id
        return {
            "lengths": np.array([len(pair[0]) for pair in pairs]),
            "input_ids": np.where(input_ids == llava_text.IMAGE, image, input_ids),
            "labels": np.concatenate([np.asarray(pair[1]) for pair in pairs]),
        }


@pytest.fixture
def family(request: pytest.FixtureRequest, quick: bool, tmp_path: Path) -> Family:
    name = request.param
    folder = _unknown_pattern(tmp_path) if name == UNKNOWN else TOKENIZER.parent / name
    layout = LAYOUTS.get(name, LLAMA_3)
    return Family(
        name, folder, layout, Tokenizer.from_pretrained(folder), records(16 if quick else 256)
    )


def _unknown_pattern(folder: Path) -> Path:
    """The tokenizer of Llama 3, its pattern with one more alternative, which comes to nothing."""
    source = TOKENIZER.parent / "llama3"
    tree = json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))
    tree["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] += "|$"
    (folder / "tokenizer.json").write_text(json.dumps(tree), encoding="utf-8")
    config = (source / "tokenizer_config.json").read_bytes()
    (folder / "tokenizer_config.json").write_bytes(config)
    return folder


@pytest.mark.parametrize("family", ["sp_legacy"], indirect=True)
def bench_llava_rule(compare: Compare, family: Family) -> None:
    peer = fast_tokenizer()
    _compare(
        compare,
        family,
        "llava_rule",
        "LLaVA's three passes",
        lambda: [llava_text.encode(record, peer) for record in family.records],
    )


@pytest.mark.parametrize("family", [*LAYOUTS, UNKNOWN], indirect=True)
def bench_offsets(compare: Compare, family: Family) -> None:
    peer = PeerTokenizer.from_file(str(family.folder / "tokenizer.json"))
    _compare(
        compare,
        family,
        "encode_batch",
        "encode_batch and offsets",
        lambda: offset_text.encode(family.records, peer, family.layout),
    )


# With BOS as text, `sp_first` puts no space before the first word: no chat template equals it.
@pytest.mark.parametrize("family", ["sp_legacy", "chatml", "llama3"], indirect=True)
def bench_chat_template(compare: Compare, family: Family) -> None:
    peer = chat_text.chat_tokenizer(family.folder, family.layout)
    conversations = [chat_text.messages(record, family.layout) for record in family.records]
    _compare(
        compare,
        family,
        "chat_template",
        "apply_chat_template and assistant masks",
        lambda: chat_text.encode(conversations, peer),
    )


def _compare(compare: Compare, family: Family, name: str, title: str, peer) -> None:
    path = family.tokenizer.path.partition(":")[0]
    compare(
        f"{family.name}, {family.layout.template}, 1 thread, {title}",
        ours=family.ours,
        peer=peer,
        gate=identical,
        items=len(family.records),
        item="record",
        view=family.folded,
        view_peer=family.joined,
        setting={"tokenizer": family.name, "peer": name, "path": path},
    )

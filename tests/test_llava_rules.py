"""Where LLaVA's own rule is right, ids and labels are its."""

import json
import random
import shutil
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from benches.peers import llava_text
from llava_fast import Tokenizer, encode
from tests import llava_rules as rules
from tests import oracle_text as oracle
from tests.scale import scaled

LEGACY = oracle.TOKENIZERS / "sp_legacy"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The legacy tokenizer with Llama's pieces of `###`, on whose number LLaVA's v0 rule relies."""
    tree = json.loads((LEGACY / "tokenizer.json").read_text(encoding="utf-8"))
    model = tree["model"]
    for piece in ("##", "▁##", "▁###"):
        model["vocab"][piece] = len(model["vocab"])
    for token in tree["added_tokens"]:
        token["id"] += 3 * (token["content"] not in model["vocab"])
    model["merges"] = [["#", "#"], ["▁", "##"], ["▁##", "#"], *model["merges"]]
    target = tmp_path_factory.mktemp("hashes")
    (target / "tokenizer.json").write_text(json.dumps(tree), encoding="utf-8")
    shutil.copy(LEGACY / "tokenizer_config.json", target)
    return target


@pytest.mark.parametrize("template", rules.RULES)
def test_ids_and_labels_equal_llavas(template: str, folder: Path) -> None:
    theirs, ours = AutoTokenizer.from_pretrained(folder), Tokenizer.from_pretrained(folder)
    for seed in range(scaled(20_000)):
        record = rules.clean_record(random.Random(seed), template)
        ids, labels = rules.RULES[template](record, theirs)
        sample = encode(record, ours, template, 1, 1 << 20)
        expected = [ours.image_id if token == llava_text.IMAGE else token for token in ids]
        assert sample.input_ids.tolist() == expected, f"seed {seed}"
        assert sample.labels.tolist() == labels, f"seed {seed}"

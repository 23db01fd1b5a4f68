"""Greedy answers on the device are those of the CPU, token for token."""

import json
from pathlib import Path

import pytest
import torch

from llava_fast import Generator, LlavaModel, Request

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="session")
def requests(records: Path) -> list[Request]:
    """Questions of different lengths, with and without a picture."""
    found = []
    for record in json.loads(records.read_text())[:6]:
        question = record["conversations"][0]["value"].replace("<image>\n", "")
        pictures = [record["image"]] if len(found) % 3 else []
        found.append(
            Request(
                messages=[{"role": "user", "content": question}],
                images=[records.parent / name for name in pictures],
                max_new_tokens=24,
            )
        )
    return found


def test_greedy_tokens_equal_the_cpu(
    device: torch.device, model_dir: Path, requests: list[Request]
):
    # float64: a tie of two tokens by rounding does not decide.
    expected, got = (
        Generator(LlavaModel.from_pretrained(model_dir, dtype=torch.float64, device=place))
        for place in (torch.device("cpu"), device)
    )
    for ours, theirs in zip(got.generate(requests), expected.generate(requests), strict=True):
        assert ours.token_ids == theirs.token_ids
        assert ours.text == theirs.text


def test_a_stream_joins_to_the_answer(
    device: torch.device, model_dir: Path, requests: list[Request]
):
    generator = Generator(LlavaModel.from_pretrained(model_dir, device=device))
    for request in requests[:2]:
        assert "".join(generator.stream(request)) == generator.generate([request])[0].text

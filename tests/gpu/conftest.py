"""Tests of a device against the CPU: CUDA, unless a dry run of `gpu-check` names the CPU.

They start from the shipped backbones and from generated records, so that they need no other file.
"""

import os
from pathlib import Path

import pytest
import torch

import llava_fast.training
from benches.records import write_dataset
from llava_fast import LlavaModel

BACKBONES = Path(llava_fast.training.__file__).parent / "default" / "backbones"
RECORDS = 12


@pytest.fixture(scope="session")
def device() -> torch.device:
    """The device under test; without CUDA the test is skipped."""
    name = os.environ.get("LLAVA_FAST_CHECK_DEVICE", "cuda")
    if name == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    torch.backends.cudnn.allow_tf32 = False
    return torch.device(name)


@pytest.fixture(scope="session")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LLaVA JSON file with its pictures beside it."""
    return write_dataset(tmp_path_factory.mktemp("records"), RECORDS)


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LLaVA of the shipped backbones and a new projector."""
    folder = tmp_path_factory.mktemp("model") / "llava"
    model = LlavaModel.from_backbones(BACKBONES / "vision", BACKBONES / "lm")
    model.save_pretrained(folder, template="v1")
    return folder

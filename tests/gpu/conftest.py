"""Tests of a device against the CPU: CUDA, unless a dry run of `gpu-check` names the CPU."""

import os

import pytest
import torch


@pytest.fixture(scope="session")
def device() -> torch.device:
    """The device under test; without CUDA the test is skipped."""
    name = os.environ.get("LLAVA_FAST_CHECK_DEVICE", "cuda")
    if name == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    return torch.device(name)

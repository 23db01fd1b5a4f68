"""A short training run on the device follows the one on the CPU, and learns."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.gpu

STEPS = 12


def test_losses_follow_the_cpu(
    device: torch.device, model_dir: Path, records: Path, tmp_path: Path
):
    expected = _losses(model_dir, records, tmp_path / "cpu", "cpu")
    got = _losses(model_dir, records, tmp_path / "device", device.type)
    assert got == pytest.approx(expected, rel=1e-3)
    assert got[-1] < 0.9 * got[0]


def test_bfloat16_learns_too(device: torch.device, model_dir: Path, records: Path, tmp_path: Path):
    losses = _losses(model_dir, records, tmp_path / "run", device.type, "dtype=bfloat16")
    assert losses[-1] < 0.9 * losses[0]


def _losses(model_dir: Path, records: Path, out: Path, device: str, *more: str) -> list[float]:
    """The loss of every step of a run of `recipe=finetune`."""
    command = [sys.executable, "-m", "llava_fast.training.run", "recipe=finetune"]
    command += [f"model={model_dir}", f"data={records}", f"images={records.parent}", f"out={out}"]
    command += [f"steps={STEPS}", "batch=4", "lr=1e-3", "max_length=4096", f"device={device}"]
    # Convolutions would round to TF32 otherwise.
    environment = os.environ | {"NVIDIA_TF32_OVERRIDE": "0"}
    done = subprocess.run([*command, *more], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = (out / "metrics.jsonl").read_text().splitlines()
    assert len(lines) == STEPS
    return [json.loads(line)["loss"] for line in lines]

"""A short training run on the device follows the one on the CPU, and learns."""

import json
from pathlib import Path

import pytest
import torch

from llava_fast.training.run import main

pytestmark = pytest.mark.gpu

STEPS = 8


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
    arguments = ["recipe=finetune", f"model={model_dir}", f"data={records}", f"out={out}"]
    arguments += [f"images={records.parent}", f"steps={STEPS}", "batch=2", "lr=3e-3"]
    arguments += ["template=v1_short", "pack_tokens=1200", f"device={device}"]
    with pytest.raises(SystemExit) as end:
        main([*arguments, *more])
    assert end.value.code == 0
    lines = (out / "metrics.jsonl").read_text().splitlines()
    assert len(lines) == STEPS
    return [json.loads(line)["loss"] for line in lines]

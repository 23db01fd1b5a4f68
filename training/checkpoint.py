"""Checkpoints: everything that the next step depends on, as safetensors and JSON.

    checkpoints/step-N/  model.safetensors      the parameters that learn
                         optimizer.safetensors  `<parameter>/<slot>`, for example `.../exp_avg`
                         rng.safetensors        state of torch's generators
                         state.json             step, parameter groups, loader, counters, metrics
                         manifest.json          size and CRC-32 of the files above

A directory called `step-N` is complete: it gets this name after its files are on the disk.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ..files import json_bytes, new_directory, write_file, write_tensors
from .rundir import remove

MANIFEST = "manifest.json"


def save(
    folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, state: dict[str, Any]
) -> Path:
    """Publishes `folder/step-N`, N = `state["step"]`, and returns it.

    Raises:
        OSError: the disk is full or fails; older checkpoints are as before.
    """
    final = folder / f"step-{state['step']}"
    tensors = {
        "model": {n: p.detach() for n, p in model.named_parameters() if p.requires_grad},
        "optimizer": _optimizer_tensors(optimizer),
        "rng": _generators(),
    }
    with new_directory(final) as temporary:
        for name, values in tensors.items():
            _save_tensors(temporary / f"{name}.safetensors", values)
        groups = [_scalars(group) for group in optimizer.param_groups]
        write_file(temporary / "state.json", json_bytes(state | {"param_groups": groups}))
        files = {path.name: _fingerprint(path) for path in sorted(temporary.iterdir())}
        write_file(temporary / MANIFEST, json_bytes({"files": files}))
    return final


def rotate(folder: Path, keep: int) -> None:
    """Deletes all but the `keep` newest checkpoints."""
    for path in _newest_first(folder)[keep:]:
        remove(path)


def newest(folder: Path) -> tuple[Path | None, dict[Path, str]]:
    """The newest valid checkpoint (None without one); the damaged newer ones, and their faults."""
    damaged: dict[Path, str] = {}
    for path in _newest_first(folder):
        if not (fault := _fault(path)):
            return path, damaged
        damaged[path] = fault
    return None, damaged


def load(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Puts a checkpoint back into model, optimizer and generators; returns its state.

    Raises:
        ValueError: it belongs to a model with other parameters.
    """
    state = json.loads((path / "state.json").read_text(encoding="utf-8"))
    weights = load_file(path / "model.safetensors")
    learning = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if odd := weights.keys() ^ learning.keys():
        raise ValueError(f"`{path}`: other parameters than the model's, first `{min(odd)}`")
    with torch.no_grad():
        for name, parameter in learning.items():
            parameter.copy_(weights[name])
    _restore_optimizer(optimizer, load_file(path / "optimizer.safetensors"), state["param_groups"])
    _restore_generators(load_file(path / "rng.safetensors"))
    return state


def _optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    return {
        f"{name}/{slot}": value
        for group in optimizer.param_groups
        for name, parameter in zip(group["param_names"], group["params"], strict=True)
        for slot, value in optimizer.state[parameter].items()
    }


def _restore_optimizer(
    optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor], groups: list[dict[str, Any]]
) -> None:
    slots: dict[str, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        name, _, slot = key.rpartition("/")
        slots.setdefault(name, {})[slot] = value
    for group, scalars in zip(optimizer.param_groups, groups, strict=True):
        # JSON has no tuples; AdamW's betas are one.
        group |= {k: tuple(v) if isinstance(v, list) else v for k, v in scalars.items()}
        for name, parameter in zip(group["param_names"], group["params"], strict=True):
            optimizer.state[parameter] = {
                slot: value.to(parameter.device) for slot, value in slots.get(name, {}).items()
            }


def _scalars(group: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in group.items() if k not in ("params", "param_names")}


def _generators() -> dict[str, Tensor]:
    """Only torch's: the trainer draws from no other generator."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def _restore_generators(states: dict[str, Tensor]) -> None:
    torch.set_rng_state(states["cpu"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])


def _save_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    try:
        write_tensors(path, {name: tensor.contiguous() for name, tensor in tensors.items()})
    except SafetensorError as error:
        raise OSError(f"`{path}`: {error}") from None


def _newest_first(folder: Path) -> list[Path]:
    found = [path for path in folder.glob("step-*") if path.name[5:].isdecimal()]
    return sorted(found, key=lambda path: int(path.name[5:]), reverse=True)


def _fingerprint(path: Path) -> dict[str, int]:
    checksum = 0
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            checksum = zlib.crc32(block, checksum)
    return {"size": path.stat().st_size, "crc32": checksum}


def _fault(path: Path) -> str | None:
    """What is wrong with a checkpoint directory, if anything."""
    try:
        files = json.loads((path / MANIFEST).read_text(encoding="utf-8"))["files"]
        for name in ("model.safetensors", "optimizer.safetensors", "rng.safetensors", "state.json"):
            if (found := _fingerprint(path / name)) != files[name]:
                return f"`{name}` is damaged: got {found}, expected {files[name]}"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"incomplete or damaged: {type(error).__name__}: {error}"
    return None

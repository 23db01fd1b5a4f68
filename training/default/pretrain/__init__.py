"""Makes the shipped backbones again: tokenizer, then tower and language model side by side."""

import multiprocessing
import queue
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import LlamaForCausalLM, PreTrainedModel

from .check import check_language, check_tower
from .language import STEPS as LANGUAGE_STEPS
from .language import pretrain_language
from .tokenizer import write_tokenizer
from .tower import STEPS as TOWER_STEPS
from .tower import pretrain_tower

Say = Callable[[str], None]
PARTS = {"vision": (pretrain_tower, check_tower), "lm": (pretrain_language, check_language)}


def run(
    out: Path,
    seed: int = 0,
    say: Say = print,
    tower_steps: int = TOWER_STEPS,
    language_steps: int = LANGUAGE_STEPS,
) -> None:
    """Writes tokenizer.json, tokenizer_config.json, vision/ and lm/ into `out` (under an hour).

    Two processes of one thread each: the result depends neither on the number of cores nor on their
    speed. Each part appears under its name only when it is complete. `say` gets lines of progress.
    """
    out.mkdir(parents=True, exist_ok=True)
    write_tokenizer(out)
    spawn = multiprocessing.get_context("spawn")
    lines = spawn.Queue()
    processes = [
        spawn.Process(target=make, args=(name, out, seed, steps, lines.put), name=name, daemon=True)
        for name, steps in (("vision", tower_steps), ("lm", language_steps))
    ]
    for process in processes:
        process.start()
    _follow(processes, lines, say)


def _follow(processes: list[Any], lines: Any, say: Say) -> None:
    """Passes lines on until all processes have ended; one failure ends the others."""
    while True:
        running = any(process.is_alive() for process in processes)
        try:
            say(lines.get(timeout=1))
            continue
        except queue.Empty:
            failed = [process for process in processes if process.exitcode]
        if failed:
            for process in processes:
                process.terminate()
            names = ", ".join(f"`{process.name}`" for process in failed)
            raise RuntimeError(f"pre-training of {names} failed; its own message is above")
        if not running:
            return


def make(name: str, out: Path, seed: int, steps: int, say: Say) -> None:
    """Trains one part (`vision` or `lm`) on one thread and saves it as `out`/`name`."""
    torch.set_num_threads(1)
    started = time.monotonic()

    def report(step: int, loss: float) -> None:
        minutes = (time.monotonic() - started) / 60
        left = minutes * (steps - step) / step
        say(
            f"{name}: step {step:,} of {steps:,}, loss {loss:.4f}, "
            f"{minutes:.1f} min, about {left:.0f} min left"
        )

    train, check = PARTS[name]
    model = train(out / "tokenizer.json", seed, steps, report)
    _save(model, out / name)
    say(f"{name}: saved after {(time.monotonic() - started) / 60:.1f} min")
    right = check(model, out / "tokenizer.json")
    say(f"{name}: right " + ", ".join(f"{kind} {share:.3f}" for kind, share in right.items()))


def _save(model: PreTrainedModel, folder: Path) -> None:
    """config.json and float16 model.safetensors, both complete or not there.

    Tensor names are those of the published CLIP and Llama files.
    """
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    model.config.architectures = [type(model).__name__]
    model.config.dtype = "float32"  # to train in, whatever the file holds
    model.config.save_pretrained(part)
    prefix = "" if isinstance(model, LlamaForCausalLM) else "vision_model."
    half = {prefix + key: value.half() for key, value in model.state_dict().items()}
    save_file(half, part / "model.safetensors", {"format": "pt"})
    (part / "model.safetensors").chmod(0o644)
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)

"""A very small LLaVA and native packs for it, without any file."""

import torch

from llava_fast.models.config import LlavaConfig, TextConfig, VisionConfig
from llava_fast.models.llava import LlavaModel
from llava_fast.training import optim
from llava_fast.training.config import TrainConfig
from llava_fast.training.loop import Batch, Progress, Schedule, train

IMAGE, VOCAB, SLOTS, PIXELS = 3, 64, 4, 768


def small_model(seed: int = 0) -> LlavaModel:
    torch.manual_seed(seed)
    vision = VisionConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=32,
        patch_size=16,
    )
    text = TextConfig(
        vocab_size=VOCAB,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
    )
    model = LlavaModel(LlavaConfig(vision=vision, text=text, image_token_id=IMAGE))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return model


def document(seed: int, length: int, image: bool = True, supervised: bool = True) -> Batch:
    """A pack of one document: maybe a picture, then words; the second half is supervised."""
    random = torch.Generator().manual_seed(seed)
    ids = torch.randint(4, VOCAB, (length,), generator=random)
    rows = torch.arange(length // 2, length - 1, dtype=torch.int32)
    rows = rows if supervised else rows[:0]
    pack: Batch = {
        "input_ids": ids,
        "position_ids": torch.arange(length, dtype=torch.int32),
        "cu_seqlens": torch.tensor([0, length], dtype=torch.int32),
        "max_seqlen": length,
        "loss_rows": rows,
        "targets": ids[rows.long() + 1],
        "records": torch.tensor([seed]),
    }
    if image:
        ids[1 : 1 + SLOTS] = IMAGE
        pack["pixel_patches"] = torch.randint(
            0, 256, (1, SLOTS, PIXELS), generator=random, dtype=torch.uint8
        )
        pack["image_row_starts"] = torch.tensor([1], dtype=torch.int32)
    return pack


def join(packs: list[Batch]) -> Batch:
    """The documents of several packs in one."""
    sizes = torch.tensor([len(pack["input_ids"]) for pack in packs])
    starts = [int(n) for n in sizes.cumsum(0) - sizes]
    out: Batch = {"max_seqlen": max(pack["max_seqlen"] for pack in packs)}
    for name in ("input_ids", "position_ids", "targets", "records"):
        out[name] = torch.cat([pack[name] for pack in packs])
    for name in ("loss_rows", "image_row_starts"):
        moved = [p[name] + s for p, s in zip(packs, starts, strict=True) if name in p]
        if moved:
            out[name] = torch.cat(moved).to(torch.int32)
    borders = [p["cu_seqlens"][1:] + s for p, s in zip(packs, starts, strict=True)]
    out["cu_seqlens"] = torch.cat([torch.zeros(1), *borders]).to(torch.int32)
    pictures = [pack["pixel_patches"] for pack in packs if "pixel_patches" in pack]
    if pictures:
        out["pixel_patches"] = torch.cat(pictures)
    return out


def settings(**changes: object) -> TrainConfig:
    return TrainConfig(**{"model": "m", "data": "d", "images": "i", "lr": 1e-3} | changes)


def run(model, optimizer, packs, per_step: int = 1, steps: int = 0, done=(), **changes):
    """Trains on all packs; the step records and where it ended."""
    steps = steps or len(packs) // per_step
    records, progress = [], Progress()
    config = settings(**changes)

    def tell(record, packs):
        for listener in (records.append, *done):
            listener(record)

    train(
        model,
        optimizer or optim.build(model, config),
        iter(packs),
        Schedule(steps=steps, packs=per_step, pack_tokens=64, total_packs=steps * per_step),
        config,
        progress,
        used_tokens=lambda pack: len(pack["input_ids"]),
        check=lambda: None,
        done=tell,
    )
    return records, progress

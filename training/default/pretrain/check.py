"""What the new backbones know, measured on scenes they have not seen."""

from collections import defaultdict
from pathlib import Path
from random import Random

import numpy as np
import torch
from torch import Tensor
from transformers import CLIPVisionModel, LlamaForCausalLM

from ..render import photograph
from ..scenes import COLOUR_NAMES, SHAPES, random_scene
from .documents import IGNORED, Encoder, Labelled
from .texts import question_document
from .tower import normalised

RIDGE = 0.1


@torch.no_grad()
def check_language(
    model: LlamaForCausalLM, tokenizer_json: Path, questions: int = 600
) -> dict[str, float]:
    """Share of exactly right answers, by kind, to short questions about scenes in words."""
    encoder, rng = Encoder(tokenizer_json), Random(99)
    right: dict[str, list[bool]] = defaultdict(list)
    for _ in range(questions):
        document = question_document(rng)
        right[document.exchanges[0].kind].append(_all_right(model, encoder.labelled(document)))
    return {kind: sum(hits) / len(hits) for kind, hits in sorted(right.items())}


def _all_right(model: LlamaForCausalLM, document: Labelled) -> bool:
    """Whether greedy decoding would give this answer: every supervised token is the arg-max."""
    ids_BT, labels_BT = (torch.tensor([part]) for part in document)
    best_BT = model(input_ids=ids_BT).logits[:, :-1].argmax(-1)
    kept = labels_BT[:, 1:] != IGNORED
    return bool((best_BT == labels_BT[:, 1:])[kept].all())


@torch.no_grad()
def check_tower(
    model: CLIPVisionModel, tokenizer_json: Path, pictures: int = 600
) -> dict[str, float]:
    """Share of colours and shapes that a linear probe reads off a cell's four patches.

    The patches are those LLaVA uses, of the layer before last. The probe, a ridge regression, is
    fitted on two thirds of the pictures and judged on the rest. The tokenizer is not needed here.
    """
    rng = Random(98)
    scenes = [random_scene(rng, held_pairs=True) for _ in range(pictures)]
    inputs = normalised(torch.from_numpy(np.stack([photograph(scene, rng) for scene in scenes])))
    states = [model(part, output_hidden_states=True).hidden_states[-2] for part in inputs.split(50)]
    cells = torch.cat(states)[:, 1:].unflatten(1, (3, 2, 3, 2)).mean((2, 4)).flatten(1, 2)
    things = [(i, thing) for i, scene in enumerate(scenes) for thing in scene]
    features = torch.stack([cells[i, thing.cell] for i, thing in things])
    colours = torch.tensor([COLOUR_NAMES.index(thing.colour) for _, thing in things])
    shapes = torch.tensor([SHAPES.index(thing.shape) for _, thing in things])
    return {"colour": _probe(features, colours), "shape": _probe(features, shapes)}


def _probe(features: Tensor, labels: Tensor) -> float:
    x = torch.cat([features, torch.ones(len(features), 1)], 1)
    y = torch.nn.functional.one_hot(labels).float()
    fitted = 2 * len(x) // 3
    gram = x[:fitted].T @ x[:fitted] + RIDGE * torch.eye(x.shape[1])
    weights = torch.linalg.solve(gram, x[:fitted].T @ y[:fitted])
    return ((x[fitted:] @ weights).argmax(1) == labels[fitted:]).float().mean().item()

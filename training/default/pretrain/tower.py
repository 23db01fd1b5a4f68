"""Pre-trains the vision tower: a CLIP ViT, contrastively, against captions.

Shapes: N pictures = captions, C caption tokens, D width.
"""

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPVisionConfig, CLIPVisionModel

from llava_fast.config import CLIP_MEAN, CLIP_STD

from ..questions import caption
from ..render import SIZE, photograph
from ..scenes import Scene, edited, random_scene
from .documents import Encoder
from .optim import cosine, minimise
from .tokenizer import VOCABULARY

STEPS = 1_061
RATE = 2e-3
SCENES = 30_000
GROUP = 4  # scenes that differ from one another by single edits: hard negatives
GROUPS_A_STEP = 24
EASY_SHARE = 0.08  # of the steps, at the beginning: groups grown from at most two things
SMALL_EVERY = 4  # every fourth step sees pictures of half the size, as position interpolation does
WIDTH = 128
LONGEST_CAPTION = 64  # tokens

CONFIG: dict[str, Any] = {
    "hidden_size": WIDTH,
    "intermediate_size": 4 * WIDTH,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "image_size": SIZE,
    "patch_size": 16,
    "hidden_act": "quick_gelu",
    "projection_dim": WIDTH,
}


class CaptionTower(nn.Module):
    """Two transformer layers and the mean over a caption's tokens; thrown away afterwards."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, WIDTH)
        self.position = nn.Parameter(0.02 * torch.randn(LONGEST_CAPTION, WIDTH))
        layer = nn.TransformerEncoderLayer(
            WIDTH, 4, 4 * WIDTH, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, ids_NC: Tensor, pad_id: int) -> Tensor:
        """(N, D)."""
        padding_NC = ids_NC == pad_id
        states_NCD = self.embedding(ids_NC) + self.position[: ids_NC.shape[1]]
        states_NCD = self.norm(self.layers(states_NCD, src_key_padding_mask=padding_NC))
        real_NC1 = (~padding_NC)[..., None]
        return (states_NCD * real_NC1).sum(1) / real_NC1.sum(1)


class Contrast(nn.Module):
    """Both towers, their projections to one space and the temperature of CLIP's loss."""

    def __init__(self) -> None:
        super().__init__()
        self.vision = CLIPVisionModel(CLIPVisionConfig(**CONFIG))
        self.captions = CaptionTower()
        self.from_picture = nn.Linear(WIDTH, WIDTH, bias=False)
        self.from_caption = nn.Linear(WIDTH, WIDTH, bias=False)
        self.log_scale = nn.Parameter(torch.tensor(1 / 0.07).log())

    def forward(self, pixels_NCHW: Tensor, ids_NC: Tensor, pad_id: int) -> Tensor:
        """Symmetric cross-entropy: each picture finds its caption, each caption its picture."""
        seen = self.vision(pixels_NCHW, interpolate_pos_encoding=True).pooler_output
        picture_ND = F.normalize(self.from_picture(seen), dim=-1)
        caption_ND = F.normalize(self.from_caption(self.captions(ids_NC, pad_id)), dim=-1)
        logits_NN = self.log_scale.exp().clamp(max=100) * picture_ND @ caption_ND.T
        own = torch.arange(len(logits_NN))
        return (F.cross_entropy(logits_NN, own) + F.cross_entropy(logits_NN.T, own)) / 2


class Examples:
    """Groups of similar scenes with their pictures (uint8, GROUP to a group) and caption ids."""

    def __init__(self, encoder: Encoder, rng: Random, groups: int) -> None:
        self.groups = [similar_scenes(rng) for _ in range(groups)]
        scenes = [scene for group in self.groups for scene in group]
        pictures = np.empty((len(scenes), SIZE, SIZE, 3), np.uint8)
        for number, scene in enumerate(scenes):
            pictures[number] = photograph(scene, rng)
        self.pictures = torch.from_numpy(pictures)
        ids = [torch.tensor(encoder.ids(caption(scene))) for scene in scenes]
        self.ids = nn.utils.rnn.pad_sequence(ids, batch_first=True, padding_value=encoder.pad_id)
        self.all = list(range(len(self.groups)))
        easy = [i for i in self.all if len(self.groups[i][0]) <= 2]
        self.easy = easy if len(easy) >= GROUPS_A_STEP else self.all

    def batch(self, rng: Random, easy: bool, small: bool) -> tuple[Tensor, Tensor]:
        """Normalised pixels (N, 3, H, W), H = W = SIZE or half of it, and caption ids (N, C)."""
        groups = rng.sample(self.easy if easy else self.all, GROUPS_A_STEP)
        rows = [group * GROUP + i for group in groups for i in range(GROUP)]
        pixels = normalised(self.pictures[rows])
        return F.avg_pool2d(pixels, 2) if small else pixels, self.ids[rows]


def similar_scenes(rng: Random) -> list[Scene]:
    """GROUP different scenes, each a single edit of an earlier one."""
    group = [random_scene(rng, held_pairs=True)]
    while len(group) < GROUP:
        scene = edited(rng.choice(group), rng)
        if scene not in group:
            group.append(scene)
    return group


def normalised(pictures_NHWC: Tensor) -> Tensor:
    """uint8 to the tower's input (N, 3, H, W)."""
    values = pictures_NHWC.float() / 255
    return ((values - torch.tensor(CLIP_MEAN)) / torch.tensor(CLIP_STD)).permute(0, 3, 1, 2)


def pretrain_tower(
    tokenizer_json: Path, seed: int, steps: int, report: Callable[[int, float], None]
) -> CLIPVisionModel:
    """A tower whose class token tells scenes apart that differ in one word of their caption."""
    torch.manual_seed(seed)
    rng, encoder = Random(seed), Encoder(tokenizer_json)
    groups = min(SCENES // GROUP, steps * GROUPS_A_STEP)  # a short run needs no more
    examples, model = Examples(encoder, rng, groups), Contrast()

    def loss_at(n: int) -> Tensor:
        easy, small = n < EASY_SHARE * steps, n % SMALL_EVERY == SMALL_EVERY - 1
        return model(*examples.batch(rng, easy, small), encoder.pad_id)

    minimise([model], loss_at, steps, RATE, cosine, report)
    return model.vision

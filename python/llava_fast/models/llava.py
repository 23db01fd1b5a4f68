"""LLaVA: a vision tower whose projected features take the image slots of a language model's input.

Letters: T tokens of all documents in a row, D features, N pictures, P patches, R supervised rows,
V vocabulary, B rows of L positions as they came.
"""

from dataclasses import dataclass
from os import PathLike

import torch
import torch.nn.functional as F
from torch import nn

from llava_fast import ops
from llava_fast.config import ImageConfig
from llava_fast.models.batch import IGNORED, Pack, pack_batch
from llava_fast.models.config import LlavaConfig
from llava_fast.models.language import Context, Documents, LanguageModel
from llava_fast.models.projector import Projector
from llava_fast.models.vision import VisionTower
from llava_fast.template import Template


@dataclass(frozen=True)
class LlavaOutput:
    """loss: scalar, or None without labels. logits: (R, V) for a native batch, else (B, L, V),
    zero at padding.
    """

    loss: torch.Tensor | None
    logits: torch.Tensor


class LlavaModel(nn.Module):
    """`model(**batch) -> LlavaOutput`, for both formats of `DataLoader` and for transformers'
    batches.

    assets: the small files of the directory it came from (tokenizer, processor, generation
        settings), by name; `save_pretrained` writes them back.
    """

    def __init__(self, config: LlavaConfig) -> None:
        super().__init__()
        self.config = config
        self.assets: dict[str, bytes] = {}
        vision, text = config.vision, config.text
        self.vision_tower = VisionTower(vision, config.used_layers)
        self.projector = Projector(config.projector, vision.hidden_size, text.hidden_size)
        self.language_model = LanguageModel(text)
        tied = text.tie_word_embeddings
        self.lm_head = None if tied else nn.Linear(text.hidden_size, text.vocab_size, bias=False)

    @classmethod
    def from_pretrained(
        cls,
        directory: str | PathLike[str],
        dtype: torch.dtype | None = None,
        device: str | torch.device = "cpu",
        *,
        vision_tower: str | PathLike[str] | None = None,
    ) -> "LlavaModel":
        """A model from a directory of transformers' LLaVA (any of its key layouts) or of the
        original.

        dtype: None = the one that `config.json` names.
        vision_tower: CLIP directory, for an original checkpoint that does not hold the tower.
        Raises ValueError naming file and cause for anything that is not such a directory.
        """
        from llava_fast.checkpoint import load_model

        return load_model(cls, directory, dtype, device, vision_tower)

    @classmethod
    def from_backbones(
        cls,
        vision_dir: str | PathLike[str],
        llm_dir: str | PathLike[str],
        projector: str = "mlp2x_gelu",
        seed: int = 0,
        *,
        image_token_id: int | None = None,
        tokenizer: str | PathLike[str] | None = None,
        feature_layer: int = -2,
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
    ) -> "LlavaModel":
        """A new LLaVA from a CLIP directory and a Llama directory; the projector is drawn from
        `seed`.

        tokenizer: directory of the tokenizer; None = `llm_dir`, or the one above it.
        image_token_id: None = what the tokenizer says (`<image>`, else its unknown token).
        """
        from llava_fast.checkpoint import join_backbones

        return join_backbones(
            cls,
            vision_dir,
            llm_dir,
            projector,
            seed,
            image_token_id=image_token_id,
            tokenizer=tokenizer,
            feature_layer=feature_layer,
            dtype=dtype,
            device=device,
        )

    def save_pretrained(
        self,
        directory: str | PathLike[str],
        layout: str = "hf",
        *,
        template: Template | None = None,
        image: ImageConfig | None = None,
    ) -> None:
        """Write a model directory: complete or, after a kill at any moment, not at all.

        layout: "hf" = `LlavaForConditionalGeneration.from_pretrained` reads it; "original" = the
            names of haotian-liu/LLaVA, the tower in the sub-directory `vision_tower`.
        template, image: how the model was trained; None = as loaded.
        Raises ValueError when `directory` holds something that is not a model.
        """
        from llava_fast.checkpoint import save_model

        save_model(self, directory, layout, template, image)

    @property
    def head_weight(self) -> torch.Tensor:
        """(V, D): the head, or the embedding it is tied to."""
        return (self.language_model.embed_tokens if self.lm_head is None else self.lm_head).weight

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.head_weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights."""
        return self.head_weight.dtype

    def forward(
        self,
        *,
        reduction: str = "mean",
        num_items_in_batch: int | torch.Tensor | None = None,
        **batch: object,
    ) -> LlavaOutput:
        """Loss and logits.

        batch: the keys of either loader format, or {"input_ids", "pixel_values", "attention_mask",
            "labels"}; see `models.batch.pack_batch`.
        reduction: "mean" over the supervised tokens, or "sum".
        num_items_in_batch: supervised tokens of a larger batch that the sum is divided by instead
            (transformers' Trainer passes it).
        """
        if reduction not in ("mean", "sum"):
            raise ValueError(f"reduction: got `{reduction}`, expected `mean` or `sum`")
        pack = pack_batch(batch, self.config.image_token_id, self.config.image_tokens)
        x_TD = self.hidden(pack, Documents(pack.lengths))
        if pack.loss_rows is not None:
            x_TD = x_TD.index_select(0, pack.loss_rows)
        if pack.targets is None:
            return LlavaOutput(None, _as_it_came(F.linear(x_TD, self.head_weight), pack))
        loss, logits = ops.linear_cross_entropy(x_TD, self.head_weight, pack.targets)
        if num_items_in_batch is not None:
            loss = loss / num_items_in_batch
        elif reduction == "mean":
            loss = loss / (pack.targets != IGNORED).sum().clamp(min=1)
        return LlavaOutput(loss, _as_it_came(logits, pack))

    def hidden(self, pack: Pack, context: Context) -> torch.Tensor:
        """Last hidden states (T, D), after the final norm, of documents in a row."""
        x_TD = self.embed(pack.ids, pack.pixels, pack.slots)
        return self.language_model(x_TD, pack.positions, context)

    def embed(
        self, ids_T: torch.Tensor, pixels: torch.Tensor | None, slots: torch.Tensor | None
    ) -> torch.Tensor:
        """Token embeddings (T, D), picture features written into their slots (N * P,) in order."""
        x_TD = self.language_model.embed_tokens(ids_T)
        if pixels is None or slots is None:
            return x_TD
        f_SD = self.projector(self.vision_tower(pixels)).flatten(0, 1)
        return x_TD.index_copy(0, slots.long(), f_SD.to(x_TD.dtype))


def _as_it_came(logits_TV: torch.Tensor, pack: Pack) -> torch.Tensor:
    """Logits at the places of a shaped batch (B, L, V); a native batch keeps its rows."""
    if pack.shape is None or pack.kept is None:
        return logits_TV
    rows, width = pack.shape
    if len(pack.kept) == rows * width:
        return logits_TV.view(rows, width, -1)
    places = logits_TV.new_zeros((rows * width, logits_TV.shape[-1]))
    return places.index_copy(0, pack.kept, logits_TV).view(rows, width, -1)

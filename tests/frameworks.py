"""What the tests of foreign training loops share: a small model, and whose tokens a batch holds."""

from itertools import pairwise

import torch

from llava_fast import DataLoader

SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4}


def tiny_llava(tokenizer, seed=0):
    """A random `LlavaForConditionalGeneration` for the pictures and ids of `tiny_data`."""
    from transformers import (
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
    )

    torch.manual_seed(seed)
    vision = CLIPVisionConfig(**SIZES, num_hidden_layers=2, image_size=28, patch_size=14)
    text = LlamaConfig(**SIZES, num_hidden_layers=2, vocab_size=tokenizer.vocab_size)
    config = LlavaConfig(
        vision_config=vision, text_config=text, image_token_index=tokenizer.image_id
    )
    return LlavaForConditionalGeneration(config)


def documents(batch):
    """The ids of each document of a batch, packed or padded, without padding."""
    ids = batch["input_ids"]
    if "attention_mask" in batch:
        rows = zip(ids, batch["attention_mask"].bool(), strict=True)
        return [tuple(row[real].tolist()) for row, real in rows]
    borders = pairwise(batch["cu_seq_lens_q"].tolist())
    return [tuple(ids[0, start:end].tolist()) for start, end in borders]


class Recognizer:
    """Which records a batch holds; the records of `tiny_data` all have different ids."""

    def __init__(self, dataset):
        self.numbers = {tuple(dataset[n]["input_ids"].tolist()): n for n in range(len(dataset))}
        assert len(self.numbers) == len(dataset)

    def __call__(self, batch):
        """Record numbers in order; pad documents, which belong to no record, are left out."""
        return [self.numbers[d] for d in documents(batch) if d in self.numbers]


def epochs(dataset, count, **options):
    """Record numbers of each batch of the first `count` epochs of our own loader."""
    recognize = Recognizer(dataset)
    loader = DataLoader(dataset, **options)
    return [[recognize(batch) for batch in loader] for _ in range(count)]


def flat(batches):
    return sorted(number for batch in batches for number in batch)

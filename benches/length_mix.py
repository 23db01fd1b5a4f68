"""Lengths of documents as in LLaVA-1.5's mix: the published counts of its parts, and text lengths
that were assumed for them, lognormal."""

from typing import NamedTuple

import numpy as np

IMAGE_TOKENS = 576
MAX_LENGTH = 2048
SHORTEST = 30


class Part(NamedTuple):
    """records, pictures in each, median and spread of the text's tokens, its longest."""

    records: int
    images: int
    median: float
    sigma: float
    longest: int = MAX_LENGTH - IMAGE_TOKENS


PARTS = (
    Part(56_681, 1, 330, 0.35),  # conversations
    Part(76_643, 1, 260, 0.35),  # reasoning
    Part(23_240, 1, 150, 0.3),  # descriptions
    Part(40_688, 0, 1000, 0.9, MAX_LENGTH),  # ShareGPT
    Part(82_783, 1, 200, 0.5),  # VQAv2
    Part(72_140, 1, 250, 0.5),  # GQA
    Part(8_998, 1, 80, 0.4),  # OKVQA
    Part(80_000, 1, 160, 0.3),  # OCR-VQA
    Part(66_160, 1, 130, 0.4),  # A-OKVQA
    Part(21_953, 1, 90, 0.3),  # TextCaps
    Part(48_447, 1, 420, 0.5),  # RefCOCO
    Part(86_417, 1, 480, 0.5),  # Visual Genome
)


def lengths(seed: int = 0, share: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """(n,) int32 tokens and (n,) uint16 pictures, shuffled; `share` of the records of each part."""
    rng = np.random.default_rng(seed)
    tokens, images = [], []
    for part in PARTS:
        count = int(part.records * share)
        text = np.exp(rng.normal(np.log(part.median), part.sigma, count)).astype(int)
        whole = text.clip(SHORTEST, part.longest) + IMAGE_TOKENS * part.images
        tokens.append(np.minimum(whole, MAX_LENGTH))
        images.append(np.full(count, part.images))
    order = rng.permutation(sum(map(len, tokens)))
    return (
        np.concatenate(tokens)[order].astype(np.int32),
        np.concatenate(images)[order].astype(np.uint16),
    )

"""The next token from its logits. V vocabulary, B rows."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Sampler:
    """How one text chooses its tokens.

    temperature: 0 = the most likely token. top_p: sample from the smallest set of tokens that holds
    this much probability. random: the text's own generator, so that its company changes nothing.
    """

    temperature: float
    top_p: float
    random: torch.Generator

    @classmethod
    def seeded(cls, temperature: float, top_p: float, seed: int) -> "Sampler":
        """A sampler that starts from `seed`."""
        return cls(temperature, top_p, torch.Generator().manual_seed(seed))

    def probabilities(self, logits_V: torch.Tensor) -> torch.Tensor:
        """(V,) float64, what is drawn from; `temperature` > 0."""
        logits_V = logits_V.double()
        # Without the subtraction a tiny temperature gives inf - inf.
        p_V = ((logits_V - logits_V.max()) / self.temperature).softmax(-1)
        if self.top_p < 1:
            sorted_V, order_V = p_V.sort(descending=True)
            # A token stays while the ones before it do not hold enough; the first always stays.
            enough_V = sorted_V.cumsum(-1) - sorted_V >= self.top_p
            p_V = p_V.index_fill(0, order_V[enough_V], 0.0)
        return p_V / p_V.sum()


def choose(logits_BV: torch.Tensor, samplers: list[Sampler]) -> list[int]:
    """One token id per row; the host reads the device once when all rows are greedy."""
    chosen = logits_BV.argmax(-1).tolist()
    for row, sampler in enumerate(samplers):
        if sampler.temperature > 0:
            p_V = sampler.probabilities(logits_BV[row].cpu())
            chosen[row] = int(torch.multinomial(p_V, 1, generator=sampler.random))
    return chosen

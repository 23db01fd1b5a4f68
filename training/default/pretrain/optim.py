"""The optimizers of the pre-training runs, and the loop over their steps."""

import math
from collections import deque
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

NEWTON_SCHULZ = (3.4445, -4.775, 2.0315)  # quintic that pushes singular values towards 1
CLIP_NORM = 1.0
WARM_UP = 0.03


class Muon(torch.optim.Optimizer):
    """Orthogonalised momentum for hidden matrices.

    The update is Nesterov momentum with its singular values set to about 1, scaled so that its size
    resembles AdamW's. Source: Jordan et al., "Muon" (2024); scale of Liu et al., arXiv 2502.16982.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.05,
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:
        """One update of every parameter that has a gradient."""
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[nn.Parameter]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_shape.setdefault(parameter.shape, []).append(parameter)
            for parameters in by_shape.values():
                self._update(parameters, group)

    def _update(self, parameters: list[nn.Parameter], group: dict[str, float]) -> None:
        """Matrices of one shape at once."""
        directions = torch.stack([self._momentum(p, group["momentum"]) for p in parameters])
        updates = orthogonalised(directions)
        size = 0.2 * max(parameters[0].shape) ** 0.5
        for parameter, update in zip(parameters, updates, strict=True):
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
            parameter.add_(update, alpha=-group["lr"] * size)

    def _momentum(self, parameter: nn.Parameter, momentum: float) -> Tensor:
        state = self.state[parameter].setdefault("momentum", torch.zeros_like(parameter))
        state.lerp_(parameter.grad, 1 - momentum)
        return parameter.grad.lerp(state, momentum)


def orthogonalised(matrices: Tensor) -> Tensor:
    """(n, rows, columns), with singular values near 1: five Newton-Schulz steps."""
    wide = matrices.shape[1] <= matrices.shape[2]
    x = matrices if wide else matrices.mT
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    a, b, c = NEWTON_SCHULZ
    for _ in range(5):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x if wide else x.mT


def cosine(share: float) -> float:
    """Factor of the rate at `share` (0..1): linear warm-up, then half a cosine to 0."""
    if share < WARM_UP:
        return share / WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (share - WARM_UP) / (1 - WARM_UP)))


def late_decay(share: float) -> float:
    """Factor of the rate: linear warm-up, constant, linear decay in the last 30 %."""
    return max(0.01, min(1, share / WARM_UP, (1 - share) / 0.3))


def minimise(
    modules: list[nn.Module],
    loss_at: Callable[[int], Tensor],
    steps: int,
    rate: float,
    schedule: Callable[[float], float],
    report: Callable[[int, float], None],
) -> None:
    """Trains `modules`: Muon on the matrices of their layers, AdamW on everything else.

    loss_at: the loss of step n. report: called with n and the mean loss of the last 50 steps, a
    hundred times and after the last step.
    """
    named = [item for module in modules for item in module.named_parameters()]
    hidden = [p for name, p in named if p.ndim == 2 and "layers" in name]
    others = [p for name, p in named if not (p.ndim == 2 and "layers" in name)]
    adam = torch.optim.AdamW(others, rate, betas=(0.9, 0.98), weight_decay=0.01)
    optimizers = [Muon(hidden, rate), adam]
    recent: deque[float] = deque(maxlen=50)
    every = max(1, steps // 100)
    for n in range(steps):
        loss = loss_at(n)
        loss.backward()
        nn.utils.clip_grad_norm_(hidden + others, CLIP_NORM)
        for optimizer in optimizers:
            optimizer.param_groups[0]["lr"] = rate * schedule(n / steps)
            optimizer.step()
            optimizer.zero_grad()
        recent.append(loss.item())
        if (n + 1) % every == 0 or n + 1 == steps:
            report(n + 1, sum(recent) / len(recent))

"""The check before the clock: a bench whose two results disagree fails and times nothing."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from llava_fast.config import CLIP_STD


@dataclass(frozen=True)
class Verdict:
    """Whether the results were equal bit for bit, and the measured difference if not.

    error: largest and mean difference in grey levels, where pixels were compared.
    """

    exact: bool
    note: str = ""
    error: tuple[float, float] | None = None


Gate = Callable[[object, object], Verdict]


class GateError(AssertionError):
    """Ours and the peer's result differ more than the bench states."""


def identical(ours: dict, peer: dict) -> Verdict:
    """Every array equal in dtype, shape and bytes."""
    if ours.keys() != peer.keys():
        raise GateError(f"results: got {sorted(ours)}, expected {sorted(peer)}")
    for name in peer:
        got, expected = np.asarray(ours[name]), np.asarray(peer[name])
        if (got.dtype, got.shape) != (expected.dtype, expected.shape):
            raise GateError(
                f"{name}: got {got.dtype} {got.shape}, expected {expected.dtype} {expected.shape}"
            )
        if got.tobytes() != expected.tobytes():
            different = np.count_nonzero(got != expected)
            raise GateError(f"{name}: {different} of {got.size} values differ from the peer's")
    return Verdict(exact=True)


def within_grey_levels(most: int, share: float) -> Gate:
    """`pixel_values` at most `most` grey levels apart, on at most `share` of the values.

    For peers that resize by another rule than Pillow. All other arrays must be identical.
    """

    def gate(ours: dict, peer: dict) -> Verdict:
        identical(_without_pixels(ours), _without_pixels(peer))
        got, expected = np.asarray(ours["pixel_values"]), np.asarray(peer["pixel_values"])
        if got.shape != expected.shape:
            raise GateError(f"pixel_values: got {got.shape}, expected {expected.shape}")
        levels = _grey_levels(got, expected)
        differing = np.count_nonzero(levels) / levels.size
        if levels.max() > most or differing > share:
            raise GateError(
                f"pixel_values: {differing:.2%} of the values differ, by up to {levels.max()} grey "
                f"levels, expected at most {share:.0%} and {most}"
            )
        return Verdict(
            exact=not differing and got.tobytes() == expected.tobytes(),
            note=f"{differing:.2%} of the values differ, by up to {levels.max()} grey levels",
            error=(float(levels.max()), float(levels.mean())),
        )

    return gate


@dataclass(frozen=True)
class Bound:
    """How far the pixels of a peer may be from the reference: largest and mean, in grey levels."""

    most: float
    mean: float


EXACT = Bound(0.0, 0.0)


def against_reference(
    ours: np.ndarray, peer: np.ndarray, reference: np.ndarray, bound: Bound, scale: float = 1.0
) -> Verdict:
    """Ours equal to the reference bit for bit, the peer as near to it as `bound` says.

    scale: grey levels per unit of the values.
    """
    identical({"pixels": ours}, {"pixels": reference})
    if bound == EXACT:
        identical({"pixels": peer}, {"pixels": reference})
        return Verdict(exact=True, error=(0.0, 0.0))
    if peer.shape != reference.shape:
        raise GateError(f"peer: got {peer.shape}, expected {reference.shape}")
    distance = np.abs(peer.astype(np.float64) - reference) * scale
    most, mean = float(distance.max()), float(distance.mean())
    if most > bound.most or mean > bound.mean:
        raise GateError(
            f"peer: up to {most:.2f} grey levels from the reference, {mean:.4f} on average, "
            f"expected at most {bound.most:g} and {bound.mean:g}"
        )
    return Verdict(exact=peer.tobytes() == reference.tobytes(), error=(most, mean))


def _without_pixels(result: dict) -> dict:
    return {name: value for name, value in result.items() if name != "pixel_values"}


def _grey_levels(got: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """|difference| of two (N, 3, S, S) arrays of normalised pixels, in steps of the 8-bit input."""
    scale = np.asarray(CLIP_STD, np.float64).reshape(1, 3, 1, 1) * 255
    return np.rint(np.abs(got.astype(np.float64) - expected) * scale).astype(np.int64)

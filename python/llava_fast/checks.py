"""Arguments that are refused by name before anything is done with them. No torch, no numpy."""

import operator
from typing import Any

# What fits the number of tokens, batches or ranks anywhere in the data path.
LARGEST_COUNT = 2**31 - 1
LARGEST_SEED = 2**64 - 1


def integer(name: str, value: Any, least: int, most: int) -> int:
    """`value` as an int in `least..most`; numpy's integers are taken too.

    Raises:
        ValueError: naming the argument and its range.
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or not least <= number <= most:
        raise ValueError(f"{name}: got {value!r}, expected {least}..{_shown(most)}")
    return number


def positive(name: str, value: Any) -> float:
    """`value` as a float above 0; infinity is one.

    Raises:
        ValueError: naming the argument.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
        return float(value)
    raise ValueError(f"{name}: got {value!r}, expected a number above 0")


def one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    """Raises ValueError naming the argument and what it may be."""
    if value not in allowed:
        raise ValueError(f"{name}: got `{value}`, expected one of {', '.join(allowed)}")


def _shown(most: int) -> str:
    """Large bounds are powers of two, and read better as such."""
    bits = most.bit_length()
    return f"2**{bits} - 1" if bits > 16 and most == 2**bits - 1 else str(most)


def reading(compat: str, keep_leading_answer: bool) -> tuple[bool, bool]:
    """How records are read that are not as they should be, as the extension takes it."""
    if compat not in ("strict", "llava"):
        raise ValueError(f"compat: got `{compat}`, expected `strict` or `llava`")
    return compat == "llava", bool(keep_leading_answer)

"""Where a model runs."""

import torch


def pick_device(name: str = "auto") -> str:
    """`name`, checked; "auto" is cuda where there is one, else cpu.

    Raises:
        ValueError: torch cannot use that device here.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        # torch speaks in many lines; the first says what is wrong.
        raise ValueError(f"device `{name}`: {str(error).splitlines()[0]}") from None
    return name

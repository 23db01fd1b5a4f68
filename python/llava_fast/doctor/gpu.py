"""What torch sees of this machine. Loads torch."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

Finding = tuple[str, Literal["ok", "warning", "failed"], str, str]
# Exists where the driver of an NVIDIA GPU is loaded.
DRIVER = Path("/proc/driver/nvidia/version")


def examine_torch() -> Iterator[Finding]:
    """name, status, text, advice; see `doctor.Line`."""
    try:
        import torch
    except (ImportError, OSError) as error:
        yield "import torch", "failed", str(error).splitlines()[0], "install torch again"
        return
    if torch.cuda.is_available():
        yield from _devices()
    elif DRIVER.exists():
        text = f"torch {torch.__version__} cannot use the GPU of this machine"
        advice = "install a torch built for the CUDA version that `nvidia-smi` shows"
        yield "CUDA", "warning", text, advice
    else:
        yield "CUDA", "ok", "no GPU: everything runs on the CPU", ""


def _devices() -> Iterator[Finding]:
    import torch

    for index in range(torch.cuda.device_count()):
        device = torch.cuda.get_device_properties(index)
        memory = f"{device.total_memory / 2**30:.0f} GiB"
        text = f"{device.name}, {memory}, compute capability {device.major}.{device.minor}"
        yield f"CUDA device {index}", "ok", text, ""
    if find_spec("triton") is None:
        yield "triton", "warning", "not installed: no kernel is compiled", "`pip install triton`"

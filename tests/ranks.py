"""Several processes as `torchrun` would start them: one call of a function per rank, over gloo.

A rank that fails leaves the others waiting for it, so all are killed after a time, and each case
runs in processes of its own. A case is a function in `tests/rank_cases.py`.
"""

import json
import os
import socket
import subprocess
import sys
import time

from tests.repository import ROOT

SECONDS = 150


def run_ranks(case, *arguments, ranks=2):
    """What `case(*arguments)` gave on each rank; both ways as JSON."""
    code = f"from tests.rank_cases import main; main({case!r}, {json.dumps(arguments)!r})"
    # One port for the whole case; it is free between being found here and taken by rank 0.
    port = str(_free_port())
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env=os.environ | _place(rank, ranks, port),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(ranks)
    ]
    return [json.loads(text.splitlines()[-1]) for text in _outputs(case, processes)]


def _place(rank, ranks, port):
    return {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(ranks),
        "LOCAL_WORLD_SIZE": str(ranks),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }


def _outputs(case, processes):
    end = time.monotonic() + SECONDS
    outputs = []
    try:
        for process in processes:
            outputs.append(process.communicate(timeout=max(1, end - time.monotonic()))[0])
    finally:
        for process in processes:
            process.kill()
    for process, text in zip(processes, outputs, strict=True):
        assert process.returncode == 0, f"{case}:\n{text}"
    return outputs


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]

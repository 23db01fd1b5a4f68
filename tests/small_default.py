"""The embedded default in small: few pictures, ten steps a stage."""

import os
import subprocess
from pathlib import Path

WORLD = """from pathlib import Path
from llava_fast.training.default.world import write_world
write_world(Path("runs/tiny/data"), seed=0, scenes=60, held_out=10)"""


def train_small_default(folder: Path, python: str | Path) -> Path:
    """Runs it in `folder` with another interpreter; returns the run directory.

    The trainer finds the data where the recipe would have put it, and takes it as it is.
    """
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    for arguments in (["-c", WORLD], ["-m", "llava_fast.training.run", "steps=10"]):
        result = subprocess.run(
            [python, *arguments], cwd=folder, env=environment, capture_output=True, text=True
        )
        assert result.returncode == 0, result.stdout + result.stderr
    return folder / "runs" / "tiny"

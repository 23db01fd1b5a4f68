"""Many samples through one process: memory, threads and open files stay what they were."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests import faulty_mixture
from tests.scale import scaled

ROOT = Path(__file__).resolve().parent.parent
# Growth of the resident memory that is allowed, in MB for 10,000 samples, and what is noise.
SLOPE, NOISE = 1.0, 4.0

# Epoch after epoch in every layout, some of them left in the middle; a line of JSON for each pass:
# samples so far; resident MB, threads and open files, worker processes included.
CHILD = """
import gc, itertools, json, multiprocessing, os, sys
from pathlib import Path
from llava_fast import DataLoader
from tests import faulty_mixture
from tests.tiny_data import PACK

path, samples, workers = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
dataset = faulty_mixture.dataset(path)
options = {"num_threads": 2, "num_workers": workers, "persistent_workers": workers > 0}
loaders = [
    DataLoader(dataset, pack_tokens=PACK, format="native", **options),
    DataLoader(dataset, pack_tokens=PACK, batches_per_step=4, **options),
    DataLoader(dataset, batch_size=3, group_by_length=True, **options),
]


def use():
    processes = ["self", *(child.pid for child in multiprocessing.active_children())]
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in processes)
    tasks, files = (
        sum(len(os.listdir(f"/proc/{pid}/{kind}")) for pid in processes) for kind in ("task", "fd")
    )
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6, tasks, files


done = 0
for number in itertools.count():
    loader = loaders[number % len(loaders)]
    most = len(loader) // 2 if number % 5 == 4 and workers == 0 else None
    before = loader.stats()["samples"]
    for _ in itertools.islice(loader, most):
        pass
    done += loader.stats()["samples"] - before
    gc.collect()
    print(json.dumps([done, *use()]), flush=True)
    if done >= samples:
        break
print(json.dumps(sum(loader.stats()["bad"].get("truncated_image", 0) for loader in loaders)))
"""


@pytest.mark.parametrize(("workers", "samples"), [(0, 50_000), (2, 10_000)])
def test_soak(tmp_path, workers, samples):
    path = faulty_mixture.write(tmp_path, 400)
    samples = scaled(samples, least=4_000 if workers == 0 else 2_000)
    command = [sys.executable, "-c", CHILD, str(path), str(samples), str(workers)]
    lines = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    *passes, bad = [json.loads(line) for line in lines.splitlines()]
    # Every loader has started its workers after a pass.
    warm = max(3, len(passes) // 5)
    done, memory, threads, files = np.array(passes[warm:]).T
    assert done[-1] >= samples
    assert bad > samples // 200
    early, late = (np.median(half) for half in np.array_split(memory, 2))
    print(f"{done[-1]:.0f} samples: {early:.1f} to {late:.1f} MB, {set(threads)}, {set(files)}")
    assert late - early < NOISE + SLOPE * samples / 20_000
    # A reader more or less, by how busy the machine is; a leak would be one for each pass.
    for counted in (threads, files):
        before, after = (half.max() for half in np.array_split(counted, 2))
        assert after <= before + 2 * (1 + workers), counted

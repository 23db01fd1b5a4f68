"""`llava-fast index --check` of a file of 665,298 conversations, in a process of its own.

There is no peer that does this: the row has limits of time and memory instead.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

from benches.conftest import Limited
from benches.records import TOKENIZER
from benches.results import ROOT

THREADS = 2
# The highest resident size is that of the process, so it has to say it itself.
CHECK = """
import re, sys
from pathlib import Path
from llava_fast.cli import main
try:
    main(sys.argv[1:])
finally:
    status = Path("/proc/self/status").read_text()
    print(re.search(r"VmHWM:\\s*(\\d+)", status)[1], file=sys.stderr)
"""


def bench_check(limited: Limited, mixture_file: Path) -> None:
    words = ["index", mixture_file, "--check", "--tokenizer", TOKENIZER, "--max-length", 4096]
    words += ["--threads", THREADS, "--json"]
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", CHECK, *map(str, words)], cwd=ROOT, capture_output=True, text=True
    )
    seconds = time.perf_counter() - began
    found, kibibytes = json.loads(done.stdout), int(done.stderr.split()[-1])
    assert found["usable"] > 0.99 * found["records"]
    limited(
        f"--check, text, {found['records']:,} records, {mixture_file.stat().st_size / 1e9:.2f} GB, "
        f"{THREADS} threads",
        seconds=seconds,
        megabytes=kibibytes * 1024 / 1e6,
    )

"""Prints what differs from the stored hashes, a JSON list."""

import json
import sys

from llava_fast.selftest import problems

if __name__ == "__main__":
    json.dump(problems(), sys.stdout)

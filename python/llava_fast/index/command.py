"""The command: what was asked for, checked or built, and said."""

import sys
from argparse import Namespace
from dataclasses import fields

from llava_fast.index.build import build
from llava_fast.index.check import check
from llava_fast.index.request import Request
from llava_fast.printable import one_line

USAGE = 2


def run(options: Namespace) -> int:
    """Does what the command line asks for and returns the exit status."""
    try:
        request = Request(**{field.name: getattr(options, field.name) for field in fields(Request)})
    except ValueError as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        return USAGE
    report = (check if request.check else build)(request, sys.stderr)
    if options.json:
        print(report.as_json())
    else:
        # A character that the terminal's encoding lacks is no reason to stop.
        sys.stdout.reconfigure(errors="backslashreplace")
        for line in report.lines():
            print(line)
    return report.status

"""`llava-fast <command>`. Nothing heavy is imported before a command needs it."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from llava_fast._rust import __version__
from llava_fast.printable import one_line

if TYPE_CHECKING:
    from llava_fast.request import Request

FAILED, USAGE, INTERRUPTED = 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit: 0, 1 for a failure (said in one line), 2 for a wrong call, 130 for
    Ctrl-C. `doctor` has 1 for warnings and 2 for failures.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["train"]:
        # `key=value` words and their help are the trainer's.
        from llava_fast.training.run import main as train

        train(words[1:])
        return
    options = _parser().parse_args(words)
    try:
        commands = {
            "generate": _generate,
            "doctor": _doctor,
            "inspect": _inspect,
            "index": _index,
        }
        sys.exit(commands[options.command](options))
    except BrokenPipeError:
        # Whoever read the answer has left; Python must not try to flush it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
    except (ValueError, OSError) as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        sys.exit(FAILED)
    except KeyboardInterrupt:
        print(file=sys.stderr)
        sys.exit(INTERRUPTED)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="llava-fast", description="Train a LLaVA and ask it.")
    parser.add_argument("--version", action="version", version=f"llava-fast {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    train = "train a model: recipe=NAME key=value ... (`llava-fast train --help`)"
    commands.add_parser("train", help=train, add_help=False)
    _add_generate(commands.add_parser("generate", help="ask a model, about pictures or without"))
    _add_doctor(commands.add_parser("doctor", help="check the installation, or a model directory"))
    _add_inspect(commands.add_parser("inspect", help="look at records as the loader encodes them"))
    _add_index(
        commands.add_parser("index", help="count or check a whole data set before training on it")
    )
    return parser


def _add_doctor(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Versions, processor paths, limits, a self-test of each path and what to do about each "
        "problem. With MODEL: its special ids, whether its ids are those of transformers, which "
        "template its chat template is. Exit status: 0 all is well, 1 warnings, 2 failures."
    )
    parser.add_argument("model", metavar="MODEL", nargs="?", help="model directory to examine")
    parser.add_argument("--fast", action="store_true", help="without loading torch")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def _add_inspect(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Shows records as the loader encodes them: segments, token ids, what is learned (+), "
        "pictures, stops, packs. A bad record is shown with its fault. Exit status: 0, 1 for a "
        "failure, 2 if a record would train on nothing."
    )
    parser.add_argument("data", metavar="DATA", help="file of LLaVA records")
    parser.add_argument("--tokenizer", metavar="DIR", help="directory; default: that of --model")
    parser.add_argument(
        "--model", metavar="DIR", help="tokenizer, template and image settings of this model"
    )
    parser.add_argument(
        "--template", metavar="NAME|FILE", help="name or .json file; default: of --model, else v1"
    )
    parser.add_argument(
        "--images",
        metavar="PLACE",
        help="folder, .zip or .tar of the pictures, or several in braces",
    )
    _add_sizes(parser)
    _add_reading(parser)
    parser.add_argument(
        "-n", dest="count", type=int, default=3, metavar="N", help="how many; default: 3"
    )
    parser.add_argument(
        "--record",
        dest="records",
        action="append",
        metavar="I|ID",
        help="this one, may be repeated",
    )
    parser.add_argument(
        "--pack-tokens", type=int, metavar="N", help="also the first packs of so many tokens"
    )
    parser.add_argument("--stats", action="store_true", help="also figures over all records")
    parser.add_argument("--html", metavar="FILE", help="write a page with pictures instead")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def _add_index(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Counts the tokens of every record and keeps that beside the data, or in the cache folder "
        "where that cannot be written, so that training starts at once. With --check: also how "
        "much is trained on, what is cut, which pictures are missing, which ids come twice; no "
        "counts are kept. Exit status: 0 all records are usable, 1 some are not, or a failure, 2 "
        "some would train on nothing."
    )
    parser.add_argument("data", metavar="DATA", help="file of LLaVA records")
    parser.add_argument("--check", action="store_true", help="look at the data and its pictures")
    parser.add_argument("--tokenizer", required=True, metavar="DIR", help="model directory")
    parser.add_argument("--template", default="v1", metavar="NAME|FILE", help="default: v1")
    parser.add_argument(
        "--images",
        metavar="PLACE",
        help="folder, .zip or .tar of the pictures, several in braces; without it none is opened",
    )
    _add_sizes(parser)
    _add_reading(parser)
    parser.add_argument("--threads", type=int, metavar="N", help="default: all there are")
    parser.add_argument("--index-dir", metavar="DIR", help="keep it there instead")
    parser.add_argument("--fresh", action="store_true", help="count anew what is kept")
    parser.add_argument(
        "--decode",
        action="store_true",
        help="with --check: decode every picture; default: headers only",
    )
    parser.add_argument(
        "--bad-list", metavar="FILE", help="with --check: write the bad records to it, as JSONL"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def _add_reading(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--compat",
        default="strict",
        metavar="RULES",
        help="strict, or llava: pictures without `<image>` are left out, surplus tags collapse",
    )
    parser.add_argument(
        "--keep-leading-answer",
        action="store_true",
        help="keep and learn an answer before the first question",
    )


def _add_sizes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--image-size", type=int, metavar="N", help="side of a square in pixels")
    parser.add_argument("--image-mode", metavar="MODE", help="crop, pad, stretch or anyres")
    parser.add_argument("--max-length", type=int, default=2048, metavar="N", help="in tokens")


def _add_generate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="model directory")
    parser.add_argument("--prompt", required=True, metavar="TEXT", help="the question")
    parser.add_argument(
        "--image",
        action="append",
        default=[],
        metavar="FILE",
        help="a picture; several are numbered by the order of `<image>` in the prompt",
    )
    parser.add_argument("--system", metavar="TEXT", help="instead of the template's system text")
    parser.add_argument("--template", metavar="NAME", help="default: as the model was trained")
    parser.add_argument("--max-new-tokens", type=int, default=256, metavar="N")
    parser.add_argument("--temperature", type=float, default=0.0, help="0 = greedy")
    parser.add_argument("--top-p", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--stop", action="append", default=[], metavar="TEXT", help="ends the answer"
    )
    parser.add_argument(
        "--device", default="auto", help="default: cuda where there is one, else cpu"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def _doctor(options: argparse.Namespace) -> int:
    from llava_fast.doctor import report

    text, status = report(options.fast, options.json, options.model)
    print(text)
    return status


def _inspect(options: argparse.Namespace) -> int:
    from llava_fast.inspect.command import run

    return run(options)


def _index(options: argparse.Namespace) -> int:
    from llava_fast.index.command import run

    return run(options)


def _generate(options: argparse.Namespace) -> int:
    try:
        from llava_fast.device import pick_device

        request, device = _request(options), pick_device(options.device)
    except ValueError as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        return USAGE
    from llava_fast.generate import Generator

    generator = Generator(options.model, template=options.template, device=device)
    if options.json:
        result = asdict(generator.generate([request])[0])
        print(json.dumps(result, ensure_ascii=False))
        return 0
    for piece in generator.stream(request):
        print(piece, end="", flush=True)
    print()
    return 0


def _request(options: argparse.Namespace) -> "Request":
    from llava_fast.request import Request

    messages = [{"role": "user", "content": options.prompt}]
    if options.system is not None:
        messages.insert(0, {"role": "system", "content": options.system})
    return Request(
        messages=messages,
        images=options.image,
        max_new_tokens=options.max_new_tokens,
        temperature=options.temperature,
        top_p=options.top_p,
        seed=options.seed,
        stop=options.stop,
    )

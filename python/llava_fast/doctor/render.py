"""What transformers makes of chats and texts with the files of a model directory.

`python -m llava_fast.doctor.render` reads a question as JSON from stdin and prints the answer. A
chat template is a program of unknown origin: transformers runs it in its sandbox, and here it runs
in a process of its own, with limits on time and memory.
"""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

SECONDS = 60
# transformers itself takes less than 1 GiB.
MEMORY = 3 << 30
# Longer than anything a chat template makes of two short questions.
MOST_CHARACTERS = 1 << 16

Chat = list[dict[str, Any]]


def ask(directory: Path, chats: list[tuple[Chat, bool]], texts: list[str]) -> dict[str, Any]:
    """chats: messages, and whether the model is to answer next. texts: to tokenize alone.

    Returns "chats", for each {"text" without BOS, "ids"} or {"error"}, None if there is no chat
    template; "texts", lists of ids; "kind", the class of the tokenizer. {"error"} alone if
    transformers cannot load the tokenizer.
    """
    home = str(Path(__file__).resolve().parents[2])
    search = os.pathsep.join(filter(None, [home, os.environ.get("PYTHONPATH")]))
    offline = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": search}
    question = {"directory": str(directory.resolve()), "chats": chats, "texts": texts}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "llava_fast.doctor.render"],
            input=json.dumps(question),
            env=os.environ | offline,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        return {"error": f"no answer within {SECONDS} s"}
    try:
        # Whatever else was printed stands before it.
        return json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        last = done.stderr.strip().splitlines()[-1:]
        return {"error": " ".join(last) or f"ended with exit status {done.returncode}"}


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """In the process of its own: loads the tokenizer and tries each chat and text."""
    from transformers import AutoTokenizer

    directory = Path(question["directory"])
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            directory, local_files_only=True, trust_remote_code=False
        )
    except Exception as error:
        return {"error": _named(error)}
    template = _template(tokenizer, directory)
    return {
        "kind": type(tokenizer).__name__,
        "chats": template and [_chat(tokenizer, template, *chat) for chat in question["chats"]],
        "texts": [
            tokenizer(text, add_special_tokens=False)["input_ids"] for text in question["texts"]
        ],
    }


def _template(tokenizer: Any, directory: Path) -> Any:
    """The tokenizer's, else the one that older processors keep in a file of their own."""
    own = getattr(tokenizer, "chat_template", None)
    file = directory / "chat_template.json"
    if own is None and file.is_file():
        from llava_fast.files import read_json

        return read_json(file).get("chat_template")
    return own


def _chat(tokenizer: Any, template: Any, messages: Chat, answers: bool) -> dict[str, Any]:
    try:
        text = tokenizer.apply_chat_template(
            messages,
            chat_template=None if isinstance(template, dict) else template,
            tokenize=False,
            add_generation_prompt=answers,
        )
    except Exception as error:
        return {"error": _named(error)}
    if len(text) > MOST_CHARACTERS:
        return {"error": f"{len(text)} characters, expected at most {MOST_CHARACTERS}"}
    # As the processors of transformers do: a BOS that is written out is not added again.
    bos = tokenizer.bos_token
    written = bos is not None and text.startswith(bos)
    ids = tokenizer(text, add_special_tokens=not written)["input_ids"]
    return {"text": text.removeprefix(bos) if written else text, "ids": ids}


def _named(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:500] if lines else ''}"


def main() -> None:
    """Answers the question on stdin."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    try:
        found = answer(json.load(sys.stdin))
    except (MemoryError, RecursionError) as error:
        found = {"error": _named(error)}
    print(f"\n{json.dumps(found)}")


if __name__ == "__main__":
    main()

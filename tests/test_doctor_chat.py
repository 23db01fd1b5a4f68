"""`llava-fast doctor MODEL`: which template a chat template is, where it differs, and safety."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from llava_fast import encode
from llava_fast.doctor import chat, model, render, report
from tests import tiny_data

CHATML = (
    "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\n"
    "You are a helpful assistant.<|im_end|>\\n' }}{% endif %}"
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] "
    "+ '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
LLAMA_3 = (
    "{{ bos_token }}{% for message in messages %}{{ '<|start_header_id|>' + message['role'] + "
    "'<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"
)
# In parts, as processors want it; no STOP after an answer.
LLAVA = (
    "{% for message in messages %}{% if message['role'] != 'system' %}"
    "{{ message['role'].upper() + ': ' }}{% endif %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}"
    "{{ '<image>\\n' }}{% endfor %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{{ content['text'] + ' ' }}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ raise_exception('no \x1b[2Jsystem') }}"
    "{% elif message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}"
    "{% else %}{{ ' ' + message['content'] + ' ' + eos_token }}{% endif %}{% endfor %}"
)


@pytest.fixture
def folder(tmp_path):
    """Makes a model directory of a tokenizer and a chat template."""

    def made(family: str, chats: str | None = None, **own: object) -> Path:
        place = tmp_path / "model"
        shutil.copytree(tiny_data.TOKENIZERS / family, place)
        if chats is not None:
            (place / "chat_template.jinja").write_text(chats)
        if own:
            (place / "llava_fast.json").write_text(json.dumps(own))
        return place

    return made


@pytest.fixture
def examine(monkeypatch):
    """Status and findings, {name: [(status, text)]}; transformers runs in this process."""

    def here(directory, chats, texts):
        question = {"directory": str(directory), "chats": chats, "texts": texts}
        return json.loads(json.dumps(render.answer(json.loads(json.dumps(question)))))

    def call(directory: Path):
        monkeypatch.setattr(model, "ask", here)
        text, status = report(False, True, str(directory))
        found: dict[str, list[tuple[str, str]]] = {}
        for line in json.loads(text)["lines"]:
            found.setdefault(line["name"], []).append((line["status"], line["text"]))
        return status, found

    return call


def run(*words: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "llava_fast", "doctor", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_the_template_that_is_equal_is_named(folder):
    done = run(folder("chatml", CHATML, template="qwen_2"))
    assert (done.returncode, done.stderr) == (0, "")
    lines = dict(line.split(maxsplit=1) for line in done.stdout.splitlines() if line[:2] == "ok")
    assert lines
    assert "equal to `qwen_1_5`, `qwen_2` in text and ids, 6 renderings" in done.stdout
    assert "`qwen_2` in llava_fast.json" in done.stdout
    assert "BOS none, EOS 1002 `<|im_end|>`, pad 1000 `<|endoftext|>`, image 1003" in done.stdout
    assert done.stdout.splitlines()[-1] == "all is well"


def test_json_is_one_object(folder):
    done = run(folder("chatml", CHATML), "--json")
    found = json.loads(done.stdout)
    assert (found["status"], done.returncode) == ("ok", 0)
    names = [line["name"] for line in found["lines"]]
    assert names == ["tokenizer", "special ids", "ids", "chat template", "own template"]


def test_a_system_text_of_ours_is_told_from_the_rest(folder, examine):
    status, found = examine(folder("llama3", LLAMA_3))
    assert status == 0
    [(_, text)] = found["chat template"]
    assert text == "equal to `llama_3` without its system text in text and ids, 6 renderings"


def test_the_first_difference_is_shown(folder, examine):
    place = folder("sp_legacy", LLAVA)
    status, found = examine(place)
    assert status == 1
    [(kind, text)] = found["chat template"]
    assert kind == "warning"
    assert text.startswith("none of ours; `v1_short` is closest, equal in 2 of 6 renderings")
    theirs = AutoTokenizer.from_pretrained(place)
    turns = [("human", chat.QUESTION), ("gpt", chat.ANSWER)]
    record = {"conversations": [{"from": who, "value": said} for who, said in turns]}
    ours = encode(record, tiny_data.tokenizer(), "v1_short").input_ids.tolist()
    written = f"USER: {chat.QUESTION} ASSISTANT: {chat.ANSWER}"
    ids = theirs(f"{written} ")["input_ids"]
    at = next(place for place, pair in enumerate(zip(ids, ours, strict=True)) if pair[0] != pair[1])
    assert found["difference"][0] == (
        "warning",
        f"one round: text from {len(written)}: theirs `{written[-24:]}| `, ours "
        f"`{written[-24:]}|</s>`; ids from {at}: theirs {ids[at:]}, ours {ours[at:]}",
    )
    assert [text.split(":")[0] for _, text in found["difference"]] == [
        "one round",
        "system, two rounds",
        "system, two rounds, prompt",
        "picture",
    ]


def test_what_a_template_refuses_is_said_safely(folder, examine):
    status, found = examine(folder("sp_legacy", MISTRAL))
    assert status == 0
    assert found["chat template"] == [
        ("ok", "equal to `mistral_instruct` in text and ids, 4 renderings"),
        ("ok", r"has no place for `system, two rounds`: TemplateError: no \x1b[2Jsystem"),
    ]


def test_ids_may_differ_where_texts_do_not(folder, examine):
    """A BOS that is written out takes the space from the first word of a prefix-first tokenizer."""
    status, found = examine(folder("sp_first", MISTRAL))
    assert status == 1
    text = "equal to `mistral_instruct` in text, but in ids only in 0 of 4 renderings"
    assert found["chat template"][0] == ("warning", text)
    assert found["difference"][0][1].startswith("one round: equal text, ids from 1: theirs [94, ")


def test_a_directory_without_a_chat_template(folder, examine):
    status, found = examine(folder("sp_first"))
    assert status == 0
    assert found["chat template"] == [
        ("ok", "the directory has none: nothing to compare ours with")
    ]
    assert found["ids"] == [("ok", "5 texts have the ids of transformers' TokenizersBackend")]


def test_the_template_that_the_model_was_trained_with_is_compared(folder, examine):
    status, found = examine(folder("chatml", CHATML, template="v1"))
    assert status == 1
    [(kind, text)] = found["own template"]
    assert kind == "warning"
    assert text.startswith(
        "`v1` in llava_fast.json; the chat template differs: one round: text from 0"
    )


@pytest.mark.parametrize(
    ("named", "message"),
    [("v9\x1b[2J", r"template: got `v9\x1b[2J`, expected one of"), (3, ""), ([], "")],
)
def test_a_template_that_is_not_known_is_a_failure(folder, examine, named, message):
    status, found = examine(folder("chatml", CHATML, template=named))
    [(kind, text)] = found["own template"]
    assert (status, kind) == (2, "failed")
    assert message in text


def test_a_template_in_a_file_of_the_processor_is_read(folder, examine):
    place = folder("chatml")
    (place / "chat_template.json").write_text(json.dumps({"chat_template": CHATML}))
    assert "equal to `qwen_1_5`, `qwen_2`" in examine(place)[1]["chat template"][0][1]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{% for %}", "TemplateSyntaxError"),
        ("{{ messages[7]['role'] }}", "UndefinedError"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "SecurityError"),
        ("{{ messages.append(1) }}", "SecurityError"),
        ("{{ 'a' * 9000000 }}What is this?", "9000013 characters, expected at most 65536"),
        ("{% for a in range(1000000000) %}{% endfor %}", "OverflowError"),
    ],
)
def test_a_template_that_fails_is_a_finding(folder, examine, template, message):
    status, found = examine(folder("chatml", template))
    [(kind, text)] = found["chat template"]
    assert (status, kind) == (2, "failed")
    assert message in text
    assert found["ids"][0][0] == "ok"


def test_a_template_without_an_end_is_stopped(folder, monkeypatch):
    loop = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    monkeypatch.setattr(render, "SECONDS", 12)
    text, status = report(False, False, str(folder("chatml", loop)))
    assert status == 1
    assert "no answer within 12 s" in text


def test_a_template_that_wants_all_memory_is_stopped(folder):
    double = "{% for b in range(40) %}{% set a.x = a.x + a.x %}{% endfor %}"
    greedy = f"{{% set a = namespace(x='a') %}}{double}"
    done = run(folder("chatml", greedy))
    assert done.returncode == 2
    assert "MemoryError" in done.stdout


def test_code_of_a_model_directory_does_not_run(folder):
    place = folder("chatml", CHATML)
    file = place / "tokenizer_config.json"
    config = json.loads(file.read_text())
    config |= {"auto_map": {"AutoTokenizer": ["own.Own", None]}, "tokenizer_class": "Own"}
    file.write_text(json.dumps(config))
    (place / "own.py").write_text(f"open({str(place / 'ran')!r}, 'w')")
    done = run(place)
    assert not (place / "ran").exists()
    assert done.returncode in (0, 1)
    assert done.stdout


def test_what_is_no_model_directory_is_a_failure(tmp_path):
    name = tmp_path / "a\x1b[2Jb"
    done = run(name)
    assert done.returncode == 2
    assert r"a\x1b[2Jb` is no directory" in done.stdout
    assert "\x1b" not in done.stdout
    name.mkdir()
    done = run(name)
    assert done.returncode == 2
    assert "failed   tokenizer" in done.stdout


def test_a_tokenizer_that_disagrees_is_a_warning(folder, examine):
    place = folder("sp_first")
    theirs = AutoTokenizer.from_pretrained(place)

    def other(directory, chats, texts):
        ids = [theirs(text, add_special_tokens=False)["input_ids"] for text in texts]
        ids[2][3] += 1
        return {"kind": "Other", "chats": None, "texts": ids}

    examine(place)
    model.ask = other
    lines = {line.name: line for line in model.examine_model(place)}
    assert lines["ids"].status == "warning"
    assert lines["ids"].text.startswith("`It's 1987, 10,000 or 3.14?!`: equal text, ids from 3: ")


def test_torch_is_not_loaded_by_our_side(folder):
    code = (
        "import sys; from llava_fast.cli import main\n"
        f"try: main(['doctor', {str(folder('chatml', CHATML))!r}])\n"
        "finally: print('loaded', sorted({'torch', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines()[-1] == "loaded []", done.stderr

"""`llava-fast`: what it prints, where, and how it ends."""

import json
import subprocess
import sys

import pytest

from llava_fast import Generator, Request, __version__
from llava_fast.cli import main
from tests.tiny import answering_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory, data):
    return answering_model(tmp_path_factory.mktemp("model"), data / "tokenizers" / "sp_legacy")


@pytest.fixture
def run(capsys):
    def call(*words):
        with pytest.raises(SystemExit) as end:
            main([str(word) for word in words])
        captured = capsys.readouterr()
        return end.value.code or 0, captured.out, captured.err

    return call


@pytest.mark.parametrize("word", ["--version", "--help"])
def test_simple_questions_do_not_load_torch(word):
    code = (
        "import sys; from llava_fast.cli import main\n"
        f"try: main([{word!r}])\n"
        "finally: assert not {'torch', 'numpy', 'transformers'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (f"llava-fast {__version__}" if word == "--version" else "generate") in done.stdout


def test_the_answer_is_printed(run, folder, data):
    photo = data / "pictures" / "photo_like.jpg"
    words = ("generate", folder, "--image", photo, "--prompt", "What?", "--max-new-tokens", 9)
    request = Request(prompt="What?", images=[photo], max_new_tokens=9)
    expected = Generator(folder).generate([request])[0]
    code, out, _ = run(*words, "--device", "cpu")
    assert (code, out) == (0, expected.text + "\n")
    code, out, _ = run(*words, "--device", "cpu", "--json")
    assert code == 0
    assert json.loads(out) == {
        "text": expected.text,
        "token_ids": expected.token_ids,
        "finish_reason": expected.finish_reason,
        "prompt_tokens": expected.prompt_tokens,
    }


def test_sampling_options_reach_the_generator(run, folder):
    request = Request(
        messages=[{"role": "system", "content": "Hm."}, {"role": "user", "content": "Say"}],
        temperature=1.4,
        top_p=0.9,
        seed=3,
        max_new_tokens=12,
        stop=["zzz"],
    )
    expected = Generator(folder, template="v1").generate([request])[0]
    words = "--prompt Say --system Hm. --temperature 1.4 --top-p 0.9 --seed 3 --max-new-tokens 12"
    more = "--stop zzz --template v1 --device cpu --json"
    code, out, _ = run("generate", folder, *words.split(), *more.split())
    assert code == 0
    assert json.loads(out)["token_ids"] == expected.token_ids


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([], 2, "COMMAND"),
        (["dance"], 2, "invalid choice"),
        (["generate"], 2, "MODEL"),
        (["generate", "MODEL"], 2, "--prompt"),
        (["generate", "MODEL", "--prompt", "a", "--seed", "x"], 2, "invalid int value"),
        (["generate", "MODEL", "--prompt", "a", "--top-p", "2"], 2, "top_p: got 2.0"),
        (["generate", "MODEL", "--prompt", "a", "--device", "tpu9"], 2, "device `tpu9`"),
        (["generate", "MODEL", "--prompt", "a", "--seed", "-1"], 2, "seed: got -1, expected 0.."),
        (["generate", "absent", "--prompt", "a"], 1, "absent: not a model directory"),
        (["generate", "MODEL", "--prompt", "a", "--template", "v9"], 1, "template: got `v9`"),
        (["generate", "MODEL", "--prompt", "a", "--image", "no.jpg"], 1, "no.jpg"),
    ],
)
def test_failures_are_one_line_and_an_exit_code(run, folder, words, code, message):
    ended, out, err = run(*[folder if word == "MODEL" else word for word in words])
    assert (ended, out) == (code, "")
    assert message in err.splitlines()[-1]
    if code == 1:
        assert err.startswith("error: ")
        assert len(err.splitlines()) == 1


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_reader_that_leaves_ends_it_without_a_word(folder, options):
    words = [str(folder), "--prompt", "a", "--max-new-tokens", "3", "--device", "cpu", *options]
    command = [sys.executable, "-m", "llava_fast", "generate", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert process.wait(120) == 1
    assert process.stderr.read() == b""


def test_ctrl_c_ends_without_a_traceback(run, folder, monkeypatch):
    def interrupted(*_):
        yield "half an ans"
        raise KeyboardInterrupt

    monkeypatch.setattr(Generator, "stream", interrupted)
    code, out, err = run("generate", folder, "--prompt", "a", "--device", "cpu")
    assert (code, out) == (130, "half an ans")
    assert "Traceback" not in err

"""`llava-fast inspect`: what it shows is what the loader gives, and nothing in the data acts."""

import base64
import html.parser
import io
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from llava_fast import DataError, DataLoader, encode
from llava_fast.cli import main
from llava_fast.inspect import terminal
from tests import tiny_data

FAMILIES = {
    "plain": "sp_legacy",
    "v0": "sp_first",
    "v1": "sp_legacy",
    "llama_2": "sp_legacy",
    "qwen_2": "chatml",
    "llama_3": "llama3",
}
VOID = {"meta", "img", "br", "rect"}


def ran(*words: object, **options):
    """`llava-fast inspect` in a process of its own."""
    command = [sys.executable, "-m", "llava_fast", "inspect", *map(str, words)]
    return subprocess.run(command, capture_output=True, timeout=120, **options)


@pytest.fixture
def run(capsys):
    """The same in this process: exit code, output, errors."""

    def call(*words):
        with pytest.raises(SystemExit) as end:
            main(["inspect", *map(str, words)])
        captured = capsys.readouterr()
        return end.value.code or 0, captured.out, captured.err

    return call


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("inspect")
    tiny_data.write(place, 12)
    return place


def words(folder: Path, family: str = "sp_legacy", template: str = "v1_short") -> list[object]:
    tokenizer = tiny_data.TOKENIZERS / family
    return [
        *(folder / "train.json", "--tokenizer", tokenizer, "--images", folder),
        *("--template", template, "--image-size", 28, "--max-length", 500),
    ]


def hostile(tmp_path: Path) -> tuple[list[object], list[str]]:
    """Words for a record that is out to act, and what it says."""
    nasty = "\x1b[2J\x1b]0;owned\x07\r\u202eevil\u2066\x9b31m\x00</pre><script>alert(1)</script>"
    texts = [
        f"{nasty}<img src=x onerror=alert(1)> &amp; \\x1b \\",
        f"{nasty}</p></details>\n\u2028`'\"\ufeff\u200b done",
    ]
    turns = [
        {"from": who, "value": text} for who, text in zip(("human", "gpt"), texts, strict=True)
    ]
    bad = [{"from": "human", "value": nasty}, {"from": nasty, "value": nasty}]
    data = [
        {"id": nasty, "image": f"{nasty}.jpg", "conversations": turns},
        {"id": nasty, "conversations": turns},
        {"id": "bad", "conversations": bad, nasty: nasty},
    ]
    turns[0]["value"] = "<image>\n" + turns[0]["value"]
    data[1] = json.loads(json.dumps(data[1]).replace("<image>\\n", ""))
    tiny_data.save(tmp_path, data)
    return words(tmp_path), texts


class Page(html.parser.HTMLParser):
    """Tags with their attributes, texts by class, and whether every element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.open: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append((tag, dict(attributes).get("class") or ""))

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        inside = self.open[-1] if self.open else ("", "")
        self.texts.append((" ".join(inside).strip(), data))

    def of(self, inside: str) -> list[str]:
        return [text for where, text in self.texts if where == inside]


def page(*arguments: object, at: Path) -> Page:
    done = ran(*arguments, "--html", at)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(f"{at}: ".encode())
    return Page(at.read_text(encoding="utf-8"))


@pytest.mark.parametrize("template", FAMILIES)
def test_what_is_shown_is_what_is_encoded(run, folder, template):
    family = FAMILIES[template]
    tokenizer = tiny_data.tokenizer(family)
    records = json.loads((folder / "train.json").read_text())
    code, out, _ = run(*words(folder, family, template), "-n", len(records), "--json")
    shown = json.loads(out)["records"]
    assert (code, len(shown)) == (0, len(records))
    for number, (record, found) in enumerate(zip(records, shown, strict=True)):
        if found["fault"]:
            with pytest.raises(DataError) as fault:
                encode(record, tokenizer, template, 4, 500)
            assert found["fault"]["message"].endswith(str(fault.value))
            assert (found["input_ids"], found["segments"]) == ([], [])
            continue
        sample = encode(record, tokenizer, template, 4, 500)
        assert (found["record"], found["id"], found["fault"]) == (number, record["id"], None)
        assert found["input_ids"] == sample.input_ids.tolist()
        assert found["labels"] == sample.labels.tolist()
        assert [tuple(part.values()) for part in found["segments"]] == sample.segments
        assert [image["start"] for image in found["images"]] == sample.image_starts.tolist()
        assert found["supervised"] == (sample.labels >= 0).sum()


@pytest.mark.parametrize("template", FAMILIES)
def test_ids_and_mask_can_be_read_off_the_lines(run, folder, template):
    family = FAMILIES[template]
    options = (*words(folder, family, template), "--record", 1)
    _, out, _ = run(*options)
    [record] = json.loads(run(*options, "--json")[1])["records"]
    ids, learned = [], []
    for line in out.splitlines():
        picture = re.match(r"  image \[\d+\.\.\d+\) +<image> x(\d+)", line)
        if picture:
            ids += [tiny_data.tokenizer(family).image_id] * int(picture[1])
            learned += [False] * int(picture[1])
        elif re.match(r".{21}[ +*]\d+:", line):
            for mark, number in re.findall(r"(?:^| )([ +*])(\d+):", line[20:]):
                ids.append(int(number))
                learned.append(mark == "+")
    assert ids == record["input_ids"]
    assert learned == [label >= 0 for label in record["labels"]]
    for start, stop in record["stops"]:
        assert re.search(rf"^\+ stop  \[{start}\.\.{stop}\) .* = <STOP>$", out, re.M)


def test_the_page_shows_every_id_and_what_is_learned(folder, tmp_path):
    family, template = "chatml", "qwen_2"
    arguments = words(folder, family, template)
    found = page(*arguments, "-n", 12, "--pack-tokens", 160, "--stats", at=tmp_path / "out.html")
    done = ran(*arguments, "-n", 12, "--pack-tokens", 160, "--stats", "--json")
    shown = json.loads(done.stdout)
    image = tiny_data.tokenizer(family).image_id
    ids = [one for record in shown["records"] for one in record["input_ids"] if one != image]
    labels = [one for record in shown["records"] for one in record["labels"] if one >= 0]
    assert [int(text) for text in found.of("small")] == ids
    assert len(found.of("span t y")) == len(labels)
    assert all(text.startswith("+") for text in found.of("span t y"))
    rows = [text for text in found.of("td") if text.startswith("[")]
    spans = [document for pack in shown["packs"] for document in pack["documents"]]
    assert rows == [f"[{one['start']}..{one['stop']})" for one in spans]
    assert "12 records, 12 usable, 0 bad" in "".join(found.of("pre report"))


def test_the_page_needs_nothing_else(folder, tmp_path):
    found = page(*words(folder), "-n", 12, "--stats", "--pack-tokens", 160, at=tmp_path / "o.html")
    names = {name for name, _ in found.tags}
    assert not names & {"script", "link", "iframe", "object", "embed", "base", "form", "style2"}
    for name, attributes in found.tags:
        assert not [key for key in attributes if key.startswith("on") or key == "style"]
        for key in ("src", "href"):
            assert (attributes.get(key) or "#").startswith(("#", "data:image/png;base64,")), name
    policies = [a["content"] for _, a in found.tags if "http-equiv" in a]
    assert policies[0].startswith("default-src 'none'; img-src data:; style-src 'sha256-")


def test_the_policy_admits_the_style_sheet(folder, tmp_path):
    import hashlib

    found = page(*words(folder), "-n", 1, at=tmp_path / "o.html")
    style = "".join(found.of("style"))
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in next(a["content"] for _, a in found.tags if "http-equiv" in a)


@pytest.mark.parametrize("mode", ["crop", "anyres"])
def test_thumbnails_are_what_the_model_gets(folder, tmp_path, mode):
    from llava_fast import ImageConfig, ImageProcessor

    config = ImageConfig(size=28, mode=mode)
    record = json.loads((folder / "train.json").read_text())[1]
    options = (*words(folder), "--image-mode", mode, "--record", 1)
    found = page(*options, at=tmp_path / "out.html")
    images = []
    for name, attributes in found.tags:
        if name == "img":
            content = base64.b64decode(attributes["src"].removeprefix("data:image/png;base64,"))
            images.append(np.asarray(Image.open(io.BytesIO(content))))
    file = folder / record["image"]
    assert np.array_equal(images[0], np.asarray(Image.open(file).convert("RGB")))
    values = ImageProcessor(config)(file, return_tensors="np")["pixel_values"].reshape(
        -1, 3, 28, 28
    )
    mean, std = (np.array(x)[:, None, None] for x in (config.mean, config.std))
    pixels = ((values * std + mean) * 255).round().transpose(0, 2, 3, 1)
    assert len(images) == 1 + len(values)
    assert np.array_equal(np.stack(images[1:]), pixels)


def test_a_hostile_record_cannot_drive_the_terminal(tmp_path):
    arguments, texts = hostile(tmp_path)
    for more in ([], ["--json"], ["--stats", "--pack-tokens", 500]):
        done = ran(*arguments, *more)
        assert done.returncode == 0, done.stderr
        text = done.stdout.decode()
        assert (
            re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e\u2066\ufeff\u200b]", text) is None
        )
    shown = "".join(ran(*arguments).stdout.decode().replace("\n", "").split())
    for part in (r"\x1b[2J\x1b]0;owned\x07\r\u202eevil\u2066\x9b31m\x00</pre><script>", r"\\x1b\\"):
        assert part in shown
    [record] = json.loads(ran(*arguments, "--record", 1, "--json").stdout)["records"]
    assert "".join(s["text"] for s in record["segments"] if s["kind"] == "text") == "".join(texts)


def test_a_hostile_record_is_text_on_the_page(tmp_path):
    arguments, _ = hostile(tmp_path)
    found = page(*arguments, at=tmp_path / "out.html")
    assert {name for name, _ in found.tags} & {"script", "img"} == set()
    assert not any(key.startswith("on") for _, a in found.tags for key in a)
    shown = "".join(text for _, text in found.texts)
    assert shown.count("<script>alert(1)</script>") >= 8
    assert r"\u202eevil\u2066" in shown
    raw = (tmp_path / "out.html").read_text(encoding="utf-8")
    assert re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e\u2066\ufeff\u200b]", raw) is None


def test_hostile_names_in_messages_are_escaped(tmp_path):
    name = str(tmp_path / "a\x1b[2Jb\u202e.json")
    done = ran(name, "--tokenizer", tiny_data.TOKENIZERS / "sp_legacy")
    assert done.returncode == 1
    assert rb"a\x1b[2Jb\u202e.json" in done.stderr
    assert b"\x1b" not in done.stderr


@pytest.mark.parametrize(
    ("environment", "colours"),
    [({"TERM": "xterm"}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
)
def test_colours_only_where_they_are_wanted(folder, environment, colours):
    ours, theirs = pty.openpty()
    settings = {k: v for k, v in os.environ.items() if k != "NO_COLOR"} | {"TERM": "xterm"}
    command = [sys.executable, "-m", "llava_fast", "inspect", *map(str, words(folder)), "-n", "1"]
    process = subprocess.Popen(command, stdout=theirs, env=settings | environment)
    os.close(theirs)
    seen = b""
    try:
        while part := os.read(ours, 1 << 16):
            seen += part
    except OSError:
        pass  # the other side is closed
    os.close(ours)
    assert process.wait(60) == 0
    assert (b"\x1b[" in seen) == colours
    piped = ran(*words(folder), "-n", 1, env=settings | environment)
    assert b"\x1b" not in piped.stdout
    if colours:
        assert re.sub(rb"\x1b\[\d+m", b"", seen).split() == piped.stdout.split()


def test_lines_keep_to_the_width(folder):
    for columns in (60, 100):
        settings = os.environ | {"COLUMNS": str(columns)}
        done = ran(*words(folder, "llama3", "llama_3"), "-n", 12, env=settings)
        lines = done.stdout.decode().splitlines()
        assert max(map(len, (line.rstrip() for line in lines))) <= columns


def test_an_ascii_terminal_gets_escapes(folder):
    done = ran(*words(folder), "-n", 1, env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"\u2423" in done.stdout


def test_a_bad_record_is_shown_with_its_fault(run, tmp_path):
    records = tiny_data.write(tmp_path, 5)
    records[0]["conversations"][1]["from"] = "robot"
    (tmp_path / records[1]["image"]).write_bytes(b"no picture")
    tiny_data.save(tmp_path, records)
    code, out, _ = run(*words(tmp_path), "-n", 3)
    assert code == 0
    assert "fault: unknown_role: record 0 (id `r0`) in" in out
    assert '"from": "robot"' in " ".join(out.split())
    assert "fault: not_an_image: record 1 (id `r1`)" in out
    assert "1.jpg -> <image> x4 [" in out
    found = json.loads(run(*words(tmp_path), "-n", 3, "--json")[1])["records"]
    assert [one["fault"] and one["fault"]["code"] for one in found] == [
        "unknown_role",
        "not_an_image",
        None,
    ]
    assert (found[0]["tokens"], found[1]["supervised"] > 0) == (0, True)


def test_records_are_found_by_number_and_by_id(run, tmp_path):
    records = tiny_data.write(tmp_path, 5)
    records[4]["id"], records[3]["id"], records[0]["id"] = "0002", 77, "\u00e9"
    tiny_data.save(tmp_path, records)
    asked = [word for name in ("2", "r1", "0002", "77", "\u00e9") for word in ("--record", name)]
    found = json.loads(run(*words(tmp_path), *asked, "--json")[1])["records"]
    assert [one["record"] for one in found] == [2, 1, 4, 3, 0]
    code, out, err = run(*words(tmp_path), "--record", "r9")
    assert (code, out) == (1, "")
    assert err == "error: record: got `r9`, expected 0..4 or an id\n"


def test_rounds_that_are_cut_are_noted(run, tmp_path):
    records = tiny_data.write(tmp_path, 12)
    number = max(range(12), key=lambda one: len(records[one]["conversations"]))
    rounds = len(records[number]["conversations"]) // 2
    shorter = records[number] | {"conversations": records[number]["conversations"][:2]}
    room = len(encode(shorter, tiny_data.tokenizer(), "v1_short", 4).input_ids)
    options = (*words(tmp_path), "--record", number, "--max-length", room)
    _, out, _ = run(*options)
    assert rounds == 3
    assert "  note: 2 rounds do not fit into max_length: left out\n" in out
    [found] = json.loads(run(*options, "--json")[1])["records"]
    assert (found["cut_rounds"], found["tokens"]) == (2, room)


def test_what_was_put_right_is_noted(run, tmp_path):
    records = tiny_data.write(tmp_path, 3)
    records[0]["conversations"].append({"from": "human", "value": "And?"})
    records[2]["conversations"][0]["value"] += "<image>"
    tiny_data.save(tmp_path, records)
    _, out, _ = run(*words(tmp_path))
    assert "  note: dropped_open_question: a question without an answer at the end" in out
    assert "fault: image_tag_count" in out
    _, out, _ = run(*words(tmp_path), "--compat", "llava")
    assert "  note: collapsed_tags: several `<image>` in one turn are one\n" in out
    found = json.loads(run(*words(tmp_path), "--compat", "llava", "--json")[1])["records"]
    assert [one["repairs"] for one in found] == [["dropped_open_question"], [], ["collapsed_tags"]]


def test_every_repair_is_put_into_words(root):
    source = (root / "rust" / "core" / "src" / "record" / "repair.rs").read_text()
    assert set(re.findall(r'=> "([a-z_]+)"', source)) == set(terminal.REPAIRS)


def test_packs_are_the_loaders(run, folder):
    options = {"max_length": 500, "on_bad_sample": "skip"}
    loader = DataLoader(tiny_data.dataset(folder, **options), pack_tokens=160)
    native = DataLoader(tiny_data.dataset(folder, **options), pack_tokens=160, format="native")
    code, out, _ = run(*words(folder), "-n", 99, "--pack-tokens", 160, "--json")
    packs = json.loads(out)["packs"]
    assert (code, len(packs)) == (0, len(list(loader)))
    loader.set_epoch(0)
    native.set_epoch(0)
    for pack, batch, ours in zip(packs, loader, native, strict=True):
        borders, spans = batch["cu_seq_lens_q"].tolist(), pack["documents"]
        assert [one["start"] for one in pack["documents"]] == borders[:-1]
        assert [one["stop"] for one in pack["documents"]] == borders[1:]
        positions = batch["position_ids"][0]
        ends = [[int(positions[one["start"]]), int(positions[one["stop"] - 1])] for one in spans]
        assert [one["positions"] for one in pack["documents"]] == ends
        assert [one["record"] for one in pack["documents"]] == ours["records"].tolist()
        restarts = (batch["position_ids"][0] == 0).nonzero().flatten().tolist()
        assert pack["position_restarts"] == restarts == borders[:-1]
        assert pack["padding"] == 1 - borders[-1] / 160
        assert sum(one["supervised"] for one in pack["documents"]) == len(ours["targets"])


def test_a_hole_in_a_pack_is_called_so(run, tmp_path):
    records = tiny_data.write(tmp_path, 4)
    (tmp_path / records[1]["image"]).write_bytes(b"no picture")
    code, out, _ = run(*words(tmp_path), "-n", 9, "--pack-tokens", 500)
    assert code == 0
    assert re.search(r"record 1  `r1`  positions 0\.\.\d+, 0 learned  hole:\s+not_an_image\n", out)
    documents = [int(count) for count in re.findall(r"^batch \d+  (\d+) documents?", out, re.M)]
    bars = [line for line in out.splitlines() if line.startswith("  |=")]
    assert [bar.count("|") for bar in bars] == documents
    assert sum(documents) == 4
    assert all(bar.endswith(".") for bar in bars)


def test_figures_are_those_of_the_check(run, folder, tmp_path, capsys):
    records = json.loads((folder / "train.json").read_text())
    del records[0]["conversations"][1:]
    tiny_data.save(tmp_path, records)
    for record in records:
        if "image" in record:
            (tmp_path / record["image"]).write_bytes((folder / record["image"]).read_bytes())
    code, out, _ = run(*words(tmp_path), "--stats", "--json")
    stats = json.loads(out)["stats"]
    with pytest.raises(SystemExit) as end:
        main(["index", "--check", *map(str, words(tmp_path)), "--json"])
    found = json.loads(capsys.readouterr().out)
    del found["status"]
    assert stats == found
    assert (stats["records"], stats["usable"], stats["train_on_nothing"]) == (12, 11, 1)
    assert code == end.value.code == 2
    lines = run(*words(tmp_path), "--stats")[1].splitlines()
    with pytest.raises(SystemExit):
        main(["index", "--check", *map(str, words(tmp_path))])
    assert "\n".join(lines).endswith(capsys.readouterr().out.rstrip("\n"))


def test_what_would_train_on_nothing_is_exit_status_2(run, tmp_path):
    records = tiny_data.write(tmp_path, 3)
    records[2] = {"id": "mute", "conversations": [{"from": "human", "value": "Hello?"}]}
    tiny_data.save(tmp_path, records)
    assert run(*words(tmp_path), "--record", 0)[0] == 0
    assert run(*words(tmp_path), "--record", 0, "--stats")[0] == 2
    code, out, _ = run(*words(tmp_path), "--record", "mute")
    assert code == 2
    assert "fault: nothing_supervised" in out


def test_a_model_directory_says_how(run, folder, tmp_path, data):
    for file in (data / "tokenizers" / "sp_legacy").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    own = {"system": "Be brief.", "stop": "{eos}", "user_prefix": "Q: ", "name": "mine"}
    (tmp_path / "llava_fast.json").write_text(json.dumps({"template": own, "image_mode": "pad"}))
    settings = {"image_processor_type": "CLIPImageProcessor", "size": 28, "crop_size": 28}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    code, out, _ = run(folder / "train.json", "--model", tmp_path, "--images", folder)
    assert code == 0
    assert "template mine, max_length 2048, pictures: pad, 28 pixels" in " ".join(out.split())
    assert "Be brief." in out
    out = run(folder / "train.json", "--model", tmp_path, "--images", folder, "--template", "v1")[1]
    assert "template v1," in out


def test_a_template_of_ones_own_is_a_file(run, folder, tmp_path):
    file = tmp_path / "own.json"
    file.write_text(json.dumps({"name": "\x1bmine", "stop": "{eos}", "user_prefix": "Q: "}))
    code, out, _ = run(*words(folder, template=file), "-n", 1)
    assert code == 0
    assert r"template \x1bmine" in out


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        (["-n", "0"], 2, "-n: got 0, expected 1.."),
        (["--pack-tokens", "-3"], 2, "--pack-tokens: got -3"),
        (["--template", "v9"], 1, "template: got `v9`"),
        (["--image-mode", "zoom"], 2, "mode: got"),
        (["--images", "absent"], 1, "absent"),
        (["--html", "absent/out.html"], 1, "absent"),
    ],
)
def test_failures_are_one_line_and_an_exit_code(run, folder, more, code, message):
    ended, out, err = run(*words(folder), *more)
    assert (ended, out) == (code, "")
    assert message in err
    assert len(err.splitlines()) == 1


def test_without_a_tokenizer_there_is_nothing_to_show(run, folder):
    code, out, err = run(folder / "train.json")
    assert (code, out, err) == (2, "", "error: expected --tokenizer or --model\n")


def test_torch_is_not_loaded(folder, tmp_path):
    code = (
        "import sys; from llava_fast.cli import main\n"
        f"try: main({['inspect', *map(str, words(folder)), '--stats', '--pack-tokens', '200']!r}"
        f" + ['--html', {str(tmp_path / 'o.html')!r}])\n"
        "finally: print('loaded', sorted({'torch', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines()[-1] == "loaded []", done.stderr

"""Files of records: what is found in them, and what is said of those that are none."""

import json
import os
import pickle
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from llava_fast import DataError, DataLoader, LlavaDataset, _rust
from llava_fast.mixture import mixture
from tests import tiny_data
from tests.repository import ROOT
from tests.scale import scaled

BLOCK = 256 << 10  # bytes that the reader takes at once
PIECES = [*'"\\{}[]:,\n\t /ué', "\\n", "\u2028", "😀", '"}]', "\\\\", "\\u", "</s>", "\x7f", "€"]


def records(data: object) -> _rust.Records:
    files = mixture(data)
    return _rust.Records(files.parts, files.seed)


def values(read: _rust.Records) -> list:
    return [json.loads(read.json(index)) for index in range(len(read))]


def nasty(rng: random.Random, depth: int = 0) -> object:
    kind = rng.random()
    if kind < 0.6 or depth > 4:
        return "".join(rng.choices(PIECES, k=rng.randrange(9)))
    if kind < 0.7:
        return rng.choice([None, True, -0.5, 10**20, 1e-7, 0])
    if kind < 0.85:
        return [nasty(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {nasty(rng, 9): nasty(rng, depth + 1) for _ in range(rng.randrange(4))}


def file_of(rng: random.Random, items: list) -> bytes:
    """A list in any style, or records by line; objects lie across a border of blocks."""
    ascii_only, mark = rng.random() < 0.5, rng.choice([b"", b"", b"\xef\xbb\xbf"])
    if rng.random() < 0.4 and items and isinstance(items[0], dict):
        end = rng.choice(["\n", "\r\n", " \n\n", "\n\t\n"])
        text = end.join(json.dumps(item, ensure_ascii=ascii_only) for item in items)
        text += rng.choice(["", end])
    else:
        text = json.dumps(items, ensure_ascii=ascii_only, indent=rng.choice([None, 0, 2, "\t"]))
    room = rng.choice([0, 1, max(0, BLOCK - len(mark) - rng.randrange(len(text) + 9))])
    return mark + b" " * room + text.encode()


def test_the_records_of_any_file_are_those_that_python_reads(tmp_path):
    rng = random.Random(11)
    path = tmp_path / "any.json"
    for case in range(scaled(20_000)):
        items = [nasty(rng) for _ in range(rng.randrange(7))]
        content = file_of(rng, items)
        path.write_bytes(content)
        assert values(records(path)) == items, (case, content[-2000:])


def damaged(rng: random.Random, content: bytes) -> bytes:
    out = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        at, length = rng.randrange(len(out) + 1), rng.choice((1, 1, 2, 9))
        what = rng.randrange(4)
        if what == 0:
            del out[at : at + length]
        elif what == 1:
            out[at : at + length] = rng.randbytes(length)
        elif what == 2:
            out[at:at] = rng.choice([b'"', b"\\", b"{", b"}", b"[", b"]", b",", b"\n", b"\0"])
        else:
            del out[at:]
    return bytes(out)


def test_a_damaged_file_gives_its_records_or_says_where(tmp_path):
    rng = random.Random(12)
    path = tmp_path / "damaged.json"
    made = tiny_data.records(6)
    outcomes = {"read": 0, "refused": 0, "equal": 0}
    for case in range(scaled(50_000)):
        content = damaged(rng, file_of(rng, made))
        path.write_bytes(content)
        read, refusal = refused(records, path)
        expected = whole(content)
        if isinstance(expected, list):
            outcomes["equal"] += 1
            assert read is not None, (case, content)
            assert json.dumps(values(read)) == json.dumps(expected), (case, content)
        elif read is None:
            outcomes["refused"] += 1
            assert refusal.startswith(f"`{path}`: "), (case, content)
        else:
            outcomes["read"] += 1
            for index in range(len(read)):
                _, refusal = refused(read.json, index)
                assert re.match(r"$|record \d+ \(id ", refusal), (case, content)
    assert min(outcomes.values()) > 0, outcomes


def whole(content: bytes) -> object:
    """What Python reads; None if nothing."""
    try:
        return json.loads(content.decode("utf-8-sig"))
    except ValueError:
        return None


def refused(call, argument) -> tuple:
    """The result and "", or None and the message."""
    try:
        return call(argument), ""
    except DataError as error:
        return None, str(error)


def test_a_bad_line_costs_itself_only(tmp_path):
    made = tiny_data.write(tmp_path, 6)
    lines = [json.dumps(record) for record in made]
    lines[2], lines[5] = lines[2][:-3], lines[5][:40]
    (tmp_path / "train.json").write_text("\n".join(lines))
    dataset = tiny_data.dataset(tmp_path, on_bad_sample="skip")
    assert [(bad.record, bad.code) for bad in dataset.bad] == [
        (2, "malformed_record"),
        (5, "malformed_record"),
    ]
    start = f"record 2 (id `2`) in `{tmp_path / 'train.json'}`: malformed record: EOF"
    assert dataset.bad[0].message.startswith(start)
    assert dataset.bad[0].message.endswith("of the record, which starts in line 3")


def test_a_file_that_is_cut_off_while_it_is_used_is_an_error(tmp_path):
    tiny_data.write(tmp_path, 40)
    dataset = tiny_data.dataset(tmp_path)
    os.truncate(tmp_path / "train.json", 2000)
    assert len(dataset[0]["input_ids"]) == dataset.lengths[0]
    with pytest.raises(DataError, match=r"record 39 .*: the file has been cut off since it was op"):
        dataset[39]
    with pytest.raises(DataError, match="cut off"):
        list(DataLoader(dataset, pack_tokens=tiny_data.PACK))
    with pytest.raises(DataError, match=r"train\.json`: line"):
        pickle.loads(pickle.dumps(dataset))


MEMORY = """
import re, sys
from pathlib import Path
from llava_fast import _rust
from llava_fast.mixture import mixture
peak = lambda: int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])
files = mixture(sys.argv[1])
before = peak()
read = _rust.Records(files.parts, 0)
print(len(read), peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_a_large_file_takes_little_memory(tmp_path):
    path = tmp_path / "large.json"
    record = json.dumps(tiny_data.records(1)[0] | {"note": "x" * 1500})
    count = scaled(200_000_000, 20_000_000) // len(record)
    with path.open("w") as file:
        file.write("[" + record)
        file.writelines([",\n" + record] * (count - 1))
        file.write("]")
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, path], cwd=ROOT, capture_output=True, text=True, check=True
    )
    found, kibibytes = map(int, done.stdout.split())
    assert found == count
    assert kibibytes << 10 < 48 * count + (4 << 20)


def test_several_files_are_one_data_set(tmp_path):
    one, two = tmp_path / "a.json", tmp_path / "b.jsonl"
    made = tiny_data.records(9)
    text = [record for record in made if "image" not in record]
    one.write_text(json.dumps(text[:1]))
    two.write_text("\n".join(map(json.dumps, [*text[1:], {"id": "odd"}])))
    dataset = LlavaDataset([one, str(two)], None, tiny_data.tokenizer(), on_bad_sample="skip")
    assert values(records([one, two])) == [*text, {"id": "odd"}]
    assert dataset.name == f"{one},{two}"
    [bad] = dataset.bad
    assert bad.record == len(text)
    assert bad.message.startswith(f"record {len(text) - 1} (id `odd`) in `{two}`: missing field")
    other = LlavaDataset([two, one], None, tiny_data.tokenizer(), on_bad_sample="skip")
    assert other.fingerprint != dataset.fingerprint
    assert pickle.loads(pickle.dumps(dataset)).fingerprint == dataset.fingerprint
    with pytest.raises(DataError, match=re.escape(f"`{tmp_path / 'c.json'}`: no such file")):
        records([one, tmp_path / "c.json"])


def test_braces_stand_for_several_files(tmp_path):
    for name in "ab":
        (tmp_path / f"set_{name}.json").write_text(json.dumps([{"id": name}]))
    assert values(records(f"{tmp_path}/set_{{a,b}}.json")) == [{"id": "a"}, {"id": "b"}]
    with pytest.raises(DataError, match=r"set_c\.json`: no such file"):
        records(f"{tmp_path}/set_{{a,c}}.json")
    (tmp_path / "set_{a,c}.json").write_text("[]")
    assert len(records(tmp_path / "set_{a,c}.json")) == 0

"""`llava-fast index --check`: every count against one made in Python, and how the command ends."""

import json
import random
from collections import Counter
from io import StringIO
from pathlib import Path

import pytest

from llava_fast import DataError, Tokenizer, encode
from llava_fast.cli import main
from llava_fast.index import check as module
from llava_fast.index.check import check
from llava_fast.index.report import Report
from llava_fast.index.request import Request
from tests import dirty_records
from tests import oracle_text as oracle
from tests.scale import scaled

TOKENIZER = oracle.TOKENIZERS / "sp_legacy"
GOOD = {
    "id": "good",
    "conversations": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}],
}
EMPTY = {**GOOD, "conversations": [GOOD["conversations"][0], {"from": "gpt", "value": ""}]}
# One square of 28 pixels is four tokens.
SMALL = {"image_size": 28}
# How the expectation of a refused record begins in fixtures/llava_json/dirty_expect.json.
REFUSED = ("error", "BadTurn", "EmptyConversation", "ImageError", "refused")


def save(folder: Path, records: list[object]) -> Path:
    path = folder / "train.json"
    path.write_text(json.dumps(records))
    return path


def report(data: Path, **options: object) -> Report:
    settings = {"tokenizer": str(TOKENIZER), **SMALL} | options
    return check(Request(data=str(data), **settings), StringIO())


@pytest.fixture
def run(capsys):
    def call(data: Path, *words: object) -> tuple[int, str, str]:
        command = ["index", data, "--check", "--tokenizer", TOKENIZER, *words]
        with pytest.raises(SystemExit) as end:
            main([str(word) for word in command])
        captured = capsys.readouterr()
        return end.value.code or 0, captured.out, captured.err

    return call


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("family", ["sp_legacy", "chatml"])
def test_every_count_is_that_of_the_oracle(family: str, threads: int, tmp_path: Path) -> None:
    for seed in range(scaled(100, least=2)):
        rng = random.Random(seed)
        limit = rng.choice([40, 100, 2048])
        records, expected = dirty_records.made(rng, rng.randrange(1, 300), family, 4, limit)
        bad = tmp_path / "bad.jsonl"
        found = report(
            save(tmp_path, records),
            tokenizer=str(oracle.TOKENIZERS / family),
            max_length=limit,
            threads=threads,
            bad_list=str(bad),
        ).found
        for name in ("records", "usable", "tokens", "text_tokens", "supervised_tokens"):
            assert found[name] == getattr(expected, name), (seed, name)
        assert found["cut_samples"] == expected.cut_samples
        assert found["cut_rounds"] == expected.cut_rounds
        faults = {code: reason["records"] for code, reason in found["faults"].items()}
        assert faults == expected.faults
        assert found["repairs"] == +expected.repairs
        rows = [json.loads(line) for line in bad.read_text().splitlines()]
        assert [(row["record"], row["code"]) for row in rows] == expected.rows
        same_histograms(found, expected)


def same_histograms(found: dict, expected: dirty_records.Expected) -> None:
    assert found["longest"] == max(expected.lengths, default=0)
    in_bins = Counter()
    for length in expected.lengths:
        [place] = [i for i, b in enumerate(found["lengths"]) if b["from"] <= length <= b["to"]]
        in_bins[place] += 1
    assert [in_bins[i] for i in range(len(found["lengths"]))] == [
        b["samples"] for b in found["lengths"]
    ]
    tenths = Counter(min(int(10 * share + 1e-9), 9) for share in expected.shares)
    assert found["supervised_share"] == [tenths[i] for i in range(10)]


def test_ids_and_sources_are_those_of_the_records(tmp_path: Path) -> None:
    records, expected = dirty_records.made(random.Random(5), 400, "sp_legacy", 4, 2048)
    found = report(save(tmp_path, records)).found
    ids = Counter(str(r["id"]) for r in records if isinstance(r, dict) and "id" in r)
    assert found["ids"]["repeated"] == sum(n > 1 for n in ids.values())
    assert found["ids"]["records"] == ids.total() - len(ids)
    for twice in found["ids"]["examples"]:
        assert twice["first"]["record"] < twice["again"]["record"]
        for place in ("first", "again"):
            assert str(records[twice[place]["record"]]["id"]) == twice["id"]
    sources = Counter(map(source, records))
    assert {name: row["records"] for name, row in found["sources"].items()} == sources
    bad = Counter(source(records[record]) for record, _ in expected.rows)
    assert {name: row["records"] - row["usable"] for name, row in found["sources"].items()} == {
        name: bad[name] for name in sources
    }
    assert sum(row["tokens"] for row in found["sources"].values()) == found["tokens"]


def source(record: object) -> str:
    """What a record is counted under."""
    if not isinstance(record, dict):
        return "(unreadable)"
    if "data_source" in record:
        return record["data_source"]
    if isinstance(record.get("image"), int):
        return "(unreadable)"
    images = record.get("image") or []
    if not images:
        return "(no picture)"
    return images[0].split("/")[0] if "/" in images[0] else "(no folder)"


@pytest.mark.parametrize(
    ("records", "status"),
    [
        ([GOOD, GOOD], 0),
        ([], 0),
        ([GOOD, 3], 1),
        ([GOOD, EMPTY, 3], 2),
        ([{**GOOD, "conversations": []}], 2),
        ([{**GOOD, "conversations": GOOD["conversations"][:1]}], 2),
        ([{**GOOD, "conversations": [*GOOD["conversations"] * 2, 3]}], 1),
    ],
)
def test_the_exit_status_says_how_bad_it_is(run, tmp_path: Path, records, status) -> None:
    data = save(tmp_path, records)
    code, out, err = run(data)
    assert (code, err) == (status, "")
    assert f"{len(records)} record" in out
    code, out, err = run(data, "--json")
    found = json.loads(out)
    assert (code, err) == (status, "")
    assert (found["status"], found["records"]) == (status, len(records))
    assert (found["train_on_nothing"] > 0) == (status == 2)


def test_what_does_not_fit_trains_on_nothing(run, tmp_path: Path) -> None:
    data = save(tmp_path, [GOOD])
    length = len(encode(GOOD, Tokenizer.from_pretrained(TOKENIZER)).input_ids)
    assert run(data, "--max-length", length)[0] == 0
    code, out, _ = run(data, "--max-length", length - 1)
    assert code == 2
    assert "would train on nothing: 1 record" in out


def test_a_reason_comes_with_its_first_record(run, tmp_path: Path) -> None:
    data = save(tmp_path, [GOOD, {**EMPTY, "id": "e1"}, {**EMPTY, "id": "e2"}])
    _, out, _ = run(data)
    [line] = [line for line in out.splitlines() if line.startswith("  empty_answer")]
    assert line.split()[1] == "2"
    assert line.endswith(f"record 1 (id `e1`) in `{data}`: empty answer in turn 1")
    assert "`good`" not in out


def test_repeated_ids_and_sources_are_shown(run, tmp_path: Path) -> None:
    second = {**GOOD, "data_source": "a\x1b[31m"}
    code, out, _ = run(save(tmp_path, [GOOD, GOOD, second, {**GOOD, "id": None}]))
    assert code == 0
    assert "1 id more than once, 2 records with the id of an earlier one" in out
    assert "`good` in record 0 and record 1" in out
    assert "\x1b" not in out
    assert "a\\x1b[31m" in out


def test_several_files_are_told_apart(run, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps([GOOD, {**EMPTY, "id": "empty"}]))
    (tmp_path / "b.jsonl").write_text(json.dumps(GOOD) + "\n3\n")
    mixture, bad = tmp_path / "mix.yaml", tmp_path / "bad.jsonl"
    parts = [{"json_path": "a.json", "weight": 2}, {"json_path": "b.jsonl"}]
    mixture.write_text(json.dumps({"datasets": parts}))
    code, out, _ = run(mixture, "--bad-list", bad)
    assert code == 2
    # A record that is taken twice has no twin in itself.
    assert "1 id more than once, 1 record with the id of an earlier one" in out
    files = [str(tmp_path / name) for name in ("a.json", "b.jsonl")]
    assert f"`good` in record 0 of `{files[0]}` and record 0 of `{files[1]}`" in out
    lines = [line.split() for line in out.splitlines()]
    assert [line[:3] for line in lines if line and line[0] in files] == [
        [files[0], "4", "2"],
        [files[1], "2", "1"],
    ]
    rows = [json.loads(line) for line in bad.read_text().splitlines()]
    assert [(row["file"], row["record"]) for row in rows] == [
        (files[0], 1),
        (files[0], 1),
        (files[1], 1),
    ]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("", 2, "DATA"),
        ("DATA --check", 2, "--tokenizer"),
        ("DATA --tokenizer T --decode", 2, "--decode and --bad-list go with --check"),
        ("DATA --tokenizer T --bad-list B", 2, "--decode and --bad-list go with --check"),
        ("DATA --check --tokenizer T --fresh", 2, "--fresh does not go with --check"),
        ("DATA --check --tokenizer T --threads 0", 2, "threads: got 0"),
        ("DATA --check --tokenizer T --max-length 0", 2, "max-length: got 0"),
        ("DATA --check --tokenizer T --image-mode x", 2, "mode: got `x`"),
        ("absent.json --check --tokenizer T", 1, "`absent.json`"),
        ("DATA --check --tokenizer absent", 1, "absent"),
        ("DATA --check --tokenizer T --template v9", 1, "v9"),
        ("DATA --check --tokenizer T --images absent", 1, "absent"),
        ("DATA --check --tokenizer T --bad-list no/b", 1, "no/b: no such directory"),
        ("DATA --check --tokenizer T --bad-list .", 1, "is a directory"),
    ],
)
def test_failures_are_one_line_and_an_exit_code(
    capsys, tmp_path: Path, monkeypatch, words, code, message
) -> None:
    data = save(tmp_path, [GOOD])
    monkeypatch.chdir(tmp_path)
    places = {"DATA": str(data), "T": str(TOKENIZER)}
    with pytest.raises(SystemExit) as end:
        main(["index", *(places.get(word, word) for word in words.split())])
    out, err = capsys.readouterr()
    assert (end.value.code, out) == (code, "")
    assert message in err.splitlines()[-1]
    assert sorted(path.name for path in tmp_path.glob("[!.]*")) == ["train.json"]


def test_the_bad_list_names_file_record_id_code_and_message(run, tmp_path: Path) -> None:
    data, bad = save(tmp_path, [GOOD, EMPTY, 3, {**EMPTY, "id": 7}]), tmp_path / "bad.jsonl"
    bad.write_text("of an earlier run")
    assert run(data, "--bad-list", bad)[0] == 2
    rows = [json.loads(line) for line in bad.read_text().splitlines()]
    assert [tuple(row[key] for key in ("file", "record", "id", "code")) for row in rows] == [
        (str(data), 1, "good", "empty_answer"),
        (str(data), 2, "2", "malformed_record"),
        (str(data), 3, "7", "empty_answer"),
    ]
    assert rows[0]["message"] == f"record 1 (id `good`) in `{data}`: empty answer in turn 1"
    assert sorted(path.name for path in tmp_path.glob("[!.]*")) == ["bad.jsonl", "train.json"]


def test_a_run_that_is_broken_off_leaves_the_old_list(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, bad = save(tmp_path, [EMPTY] * 40), tmp_path / "bad.jsonl"
    bad.write_text("of an earlier run")
    slices = module.slices

    def interrupted(total: int):
        yield from list(slices(total))[:1]
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "slices", interrupted)
    code, out, _ = run(data, "--bad-list", bad)
    assert (code, out) == (130, "")
    assert bad.read_text() == "of an earlier run"
    assert sorted(path.name for path in tmp_path.glob("[!.]*")) == ["bad.jsonl", "train.json"]


# Of the records of fixtures/llava_json/dirty.json that cannot be used.
DIRTY = {
    "empty_answer": [1, 2, 38],
    "lost_image_tag": [6],
    "repeated_role": [7, 8],
    "unknown_role": [10],
    "image_tag_count": [20, 21, 22, 23],
    "not_text": [25],
    "null_text": [26],
    "missing_text": [27],
    "missing_role": [28],
    "empty_conversation": [29],
    "missing_field": [30],
    "missing_image": [31, 32],
    "truncated_image": [33],
    "not_an_image": [34],
    "too_long": [35, 36],
    "unreadable_image": [40, 41],
}


def test_the_fixture_of_dirty_records(fixtures: Path, tmp_path: Path) -> None:
    data, bad = fixtures / "llava_json" / "dirty.json", tmp_path / "bad.jsonl"
    options = {"images": str(fixtures), "decode": True, "image_size": 336}
    found = report(data, bad_list=str(bad), **options)
    rows = [json.loads(line) for line in bad.read_text().splitlines()]
    expected = sorted((record, code) for code, records in DIRTY.items() for record in records)
    assert [(row["record"], row["code"]) for row in rows] == expected
    said = json.loads((data.parent / "dirty_expect.json").read_text())
    refused = [row["index"] for row in said if row["expect"].startswith(REFUSED)]
    assert {record for record, _ in expected} >= set(refused)
    assert found.found["repairs"] == {
        "dropped_leading_answer": 1,
        "dropped_open_question": 1,
        "misspelled_key": 1,
    }
    assert found.found["cut_samples"] == 1
    assert found.status == 2


def test_mutated_files_are_refused_or_counted(tmp_path: Path) -> None:
    ours = Tokenizer.from_pretrained(TOKENIZER)
    records, _ = dirty_records.made(random.Random(1), 12, "sp_legacy", 4, 2048)
    content = json.dumps(records).encode()
    refused = 0
    for seed in range(scaled(5_000)):
        rng = random.Random(seed)
        mutated = bytearray(content)
        for _ in range(rng.choice([1, 1, 2, 8])):
            at = rng.randrange(len(mutated))
            mutated[at : at + rng.randrange(3)] = rng.randbytes(rng.randrange(3))
        path = tmp_path / "train.json"
        path.write_bytes(mutated)
        found, read = counted(path), parsed(mutated)
        refused += found is None
        if read is not None:
            assert found is not None, seed
            assert found["records"] == len(read)
            assert found["usable"] == sum(usable(record, ours) for record in read), seed
    assert 0 < refused < scaled(5_000)


def parsed(content: bytes) -> list | None:
    """What Python reads, unless it is more lenient than JSON."""

    def once(pairs: list[tuple[str, object]]) -> dict:
        if len(dict(pairs)) < len(pairs):
            raise ValueError("a key comes twice")
        return dict(pairs)

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        read = json.loads(content, object_pairs_hook=once, parse_constant=refuse)
    except ValueError:
        return None
    return read if isinstance(read, list) else None


def counted(path: Path) -> dict | None:
    """The counts, or None for a file that is refused by name."""
    try:
        return report(path).found
    except DataError as error:
        if str(path) not in str(error):
            raise
        return None


def usable(record: object, tokenizer: Tokenizer) -> bool:
    try:
        encode(record, tokenizer, image_tokens=4)
    except DataError:
        return False
    return True

"""Mixtures: which records are taken, from where their pictures come, what is refused."""

import json
import random
import shutil

import pytest
import torch
import yaml

from llava_fast import DataError, LlavaDataset, _rust
from llava_fast.mixture import mixture
from llava_fast.training.records import Records, places
from tests import mixture_rule, tiny_data
from tests.scale import scaled


def write(folder, content, name="mix.yaml"):
    path = folder / name
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def taken(path):
    files = mixture(path)
    read = _rust.Records(files.parts, files.seed)
    return [json.loads(read.json(index))["id"] for index in range(len(read))]


def strategy(rng):
    rule = rng.choice(["first", "end", "random"])
    amount = rng.choice([f"{rng.randint(1, 30)}", f"{rng.randint(1, 120)}%"])
    return rng.choice(["all", f"{rule}:{amount}", f"{rule}:{amount}"])


def test_what_is_taken_follows_the_rule(tmp_path):
    rng = random.Random(5)
    for case in range(scaled(3_000)):
        seed = rng.choice([0, 1, 2**64 - 1])
        entries, expected = [], []
        for number in range(rng.randint(1, 3)):
            ids = [f"{number}.{i}" for i in range(rng.randrange(25))]
            name = f"{number}.{rng.choice(['json', 'jsonl'])}"
            content = json.dumps([{"id": i} for i in ids]).encode()
            (tmp_path / name).write_bytes(content)
            entry = {"json_path": name}
            if rng.random() < 0.8:
                entry["sampling_strategy"] = strategy(rng)
            if rng.random() < 0.4:
                entry["weight"] = rng.choice([1, 2, 0.5, 2.5, 0.1, 3.25])
            entries.append(entry)
            rule = entry.get("sampling_strategy", "all"), entry.get("weight", 1), seed
            expected += mixture_rule.taken(content, ids, *rule)
        path = write(tmp_path, {"seed": seed, "datasets": entries})
        assert taken(path) == expected, (case, path.read_text())


def test_a_file_of_llava_next_is_read_as_it_is(tmp_path, monkeypatch):
    ids = list(range(10))
    (tmp_path / "one.json").write_text(json.dumps([{"id": i} for i in ids]))
    text = """
datasets:
  - json_path: one.json # with a comment
    sampling_strategy: "first:15%"
  - json_path: data/two.jsonl
    sampling_strategy: end:3
"""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "two.jsonl").write_text("\n".join(f'{{"id": {i}}}' for i in ids))
    elsewhere = tmp_path / "scripts"
    elsewhere.mkdir()
    monkeypatch.chdir(tmp_path)  # its paths start from the working directory
    assert taken(write(elsewhere, text)) == [0, 1, 7, 8, 9]


REFUSED = {
    "not YAML: .*line 2": "datasets:\n  - json_path: 'x",
    "not YAML: KeyError": "datasets: !!bool x",
    "mix.yaml`: got a.*|mix.yaml`: got list, expected `datasets:`": "[]",
    "datasets: got nothing, expected a list of data sets": "seed: 1",
    "datasets: got list": "datasets: []",
    "data: got `x`, expected only the keys datasets, seed": "data: x",
    r"seed: got `-1`, expected a number from 0": "seed: -1\ndatasets: [{json_path: a.json}]",
    r"datasets\[0\]: got `a.json`, expected `json_path:`": "datasets: [a.json]",
    r"datasets\[0\].json_path: got nothing, expected a path": "datasets: [{weight: 1}]",
    r"datasets\[0\].json_path: got `b.yaml`": "datasets: [{json_path: b.yaml}]",
    r"datasets\[0\].wieght: got `2`, expected only the keys json_path": (
        "datasets: [{json_path: a.json, wieght: 2}]"
    ),
    r"datasets\[0\].images: got `3`": "datasets: [{json_path: a.json, images: 3}]",
    "missing.json`: no such file": "datasets: [{json_path: missing.json}]",
}
STRATEGIES = ["first", "last:3", "first:-1", "first:2.5%", "end:0", "random:1:2", 3, "first:", ""]
WEIGHTS = [0, -1, ".nan", ".inf", "yes", "'2'", 1001]


def refusals():
    yield from REFUSED.items()
    for given in STRATEGIES:
        text = f"datasets: [{{json_path: a.json, sampling_strategy: '{given}'}}]"
        yield rf"datasets\[0\].sampling_strategy: got `{given}`", text
    for given in WEIGHTS:
        yield r"datasets\[0\].weight: got", f"datasets: [{{json_path: a.json, weight: {given}}}]"


@pytest.mark.parametrize(("message", "text"), list(refusals()))
def test_a_mixture_that_cannot_be_meant_is_refused_by_key(tmp_path, message, text):
    (tmp_path / "a.json").write_text("[]")
    with pytest.raises(DataError, match=message):
        taken(write(tmp_path, text))


def test_aliases_cannot_make_a_message_endless(tmp_path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)]
    with pytest.raises(DataError, match=r"a0: got list, expected only the keys"):
        mixture(write(tmp_path, "\n".join([*lines, "datasets: *a29"])))


def two_worlds(tmp_path):
    """The same names of pictures in two folders, with other pixels."""
    for number, name in enumerate("ab"):
        tiny_data.write(tmp_path / name, 6, seed=number)
    return write(
        tmp_path,
        {
            "datasets": [
                {"json_path": "a/train.json", "sampling_strategy": "end:4", "images": "a"},
                {"json_path": "b/train.json", "weight": 2},
            ]
        },
    )


def test_each_data_set_has_its_own_pictures(tmp_path):
    path = two_worlds(tmp_path)
    options = {"image": tiny_data.IMAGE, "template": "v1_short"}
    mixed = LlavaDataset(path, tmp_path / "b", tiny_data.tokenizer(), **options)
    single = {name: tiny_data.dataset(tmp_path / name) for name in "ab"}
    origins = [("a", i) for i in range(2, 6)] + [("b", i) for i in range(6)] * 2
    assert len(mixed) == len(origins)
    for index, (name, number) in enumerate(origins):
        ours, theirs = mixed[index], single[name][number]
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_an_error_names_the_record_in_its_own_file(tmp_path):
    path = two_worlds(tmp_path)
    (tmp_path / "a" / "4.jpg").unlink()
    dataset = LlavaDataset(
        path, tmp_path / "b", tiny_data.tokenizer(), image=tiny_data.IMAGE, on_bad_sample="skip"
    )
    _ = dataset[2]
    [bad] = dataset.bad
    assert bad.record == 2
    place = f"record 4 (id `r4`) in `{tmp_path / 'a/train.json'}`: image `4.jpg`: no such file"
    assert bad.message == place


def test_the_fingerprint_knows_what_is_taken(tmp_path):
    tiny_data.write(tmp_path, 6)
    shutil.copy(tmp_path / "train.json", tmp_path / "copy.json")

    def fingerprint(seed=0, name="train.json", **entry):
        content = {"seed": seed, "datasets": [{"json_path": name, **entry}]}
        files = mixture(write(tmp_path, content))
        return _rust.Records(files.parts, files.seed).fingerprint

    whole = fingerprint()
    files = mixture(tmp_path / "train.json")
    assert whole == _rust.Records(files.parts, 0).fingerprint
    assert whole == mixture_rule.fingerprint((tmp_path / "train.json").read_bytes())
    assert whole == fingerprint(name="copy.json", seed=3)
    different = [
        whole,
        fingerprint(weight=2),
        fingerprint(sampling_strategy="first:3"),
        fingerprint(sampling_strategy="end:3"),
        fingerprint(sampling_strategy="random:3"),
        fingerprint(sampling_strategy="random:3", seed=1),
    ]
    assert len(set(different)) == len(different)


def test_the_trainer_reads_mixtures_too(tmp_path):
    path = two_worlds(tmp_path)
    read = Records(str(path))
    assert [record["id"] for record in read] == taken(path)
    pack = {"records": torch.tensor([-1, 1, 5])}
    assert list(places(str(path), [pack])) == [
        f"record 3 (id `r3`) in `{tmp_path / 'a/train.json'}`",
        f"record 1 (id `r1`) in `{tmp_path / 'b/train.json'}`",
    ]
    assert read.folder(0, "elsewhere") == tmp_path / "a"

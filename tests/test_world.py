"""The default's data on disk: the same for a seed, legal, true to the pictures it describes."""

import hashlib
import json
import re
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from PIL import Image

import llava_fast
from llava_fast.training.default.render import photograph
from llava_fast.training.default.scenes import (
    COLOURS,
    HELD_PAIRS,
    SHAPES,
    Thing,
    edited,
    random_scene,
)
from llava_fast.training.default.world import write_world

FILES = {
    "stage1",
    "stage2",
    "held_out",
    "held_out_detail",
    "held_out_complex",
    "blind",
    "unseen_pairs",
}
KINDS = {"colour", "count", "count-colour", "exists", "relation", "shape", "where"}
NUMBERS = ["zero", "one", "two", "three", "four"]
SENTENCE = re.compile(r"an? (\w+) (\w+) (?:is )?at the (\w+ \w+)", re.IGNORECASE)

Seen = list[tuple[str, str, int, int]]  # colour, shape, row, column


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "world"
    write_world(folder, seed=3, scenes=400, held_out=120)
    return folder


def load(world: Path, name: str) -> list[dict[str, Any]]:
    return json.loads((world / f"{name}.json").read_text("utf-8"))


def exchanges(record: dict[str, Any]) -> list[tuple[str, str]]:
    texts = [turn["value"] for turn in record["conversations"]]
    return [
        (question.removeprefix("<image>\n"), answer)
        for question, answer in zip(texts[::2], texts[1::2], strict=True)
    ]


def parse(text: str) -> Seen:
    """The scene that a caption or a description tells, read without the code that wrote it."""
    rows, columns = ["top", "middle", "bottom"], ["left", "center", "right"]
    found = []
    for colour, shape, place in SENTENCE.findall(text):
        row, column = place.split()
        found.append((colour, shape, rows.index(row), columns.index(column)))
    return found


def expected(question: str, seen: Seen) -> str:
    """The answer to any question of the world, from the parsed scene alone."""
    colours, shapes = Counter(c for c, *_ in seen), Counter(s for _, s, *_ in seen)
    yes_or_no = {True: "yes", False: "no"}
    if m := re.fullmatch(r"What color is the (\w+)\?", question):
        assert shapes[m[1]] == 1
        return next(c for c, s, *_ in seen if s == m[1])
    if m := re.fullmatch(r"What shape is the (\w+) object\?", question):
        assert colours[m[1]] == 1
        return next(s for c, s, *_ in seen if c == m[1])
    if question == "How many objects are there?":
        return NUMBERS[len(seen)]
    if m := re.fullmatch(r"How many (\w+) objects are there\?", question):
        return NUMBERS[colours[m[1]]]
    if m := re.fullmatch(r"Is there a (\w+) (\w+)\?", question):
        return yes_or_no[(m[1], m[2]) in [(c, s) for c, s, *_ in seen]]
    if m := re.fullmatch(r"Where is the (\w+) (\w+)\?", question):
        (at,) = [(r, k) for c, s, r, k in seen if (c, s) == (m[1], m[2])]
        return f"{('top', 'middle', 'bottom')[at[0]]} {('left', 'center', 'right')[at[1]]}"
    if m := re.fullmatch(r"Is the (\w+) (\w+) (left of|above) the (\w+) (\w+)\?", question):
        (a,) = [(k, r) for c, s, r, k in seen if (c, s) == (m[1], m[2])]
        (b,) = [(k, r) for c, s, r, k in seen if (c, s) == (m[4], m[5])]
        axis = m[3] == "above"
        assert a[axis] != b[axis]
        return yes_or_no[a[axis] < b[axis]]
    if m := re.fullmatch(r"How many objects remain if every (\w+) object is removed\?", question):
        some, total = colours[m[1]], len(seen)
        return (
            f"The object count is {NUMBERS[total]} and the {m[1]} count is {NUMBERS[some]}, "
            f"so {NUMBERS[total - some]}."
        )
    m = re.fullmatch(r"Are there more (\w+) objects than (\w+) objects\?", question)
    assert m, question
    a, b = shapes[m[1]], shapes[m[2]]
    more = yes_or_no[a > b]
    return f"The {m[1]} count is {NUMBERS[a]} and the {m[2]} count is {NUMBERS[b]}, so {more}."


def training_scenes(world: Path) -> dict[str, Seen]:
    return {r["image"]: parse(exchanges(r)[0][1]) for r in load(world, "stage1")}


def held_out_scenes(world: Path) -> dict[str, Seen]:
    return {r["image"]: parse(exchanges(r)[0][1]) for r in load(world, "held_out_detail")}


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    def digest(name: str, seed: int) -> str:
        write_world(tmp_path / name, seed, scenes=20, held_out=6)
        total = hashlib.sha256()
        for path in sorted((tmp_path / name).rglob("*.*")):
            total.update(str(path.relative_to(tmp_path / name)).encode() + path.read_bytes())
        return total.hexdigest()

    first = digest("a", 5)
    assert digest("b", 5) == first
    assert digest("c", 6) != first


def test_a_complete_folder_appears_at_once_and_is_never_overwritten(tmp_path: Path) -> None:
    target, visible, calls = tmp_path / "world", [], []
    (tmp_path / "world.part").mkdir()  # what a killed run left behind
    (tmp_path / "world.part" / "junk").touch()

    def progress(done: int, total: int) -> None:
        visible.append(target.exists())
        calls.append((done, total))

    write_world(target, 0, scenes=5, held_out=2, progress=progress)
    assert not any(visible)
    assert calls == [(i, 8) for i in range(1, 9)]
    assert {path.name for path in target.iterdir()} == {"images", *(f"{n}.json" for n in FILES)}
    assert list(tmp_path.iterdir()) == [target]
    with pytest.raises(FileExistsError, match="world` exists already"):
        write_world(target, 0, scenes=5, held_out=2)


def test_every_record_is_legal_llava_json(world: Path) -> None:
    for name in FILES:
        records = load(world, name)
        assert len({record["id"] for record in records}) == len(records)
        for record in records:
            values = [turn["value"] for turn in record["conversations"]]
            roles = [turn["from"] for turn in record["conversations"]]
            assert roles == ["human", "gpt"] * (len(roles) // 2)
            assert 1 <= len(roles) // 2 <= 7
            assert values[0].startswith("<image>\n")
            assert sum(value.count("<image>") for value in values) == 1
            assert all(value.strip() for value in values)
            assert (world / "images" / record["image"]).is_file()


def test_every_answer_follows_from_the_caption(world: Path) -> None:
    scenes = training_scenes(world)
    kinds = Counter()
    for record in load(world, "stage2"):
        seen = scenes[record["image"]]
        for question, answer in exchanges(record):
            if question == "Describe the picture in detail.":
                assert parse(answer) == seen
                kinds["detail"] += 1
            else:
                assert answer == expected(question, seen), record
                kinds[question.split()[0]] += 1
    assert min(kinds.values()) > 20, kinds
    assert len(load(world, "stage2")) == 480
    assert {record["image"] for record in load(world, "stage2")} == set(scenes)


def test_every_held_out_answer_follows_from_the_description(world: Path) -> None:
    scenes = held_out_scenes(world)
    for record in load(world, "held_out"):
        ((question, answer),) = exchanges(record)
        assert answer == expected(question, scenes[record["image"]]), record
        assert record["category"] in KINDS
    for record in load(world, "held_out_complex"):
        ((question, answer),) = exchanges(record)
        assert answer == expected(question, scenes[record["image"]]), record
    asked = Counter(record["image"] for record in load(world, "held_out"))
    assert set(asked) == set(scenes)
    assert max(asked.values()) == 3
    assert {record["category"] for record in load(world, "held_out")} == KINDS


def test_held_pairs_never_occur_in_training_or_held_out_pictures(world: Path) -> None:
    for scenes in (training_scenes(world), held_out_scenes(world)):
        assert not any((c, s) in HELD_PAIRS for seen in scenes.values() for c, s, *_ in seen)
    spoken = "".join((world / f"{name}.json").read_text() for name in ("stage1", "stage2"))
    assert not any(f"{colour} {shape}" in spoken for colour, shape in HELD_PAIRS)
    unseen = (world / "unseen_pairs.json").read_text()
    assert all(f"{colour} {shape}" in unseen for colour, shape in HELD_PAIRS)


def test_no_picture_is_in_two_sets_and_no_name_tells_what_it_shows(world: Path) -> None:
    sets = [
        {record["image"] for record in load(world, name)}
        for name in ("stage1", "held_out", "unseen_pairs")
    ]
    assert not sets[0] & sets[1]
    assert not (sets[0] | sets[1]) & sets[2]
    pictures = [path.read_bytes() for path in (world / "images").rglob("*.jpg")]
    assert len(set(pictures)) == len(pictures) == 400 + 120 + 60
    assert all(re.fullmatch(r"\w+/\d{5}\.jpg", name) for name in set.union(*sets))


def test_blind_is_held_out_with_the_previous_picture(world: Path) -> None:
    held_out, blind = load(world, "held_out"), load(world, "blind")
    for record, other in zip(held_out, blind, strict=True):
        number = int(record["image"][-9:-4])
        assert other == {**record, "image": f"held_out/{(number - 1) % 120:05d}.jpg"}


def test_pictures_are_jpeg_files_that_our_decoder_reads_like_pillow(world: Path) -> None:
    for path in sorted((world / "images").rglob("*.jpg"))[::10]:
        with Image.open(path) as picture:
            assert (picture.format, picture.size, picture.mode) == ("JPEG", (96, 96), "RGB")
            ours = llava_fast.decode_image(path.read_bytes())
            np.testing.assert_array_equal(ours, np.asarray(picture))


def test_each_thing_is_drawn_in_its_cell_in_its_colour_and_shape() -> None:
    area = {"circle": np.pi, "square": 4 * 0.85**2, "triangle": 1.90, "cross": 2.26}
    rng = Random(1)
    for colour, rgb in COLOURS.items():
        for shape in SHAPES:
            for cell in range(9):
                picture = photograph((Thing(colour, shape, cell),), rng).astype(float)
                cells = picture.reshape(3, 32, 3, 32, 3).swapaxes(1, 2).reshape(9, 1024, 3)
                lights = np.linspace(0.82, 1.05, 5)[:, None, None, None] * np.array(rgb)
                near = (np.linalg.norm(cells - lights, axis=-1) < 45).any(0)
                assert near.sum(1).argmax() == cell
                covered = near[cell].sum()
                assert area[shape] * 8.5**2 * 0.6 < covered < area[shape] * 13**2 * 1.2


def test_an_edit_changes_one_attribute_or_swaps_one() -> None:
    rng = Random(2)
    for _ in range(300):
        scene = random_scene(rng, held_pairs=True)
        other = edited(scene, rng)
        assert len(other) == len(scene)
        assert len({thing.cell for thing in other}) == len(other)
        lost, new = set(scene) - set(other), set(other) - set(scene)
        assert 1 <= len(lost) == len(new) <= 2
        if len(lost) == 2:  # a swap: the words stay the same
            assert sorted(w for t in lost for w in t[:2]) == sorted(w for t in new for w in t[:2])


def test_random_scenes_use_all_pairs_cells_and_numbers_evenly() -> None:
    rng = Random(4)
    scenes = [random_scene(rng, held_pairs=True) for _ in range(4000)]
    for counts, expected_share in (
        (Counter(map(len, scenes)), 1 / 4),
        (Counter(thing.pair for scene in scenes for thing in scene), 1 / 24),
        (Counter(thing.cell for scene in scenes for thing in scene), 1 / 9),
    ):
        total = sum(counts.values())
        assert len(counts) == round(1 / expected_share)
        assert all(abs(n / total / expected_share - 1) < 0.25 for n in counts.values())

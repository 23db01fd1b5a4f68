"""Writes the default's data: pictures as JPEG files and conversations as LLaVA JSON.

From here on it is data like any other; nothing that trains or evaluates knows where it comes from.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from .questions import Exchange, caption, conversation, detail, reasoning
from .render import jpeg, render
from .scenes import HELD_PAIRS, Scene, random_scene

CAPTION_REQUEST = "Describe the picture briefly."
DIALOGUES_PER_SCENE = 1.2  # 3,000 pictures: 3,600 dialogues = 300 steps of 12
DIALOGUE_KINDS = {"conversation": 0.5, "detail": 0.2, "complex": 0.3}
SHORT_QUESTIONS = 3  # a held-out picture

Record = dict[str, Any]
Progress = Callable[[int, int], None]


def write_world(
    folder: Path,
    seed: int,
    scenes: int = 3000,
    held_out: int = 300,
    progress: Progress = lambda done, total: None,
) -> None:
    """Writes `folder`/images/ and the JSON files beside it; the same seed gives the same bytes.

    stage1.json: a caption for each of `scenes` training pictures.
    stage2.json: dialogues about them: short questions (up to 7 turns), descriptions, reasoning.
    held_out.json, held_out_detail.json, held_out_complex.json: single questions about `held_out`
        other pictures; `category` is the kind of question.
    blind.json: the questions of held_out.json, each beside the previous picture.
    unseen_pairs.json: questions about half as many pictures, each with a colour-shape pair that no
        training picture shows.

    progress: called with the number of pictures written and their total.
    Errors: FileExistsError if `folder` exists. It appears by a rename, so it is complete.
    """
    if folder.exists():
        raise FileExistsError(f"`{folder}` exists already")
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    sets = _draw(seed, scenes, held_out)
    _write_pictures(part / "images", sets, Random(f"pictures {seed}"), progress)
    for name, records in _records(sets, seed).items():
        text = ",\n".join(json.dumps(record) for record in records)
        (part / f"{name}.json").write_text(f"[\n{text}\n]\n", "utf-8")
    part.rename(folder)


def _draw(seed: int, scenes: int, held_out: int) -> dict[str, list[Scene]]:
    """The scenes of each set; the set's name is also its folder of pictures."""
    rng = Random(f"scenes {seed}")
    train = [random_scene(rng) for _ in range(scenes)]
    held = [random_scene(rng) for _ in range(held_out)]
    unseen: list[Scene] = []
    while len(unseen) < held_out // 2:
        scene = random_scene(rng, held_pairs=True)
        if any(thing.pair in HELD_PAIRS for thing in scene):
            unseen.append(scene)
    return {"train": train, "held_out": held, "unseen_pairs": unseen}


def _write_pictures(
    folder: Path, sets: dict[str, list[Scene]], rng: Random, progress: Progress
) -> None:
    total = sum(map(len, sets.values()))
    done = 0
    for name, scenes in sets.items():
        (folder / name).mkdir(parents=True)
        for number, scene in enumerate(scenes):
            (folder / _picture(name, number)).write_bytes(jpeg(render(scene, rng)))
            done += 1
            progress(done, total)


def _picture(name: str, number: int) -> str:
    """Path below images/; the number says nothing about what is shown."""
    return f"{name}/{number:05d}.jpg"


def _records(sets: dict[str, list[Scene]], seed: int) -> dict[str, list[Record]]:
    """All JSON files by name."""
    rng = Random(f"words {seed}")
    train, held = sets["train"], sets["held_out"]
    short = [conversation(scene, rng)[:SHORT_QUESTIONS] for scene in held]
    unseen = [conversation(scene, rng)[:SHORT_QUESTIONS] for scene in sets["unseen_pairs"]]
    return {
        "stage1": [_caption_record(i, scene) for i, scene in enumerate(train)],
        "stage2": _dialogue_records(train, rng),
        "held_out": _questions("held_out", short),
        "held_out_detail": _questions("held_out", [[detail(scene)] for scene in held]),
        "held_out_complex": _questions("held_out", [reasoning(scene, rng) for scene in held]),
        "blind": _questions("held_out", short, shift=1),
        "unseen_pairs": _questions("unseen_pairs", unseen),
    }


def _caption_record(number: int, scene: Scene) -> Record:
    exchange = Exchange("caption", CAPTION_REQUEST, caption(scene))
    return _record(f"caption-{number:05d}", _picture("train", number), [exchange])


def _dialogue_records(scenes: list[Scene], rng: Random) -> list[Record]:
    """Every picture once, then some of them again with another dialogue."""
    again = rng.sample(range(len(scenes)), round((DIALOGUES_PER_SCENE - 1) * len(scenes)))
    return [
        _record(f"dialogue-{number:05d}", _picture("train", i), _dialogue(scenes[i], rng))
        for number, i in enumerate([*range(len(scenes)), *again])
    ]


def _dialogue(scene: Scene, rng: Random) -> list[Exchange]:
    kind = rng.choices(list(DIALOGUE_KINDS), DIALOGUE_KINDS.values())[0]
    if kind == "conversation":
        return conversation(scene, rng)
    return [detail(scene)] if kind == "detail" else reasoning(scene, rng)


def _questions(name: str, exchanges: list[list[Exchange]], shift: int = 0) -> list[Record]:
    """One record for each question; `shift` gives it the picture that many numbers before."""
    return [
        _record(
            f"{name}-{number:05d}-{i}",
            _picture(name, (number - shift) % len(exchanges)),
            [exchange],
            category=exchange.kind,
        )
        for number, asked in enumerate(exchanges)
        for i, exchange in enumerate(asked)
    ]


def _record(name: str, image: str, exchanges: list[Exchange], **more: str) -> Record:
    """LLaVA's layout; `<image>` stands in the first human turn."""
    turns = []
    for number, (_, question, answer) in enumerate(exchanges):
        place = "<image>\n" if number == 0 else ""
        turns.append({"from": "human", "value": place + question})
        turns.append({"from": "gpt", "value": answer})
    return {"id": name, "image": image, **more, "conversations": turns}

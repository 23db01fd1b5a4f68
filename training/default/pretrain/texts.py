"""Documents for the language model: a scene in words, then dialogues about it.

Every context is words; the model never sees `<image>`. The loss is on answers only.
"""

from random import Random
from typing import NamedTuple

from ..questions import (
    Exchange,
    alone_in,
    caption,
    colour_question,
    conversation,
    count_colour_question,
    count_question,
    count_shape_question,
    detail,
    exists_question,
    reasoning,
    relation_questions,
    shape_question,
    where_question,
)
from ..scenes import COLOUR_NAMES, SHAPES, Scene, Thing, random_scene

# Orders of colour, shape and place in a list; the first two are the easy ones.
EASY_FORMS = ("{shape} {colour} {place}", "{colour} {shape} {place}")
FORMS = (
    *EASY_FORMS,
    "{shape} {colour} {place}",
    "{shape} {colour} {place}",
    "{colour} {shape} {place}",
    "{place} {colour} {shape}",
    "{place} {shape} {colour}",
    "{colour} {place} {shape}",
    "{shape} {place} {colour}",
)
EASY_DRILLS = ("colour", "shape", "where")
# Colour and relation twice: they take longest to learn.
DRILLS = (*EASY_DRILLS, "relation", "exists", "count", "colour", "relation")
LONGEST_DRILL = 6


class Document(NamedTuple):
    """A context in words and what follows it: exchanges, or one continuation without questions."""

    context: str
    exchanges: tuple[Exchange, ...] = ()
    continuation: str = ""


def training_document(share: float, rng: Random) -> Document:
    """One document of the curriculum at `share` (0..1) of the run.

    Up to 0.22: two list forms, look-ups of colour, shape and place, and about half copies of lists
    in another order; then all forms and kinds. Scenes have few things and colours at first.
    """
    easy = share < 0.22
    scene = _training_scene(share, rng)
    if rng.random() < max(0.08, 0.5 - 1.3 * share):
        return _list_said_again(scene, rng, EASY_FORMS if easy else FORMS)
    easy_context = rng.random() > share / 0.3
    context = listing(scene, rng, EASY_FORMS) if easy_context else scene_in_words(scene, rng)
    if rng.random() < 0.08:
        return Document(context, continuation=caption(scene))
    return Document(context, tuple(_dialogue(scene, rng, easy)))


def _training_scene(share: float, rng: Random) -> Scene:
    most = 4 if rng.random() < max(0.3, 1.6 * share) else 2
    # One or two colours make things that differ in shape or place only.
    colours = rng.choice((0, 1, 2, 2) if share < 0.5 else (0, 0, 1, 2))
    palette = tuple(rng.sample(COLOUR_NAMES, colours)) if colours else COLOUR_NAMES
    return random_scene(rng, most, held_pairs=True, palette=palette)


def _dialogue(scene: Scene, rng: Random, easy: bool) -> list[Exchange]:
    kind = rng.random()
    if kind < 0.09:
        return [detail(scene)]
    if not easy and kind < 0.22:
        return reasoning(scene, rng)
    if not easy and kind < 0.40:
        return conversation(scene, rng)
    return drill(scene, rng, EASY_DRILLS if easy else DRILLS) or conversation(scene, rng)[:1]


def question_document(rng: Random) -> Document:
    """One short question about a scene of up to four things in any form of words."""
    scene = random_scene(rng, held_pairs=True)
    return Document(scene_in_words(scene, rng), tuple(conversation(scene, rng)[:1]))


def scene_in_words(scene: Scene, rng: Random) -> str:
    """A caption, sentences, a list (some with repeated items) or a 3 x 3 grid."""
    kind = rng.random()
    if kind >= 0.75:
        return _grid(scene, rng)
    things = list(scene)
    if rng.random() < 0.7:
        rng.shuffle(things)
    if kind < 0.15:
        return caption(tuple(things))
    if kind < 0.25:
        return " ".join(f"A {t.colour} {t.shape} is at the {t.place}." for t in things)
    if rng.random() < 0.25:
        things = [thing for thing in things for _ in range(rng.randint(1, 2))]
        rng.shuffle(things)
    return _items(things, rng.choice(FORMS))


def listing(scene: Scene, rng: Random, forms: tuple[str, ...]) -> str:
    """The things in random order, each with its three attributes in the order of one form."""
    return _items(rng.sample(scene, len(scene)), rng.choice(forms))


def _items(things: list[Thing], form: str) -> str:
    return " ".join(form.format(**_attributes(thing)) + "," for thing in things)


def _attributes(thing: Thing) -> dict[str, str]:
    return {"colour": thing.colour, "shape": thing.shape, "place": thing.place}


def _list_said_again(scene: Scene, rng: Random, forms: tuple[str, ...]) -> Document:
    """A list, then the same things in another order and, half of the time, in another form."""
    form = rng.choice(forms)
    other = form if rng.random() < 0.5 else rng.choice(forms)
    first, second = (rng.sample(scene, len(scene)) for _ in range(2))
    return Document(_items(first, form), continuation=_items(second, other))


def _grid(scene: Scene, rng: Random) -> str:
    """Nine cells in reading order, with or without their names; "no" where nothing is."""
    named = rng.random() < 0.7
    form = rng.choice(("{shape} {colour}", "{colour} {shape}"))
    things = {thing.cell: thing for thing in scene}
    cells = []
    for cell in range(9):
        words = form.format(**_attributes(things[cell])) if cell in things else "no"
        place = Thing("", "", cell).place
        cells.append(f"{place} {words}," if named else f"{words},")
    return " ".join(cells)


def drill(scene: Scene, rng: Random, kinds: tuple[str, ...]) -> list[Exchange]:
    """Questions of one kind, so that no earlier turn gives a later answer away.

    ("Where is the red circle?" would answer "What color is the circle?".) May be empty.
    """
    questions = _questions_of(rng.choice(kinds), scene, rng)
    return rng.sample(questions, min(len(questions), LONGEST_DRILL))


def _questions_of(kind: str, scene: Scene, rng: Random) -> list[Exchange]:
    if kind == "colour":
        return [colour_question(thing) for thing in alone_in(scene, "shape")]
    if kind == "shape":
        return [shape_question(thing) for thing in alone_in(scene, "colour")]
    things = alone_in(scene, "pair")
    if kind == "where":
        return [where_question(thing) for thing in things]
    if kind == "relation":
        return [q for a in things for b in things if a != b for q in relation_questions(a, b)]
    if kind == "exists":
        return _exists_questions(scene, rng)
    return _count_questions(scene, rng)


def _exists_questions(scene: Scene, rng: Random) -> list[Exchange]:
    """Every present pair, and up to one more absent pairs, most of them close to present ones."""
    present = {thing.pair for thing in scene}
    colours = [*(thing.colour for thing in scene), *COLOUR_NAMES]
    shapes = [*(thing.shape for thing in scene), *SHAPES]
    absent = {(rng.choice(colours), rng.choice(shapes)) for _ in range(6)} - present
    pairs = sorted(present) + sorted(absent)[: len(present) + 1]
    return [exists_question(scene, pair) for pair in pairs]


def _count_questions(scene: Scene, rng: Random) -> list[Exchange]:
    colours = {*rng.sample(COLOUR_NAMES, 2), *(thing.colour for thing in scene)}
    by_colour = [count_colour_question(scene, colour) for colour in sorted(colours)]
    by_shape = [count_shape_question(scene, shape) for shape in rng.sample(SHAPES, 2)]
    return [*by_colour, count_question(scene), *by_shape]

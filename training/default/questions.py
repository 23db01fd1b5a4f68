"""What can be said about a scene: captions, short questions, descriptions, two-step reasoning."""

from collections import Counter
from random import Random
from typing import NamedTuple

from .scenes import COLOUR_NAMES, HELD_PAIRS, SHAPES, Scene, Thing

NUMBERS = ("zero", "one", "two", "three", "four")


class Exchange(NamedTuple):
    """One question with its answer; `kind` names the question type."""

    kind: str
    question: str
    answer: str


def caption(scene: Scene) -> str:
    """For example "a red circle at the top left and a blue cross at the middle right"."""
    return " and ".join(f"a {t.colour} {t.shape} at the {t.place}" for t in scene)


def colour_question(thing: Thing) -> Exchange:
    """Right only if no other thing has this shape."""
    return Exchange("colour", f"What color is the {thing.shape}?", thing.colour)


def shape_question(thing: Thing) -> Exchange:
    """Right only if no other thing has this colour."""
    return Exchange("shape", f"What shape is the {thing.colour} object?", thing.shape)


def where_question(thing: Thing) -> Exchange:
    """Right only if no other thing has this colour and shape."""
    return Exchange("where", f"Where is the {thing.colour} {thing.shape}?", thing.place)


def count_question(scene: Scene) -> Exchange:
    """How many things there are."""
    return Exchange("count", "How many objects are there?", NUMBERS[len(scene)])


def count_colour_question(scene: Scene, colour: str) -> Exchange:
    """How many things have this colour; may be none."""
    number = sum(thing.colour == colour for thing in scene)
    return Exchange("count-colour", f"How many {colour} objects are there?", NUMBERS[number])


def count_shape_question(scene: Scene, shape: str) -> Exchange:
    """How many things have this shape; may be none."""
    number = sum(thing.shape == shape for thing in scene)
    return Exchange("count-shape", f"How many {shape} objects are there?", NUMBERS[number])


def exists_question(scene: Scene, pair: tuple[str, str]) -> Exchange:
    """Whether a thing of this colour and shape is there."""
    answer = _yes_or_no(pair in {thing.pair for thing in scene})
    return Exchange("exists", f"Is there a {pair[0]} {pair[1]}?", answer)


def relation_questions(a: Thing, b: Thing) -> list[Exchange]:
    """Left of / above, each where the two differ in that direction."""
    out = []
    for words, at_a, at_b in (("left of", a.column, b.column), ("above", a.row, b.row)):
        if at_a != at_b:
            question = f"Is the {a.colour} {a.shape} {words} the {b.colour} {b.shape}?"
            out.append(Exchange("relation", question, _yes_or_no(at_a < at_b)))
    return out


def alone_in(scene: Scene, name: str) -> list[Thing]:
    """The things that share their `name` (colour, shape or pair) with no other."""
    number = Counter(getattr(thing, name) for thing in scene)
    return [thing for thing in scene if number[getattr(thing, name)] == 1]


def conversation(scene: Scene, rng: Random) -> list[Exchange]:
    """At most one question of each kind, in random order; every answer is certain."""
    out = [count_question(scene)]
    if things := alone_in(scene, "shape"):
        out.append(colour_question(rng.choice(things)))
    if things := alone_in(scene, "colour"):
        out.append(shape_question(rng.choice(things)))
    present = rng.random() < 0.7
    colour = rng.choice([thing.colour for thing in scene] if present else COLOUR_NAMES)
    out.append(count_colour_question(scene, colour))
    things = alone_in(scene, "pair")
    if things:
        out.append(where_question(rng.choice(things)))
    if len(things) > 1:
        out.append(rng.choice(relation_questions(*rng.sample(things, 2))))
    if pair := _pair_to_ask_for(scene, rng):
        out.append(exists_question(scene, pair))
    rng.shuffle(out)
    return out


def _pair_to_ask_for(scene: Scene, rng: Random) -> tuple[str, str] | None:
    """A present pair in half of the cases; else an absent one, mostly close to a present one.

    Now and then no absent pair is found (None): drawing stops with probability 0.05 a try.
    """
    pairs = [thing.pair for thing in scene]
    if rng.random() < 0.5:
        return rng.choice(pairs)
    while True:
        colour = rng.choice(pairs)[0] if rng.random() < 0.5 else rng.choice(COLOUR_NAMES)
        shape = rng.choice(pairs)[1] if rng.random() < 0.5 else rng.choice(SHAPES)
        if (colour, shape) not in pairs and (colour, shape) not in HELD_PAIRS:
            return colour, shape
        if rng.random() < 0.05:
            return None


def detail(scene: Scene) -> Exchange:
    """A full description in reading order."""
    one = len(scene) == 1
    head = "There is one object." if one else f"There are {NUMBERS[len(scene)]} objects."
    body = "".join(f" A {t.colour} {t.shape} is at the {t.place}." for t in scene)
    return Exchange("detail", "Describe the picture in detail.", head + body)


def reasoning(scene: Scene, rng: Random) -> list[Exchange]:
    """One or two questions whose answer names two counts and concludes."""
    out = [_remaining(scene, rng.choice([thing.colour for thing in scene]))]
    shapes = [thing.shape for thing in scene]
    if rng.random() < 0.4:
        a, b = rng.sample(SHAPES, 2)
    else:
        a, b = rng.choice(shapes), rng.choice(SHAPES)
    if a != b:
        out.append(_comparison(scene, *rng.sample((a, b), 2)))
    rng.shuffle(out)
    return out


def _remaining(scene: Scene, colour: str) -> Exchange:
    total, some = len(scene), sum(thing.colour == colour for thing in scene)
    answer = (
        f"The object count is {NUMBERS[total]} and the {colour} count is {NUMBERS[some]}, "
        f"so {NUMBERS[total - some]}."
    )
    question = f"How many objects remain if every {colour} object is removed?"
    return Exchange("complex", question, answer)


def _comparison(scene: Scene, a: str, b: str) -> Exchange:
    number = Counter(thing.shape for thing in scene)
    answer = (
        f"The {a} count is {NUMBERS[number[a]]} and the {b} count is {NUMBERS[number[b]]}, "
        f"so {_yes_or_no(number[a] > number[b])}."
    )
    return Exchange("complex", f"Are there more {a} objects than {b} objects?", answer)


def _yes_or_no(truth: bool) -> str:
    return "yes" if truth else "no"

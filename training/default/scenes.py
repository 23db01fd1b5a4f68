"""The symbolic world: one to four coloured shapes in the nine cells of a square picture."""

from random import Random
from typing import NamedTuple

COLOURS = {
    "red": (220, 45, 45),
    "green": (45, 180, 65),
    "blue": (50, 85, 230),
    "yellow": (235, 215, 55),
    "purple": (165, 60, 205),
    "white": (240, 240, 240),
}
COLOUR_NAMES = tuple(COLOURS)
SHAPES = ("circle", "square", "triangle", "cross")
ROWS = ("top", "middle", "bottom")
COLUMNS = ("left", "center", "right")
MAX_THINGS = 4

# Pairs that LLaVA training never shows. The backbones know them from their own pre-training, so a
# right answer about one shows that the projector carries over to combinations it has not met.
HELD_PAIRS = frozenset({("purple", "triangle"), ("yellow", "cross")})


class Thing(NamedTuple):
    """One object: its colour and shape, and its cell 0..8 in reading order."""

    colour: str
    shape: str
    cell: int

    @property
    def pair(self) -> tuple[str, str]:
        """Colour and shape."""
        return self.colour, self.shape

    @property
    def row(self) -> int:
        """0 = top."""
        return self.cell // 3

    @property
    def column(self) -> int:
        """0 = left."""
        return self.cell % 3

    @property
    def place(self) -> str:
        """The cell in words, for example "top left"."""
        return f"{ROWS[self.row]} {COLUMNS[self.column]}"


Scene = tuple[Thing, ...]  # sorted by cell


def random_scene(
    rng: Random,
    most: int = MAX_THINGS,
    held_pairs: bool = False,
    palette: tuple[str, ...] = COLOUR_NAMES,
) -> Scene:
    """One to `most` things in different cells, colours from `palette`.

    Pairs of `HELD_PAIRS` occur only with `held_pairs`.
    """
    cells = sorted(rng.sample(range(9), rng.randint(1, most)))
    return tuple(Thing(*_random_pair(rng, held_pairs, palette), cell) for cell in cells)


def _random_pair(rng: Random, held_pairs: bool, palette: tuple[str, ...]) -> tuple[str, str]:
    while True:
        pair = rng.choice(palette), rng.choice(SHAPES)
        if held_pairs or pair not in HELD_PAIRS:
            return pair


def edited(scene: Scene, rng: Random) -> Scene:
    """A scene that differs by one colour, shape or place, or by one swap between two things."""
    while True:
        other = _edit(scene, rng)
        if other != scene:
            return other


def _edit(scene: Scene, rng: Random) -> Scene:
    things = list(scene)
    i = rng.randrange(len(things))
    what = rng.choices(("colour", "shape", "cell", "swap"), (0.3, 0.3, 0.2, 0.2))[0]
    if what == "colour":
        things[i] = things[i]._replace(colour=rng.choice(COLOUR_NAMES))
    elif what == "shape":
        things[i] = things[i]._replace(shape=rng.choice(SHAPES))
    elif what == "cell":
        free = sorted(set(range(9)) - {thing.cell for thing in things})
        things[i] = things[i]._replace(cell=rng.choice(free))
    elif len(things) > 1:
        j = rng.choice([j for j in range(len(things)) if j != i])
        name = rng.choice(("colour", "shape"))
        a, b = getattr(things[i], name), getattr(things[j], name)
        things[i] = things[i]._replace(**{name: b})
        things[j] = things[j]._replace(**{name: a})
    return tuple(sorted(things, key=lambda thing: thing.cell))

"""The public names, and that each one explains itself. A new name is a line in public_api.txt."""

import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

import llava_fast

NAMES = Path(__file__).with_name("public_api.txt").read_text().split()
OBJECTS = [name for name in NAMES if name != "__version__"]


def test_the_names_are_the_listed_ones():
    assert sorted(llava_fast.__all__) == NAMES
    assert len(NAMES) <= 20
    assert dir(llava_fast) == NAMES


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute `webp`"):
        llava_fast.webp  # noqa: B018


def functions(name: str) -> Iterator[tuple[str, object]]:
    """The object itself if it is a function, else its own public methods."""
    thing = getattr(llava_fast, name)
    if not inspect.isclass(thing):
        yield name, thing
        return
    for attribute, value in vars(thing).items():
        value = getattr(value, "__func__", getattr(value, "fget", value))
        if inspect.isfunction(value) and not attribute.startswith("_"):
            yield f"{name}.{attribute}", value


@pytest.mark.parametrize("name", OBJECTS)
def test_every_object_has_a_docstring(name: str):
    missing = [] if inspect.getdoc(getattr(llava_fast, name)) else [name]
    missing += [place for place, function in functions(name) if not inspect.getdoc(function)]
    assert missing == []


@pytest.mark.parametrize("name", OBJECTS)
def test_every_function_has_type_hints(name: str):
    missing = []
    for place, function in functions(name):
        if not inspect.isfunction(function):  # compiled: its hints are in _rust.pyi
            continue
        signature = inspect.signature(function)
        parameters = [p for p in signature.parameters.values() if p.name not in ("self", "cls")]
        missing += [f"{place}({p.name})" for p in parameters if p.annotation is p.empty]
        if signature.return_annotation is signature.empty:
            missing.append(f"{place} ->")
    assert missing == []

"""Which versions are installed, and whether the package's own metadata accepts them.

Reads metadata only; no package is imported.
"""

import re
import sys
from dataclasses import dataclass
from importlib import metadata


@dataclass(frozen=True)
class Installed:
    """version: None if the package is absent. wanted: as pip writes it, `torch>=2.11`."""

    name: str
    version: str | None
    wanted: str

    @property
    def fits(self) -> bool:
        """Whether the version is inside the bounds of `wanted`."""
        bounds = re.findall(r"(>=|<)\s*([\d.]+)", self.wanted)
        found = _numbers(self.version or "")
        return all((found >= _numbers(at)) == (sign == ">=") for sign, at in bounds)


def names() -> list[str]:
    """The direct dependencies on this platform."""
    return sorted(_wanted()) or ["numpy", "pillow", "safetensors", "torch", "transformers"]


def installed(name: str) -> Installed:
    """What is here of a dependency."""
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        version = None
    return Installed(name, version, _wanted().get(name, name))


def _wanted() -> dict[str, str]:
    """Name -> requirement of llava-fast; empty for a tree that is used without installing."""
    try:
        lines = metadata.requires("llava-fast") or []
    except metadata.PackageNotFoundError:
        return {}
    found = {}
    for line in lines:
        specification, _, marker = line.partition(";")
        if "sys_platform" in marker and f"'{sys.platform}'" not in marker.replace('"', "'"):
            continue
        found[re.match(r"[\w-]+", line)[0]] = specification.strip()
    return found


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.match(r"[\d.]*", version)[0].strip(".").split(".") or [0]))

"""The files of the repository as git sees them, for the tests of its structure."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def files(*patterns: str) -> list[Path]:
    """Tracked files and new ones that are not ignored, relative to the root, links not followed."""
    command = ["git", "ls-files", "-co", "--exclude-standard", "-z", "--", *patterns]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if result.returncode:
        pytest.skip("not a git checkout")
    listed = {Path(name) for name in result.stdout.split("\0") if name}
    return sorted(path for path in listed if (ROOT / path).is_file())


def imports(path: Path) -> Iterator[str]:
    """Dotted names a module imports anywhere in it; `from a import b` gives `a.b`; dots stay."""
    for node in ast.walk(ast.parse((ROOT / path).read_text(), filename=str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            yield from (f"{base}.{alias.name}" for alias in node.names)


def python(code: str, *path: Path) -> str:
    """Output of a fresh interpreter in the root, with `path` searched right after the root."""
    bootstrap = f"import sys; sys.path[1:1] = {[str(p) for p in path]!r}\n{code}"
    result = subprocess.run(
        [sys.executable, "-c", bootstrap], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()

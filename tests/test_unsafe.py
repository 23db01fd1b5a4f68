"""Where Rust may use `unsafe`: the list below, and the compiler refuses it everywhere else."""

import re
import tomllib

from tests.repository import ROOT, files

# Path of the module -> why it needs `unsafe`.
ALLOWED: dict[str, str] = {
    "rust/core/src/image/simd/mod.rs": "functions compiled for instructions asked for at run time",
    "rust/core/src/image/simd/lanes.rs": "vectors to and from arrays",
    "rust/core/src/image/simd/jpeg_colour.rs": "calls into functions for a path",
    "rust/core/src/image/simd/jpeg_idct.rs": "calls into functions for a path",
    "rust/core/src/image/simd/planes.rs": "calls into functions for a path",
    "rust/core/src/image/simd/resize.rs": "calls into functions for a path",
    "rust/core/src/image/simd/resize_avx2.rs": "windows of a row, checked once for all of them",
    "rust/core/src/image/simd/resize_avx512.rs": "windows of a row, checked once for all of them",
    "rust/py/src/arrays.rs": "arrays over the memory of pooled buffers",
}

NOT_CODE = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\])*"', re.DOTALL)


def manifest(path: str) -> dict:
    return tomllib.loads((ROOT / path).read_text())


def test_the_lint_is_on_in_every_crate():
    workspace = manifest("Cargo.toml")["workspace"]
    assert workspace["lints"]["rust"]["unsafe_code"] == "deny"
    for member in workspace["members"]:
        assert manifest(f"{member}/Cargo.toml")["lints"] == {"workspace": True}


def test_only_listed_modules_use_it():
    found = set()
    for path in files("rust/*.rs"):
        code = NOT_CODE.sub("", (ROOT / path).read_text())
        if re.search(r"\bunsafe\b|\bunsafe_code\b", code):
            found.add(str(path))
    assert found == set(ALLOWED)

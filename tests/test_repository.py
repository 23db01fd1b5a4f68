"""What must not be in the repository."""

import re
import subprocess
import tomllib

import pytest

from tests.repository import ROOT, files

PRODUCT = ("python/*.py", "kernels/*.py", "training/*.py", "rust/*.rs")
TEXT = (".py", ".pyi", ".rs", ".toml", ".md", ".lock", ".sh", ".txt", ".json", ".yml", "")
LARGEST_FILE = 5 * 2**20


def matches(pattern: str, *globs: str) -> list[str]:
    """`file:line: text` for every match."""
    found = []
    for path in files(*globs):
        if path.suffix not in TEXT or path == files("tests/test_repository.py")[0]:
            continue
        for number, line in enumerate((ROOT / path).read_text("utf-8").splitlines(), 1):
            if re.search(pattern, line):
                found.append(f"{path}:{number}: {line.strip()}")
    return found


@pytest.mark.parametrize(
    "pattern",
    [
        r"\bimport (c?[Pp]ickle|dill|marshal|shelve)\b|\bfrom (c?[Pp]ickle|dill|marshal|shelve)\b",
        r"\btorch\.(load|save)\(",
        r"\btrust_remote_code\s*=\s*True",
        r"(?<![\w.])(eval|exec)\(",
        r"\b(os\.system|shell=True)\b",
        r"\b(TODO|FIXME|XXX)\b",
    ],
)
def test_words_that_product_code_never_uses(pattern: str):
    assert matches(pattern, *PRODUCT) == []


def test_files_are_small():
    large = [str(path) for path in files() if (ROOT / path).stat().st_size > LARGEST_FILE]
    assert large == []


def test_no_path_of_a_developers_machine():
    assert matches(r"(?<![\w.])/(home|root|work|Users|tmp)/\w", "*") == []


def test_lock_files_name_no_index():
    assert matches(r"https?://|--(extra-)?index-url|--find-links", "requirements/*.lock") == []


def test_every_locked_package_has_a_hash():
    for path in files("requirements/*.lock"):
        text = (ROOT / path).read_text()
        pins = re.split(r"\n(?=\S)", text.strip())
        assert [pin for pin in pins if "==" not in pin or "--hash=sha256:" not in pin] == [], path


def test_later_locks_contain_the_earlier_ones():
    def pins(name: str) -> set[str]:
        text = (ROOT / "requirements" / name).read_text()
        return set(re.findall(r"^[\w.-]+==.*?(?= \\$)", text, re.MULTILINE))

    assert pins("run.lock") < pins("test.lock") < pins("bench.lock")


def test_the_version_is_written_once():
    """In Cargo.toml: the wheel, `llava_fast.__version__` and the crates all take it from there."""
    import llava_fast

    workspace = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]
    version = workspace["package"]["version"]
    assert llava_fast.__version__ == version
    assert matches(rf'^\s*(__version__|version)\s*=\s*"{version}"', "*.py", "*.toml") == [
        f'Cargo.toml:{line_of(version)}: version = "{version}"'
    ]
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()


def line_of(version: str) -> int:
    lines = (ROOT / "Cargo.toml").read_text().splitlines()
    return lines.index(f'version = "{version}"') + 1


def test_third_party_lists_every_linked_crate():
    command = "cargo tree -e normal,no-proc-macro --prefix none --locked --offline -f {p}|{l}"
    options = ["-p", "llava-fast-py", "--target", "x86_64-unknown-linux-gnu"]
    tree = subprocess.run([*command.split(), *options], cwd=ROOT, capture_output=True, text=True)
    assert tree.returncode == 0, tree.stderr
    linked = set()
    for line in tree.stdout.splitlines():
        package, licence = line.removesuffix(" (*)").split("|")
        if not package.startswith("llava-fast"):
            linked.add(f"| {package.split()[0]} | {licence.replace('/', ' OR ')} |")
    listed = re.findall(r"^\| [\w-]+ \| .* \|$", (ROOT / "THIRD_PARTY.md").read_text(), re.M)
    assert set(listed) - {"| crate | licence |"} == linked


def dependencies() -> set[str]:
    """Names of all direct dependencies, of Python and of Rust."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = project["dependency-groups"].values()
    lines = [*project["project"]["dependencies"], *(line for group in groups for line in group)]
    names = {re.match(r"[\w-]+", line)[0] for line in lines}
    for manifest in files("rust/*/Cargo.toml"):
        crate = tomllib.loads((ROOT / manifest).read_text())
        names |= {*crate.get("dependencies", {}), *crate.get("dev-dependencies", {})}
    return {name for name in names if not name.startswith("llava-fast")}


def test_every_dependency_has_a_reason():
    rows = re.findall(r"^\| ([\w, ().`-]+) \| \w", (ROOT / "ARCHITECTURE.md").read_text(), re.M)
    explained = {name for row in rows for name in re.findall(r"[\w-]+", row)}
    assert dependencies() - explained == set()


def test_every_campaign_belongs_to_a_part_of_the_long_tests():
    makefile = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    parts = re.findall(r"^PART_(?!all)\w+ := (.*)$", makefile, re.MULTILINE)
    listed = [f"tests/test_{name}.py" for part in parts for name in part.split()]
    campaigns = {
        str(path)
        for path in files("tests/test_*.py")
        if re.search(r"\bscaled\(|\bhypothesis\b", (ROOT / path).read_text())
    }
    assert campaigns - set(listed) == set()
    assert len(listed) == len(set(listed))
    assert [name for name in listed if not (ROOT / name).exists()] == []

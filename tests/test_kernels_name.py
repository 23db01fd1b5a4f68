"""The folder `kernels/` beside the PyPI package `kernels`, which transformers imports if it can.

A folder without `__init__.py` loses to any installed package of its name; with one it would win,
and transformers could no longer import a Llama. These are the two situations that must work.
"""

from pathlib import Path

import pytest

from tests.repository import ROOT, python

LLAMA = "import transformers.models.llama.modeling_llama\n"
# Every name is a function that gives a decorator: enough for what transformers does at import.
STAND_IN = """__version__ = {version!r}
def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return lambda *arguments, **options: lambda decorated: decorated
"""


@pytest.fixture
def hub_kernels(tmp_path: Path) -> Path:
    """A stand-in for the PyPI package in the version window of the installed transformers."""
    from transformers.utils.import_utils import KERNELS_MIN_VERSION

    version = KERNELS_MIN_VERSION
    package, info = tmp_path / "kernels", tmp_path / f"kernels-{version}.dist-info"
    package.mkdir()
    info.mkdir()
    (package / "__init__.py").write_text(STAND_IN.format(version=version))
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: kernels\nVersion: {version}\n")
    return tmp_path


def test_transformers_imports_beside_our_folder():
    code = f"{LLAMA}print(getattr(sys.modules.get('kernels'), '__file__', None))"
    assert python(code) == "None"


def test_the_installed_package_wins_over_our_folder(hub_kernels: Path):
    code = (
        f"{LLAMA}import kernels, llava_fast.kernels as ours\n"
        "from transformers.utils.import_utils import is_kernels_available\n"
        "print(is_kernels_available(), kernels.__file__, *ours.__path__, sep='\\n')"
    )
    available, theirs, ours = python(code, hub_kernels).splitlines()
    assert available == "True"
    assert Path(theirs).is_relative_to(hub_kernels)
    assert Path(ours).resolve() == ROOT / "kernels"

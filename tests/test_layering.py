"""Who may import whom (ARCHITECTURE.md, "Layers")."""

import ast

from tests.repository import ROOT, files, imports, python

HEAVY = ("numpy", "torch", "transformers", "PIL", "triton", "safetensors")


def offenders(pattern: str, *forbidden: str) -> list[str]:
    """`file imports name` for each import of a forbidden package or of something inside it."""
    found = []
    for path in files(pattern):
        for name in imports(path):
            if any(name == word or name.startswith(word + ".") for word in forbidden):
                found.append(f"{path} imports {name}")
    return found


def test_the_core_never_sees_python():
    sources = files("rust/core/*")
    assert len(sources) > 1
    assert [str(path) for path in sources if "pyo3" in (ROOT / path).read_text()] == []


def test_importing_the_package_loads_nothing_heavy():
    assert python(f"import llava_fast; print([m for m in {HEAVY} if m in sys.modules])") == "[]"


def test_reference_kernels_are_plain_torch():
    assert offenders("kernels/*/reference.py", "triton") == []


def test_kernels_know_nothing_of_the_package():
    assert offenders("kernels/*.py", "llava_fast") == []


def test_models_know_neither_data_nor_training():
    forbidden = ("llava_fast.data", "llava_fast.training", "training", "..data", "..training")
    assert offenders("python/llava_fast/models/*.py", *forbidden) == []


def test_only_the_command_line_imports_the_trainer():
    package = [path for path in files("python/*.py") if path.name not in ("cli.py", "__main__.py")]
    names = {(str(path), name) for path in package for name in imports(path)}
    assert [pair for pair in names if "training" in pair[1].split(".")] == []


def test_the_trainer_imports_itself_relatively():
    """One package under two names (`training`, `llava_fast.training`) must be loaded once."""
    own = offenders("training/*.py", "training", "llava_fast.training")
    assert own == ["training/run.py imports llava_fast.training.run.main"]
    last = ast.parse((ROOT / "training/run.py").read_text()).body[-1]
    assert isinstance(last, ast.If)
    assert ast.unparse(last.test) == "__name__ == '__main__'"


def test_running_the_trainer_loads_one_copy_of_it():
    code = (
        "import runpy, sys; sys.argv = ['run', '--help']\n"
        "try: runpy.run_module('training.run', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "print([m for m in sys.modules if m.startswith('training.')])\n"
        "print('llava_fast.training.recipes' in sys.modules)"
    )
    assert python(code).splitlines()[-2:] == ["[]", "True"]


def test_nothing_imports_the_top_level_kernels():
    """`kernels` is also a package of Hugging Face: ours is reached as `llava_fast.kernels` only."""
    assert not (ROOT / "kernels" / "__init__.py").exists()
    assert offenders("*.py", "kernels") == []

"""What every test shares: reproducible hypothesis runs, the optional larger sets."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.scale import scaled

ROOT = Path(__file__).resolve().parent.parent

# The same examples on every run and every machine; the scale decides how many.
settings.register_profile(
    "llava_fast",
    derandomize=True,
    deadline=None,
    max_examples=scaled(2_000, least=20),
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("llava_fast")


def pytest_report_header() -> str:
    scale = os.environ.get("LLAVA_FAST_TEST_SCALE", "0.01")
    fixtures = os.environ.get("LLAVA_FAST_FIXTURES", "not set")
    return f"campaigns at scale {scale}, LLAVA_FAST_FIXTURES {fixtures}"


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def data() -> Path:
    """Committed pictures, records and tokenizers."""
    return ROOT / "tests" / "data"


@pytest.fixture(scope="session")
def fixtures() -> Path:
    """The larger optional sets; a test that asks for them is skipped where they are absent."""
    folder = os.environ.get("LLAVA_FAST_FIXTURES")
    if not folder:
        pytest.skip("LLAVA_FAST_FIXTURES is not set")
    return Path(folder)

"""What every test shares: few threads, a private cache, and the real images where they are."""

import os
import signal
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")

# A test runner started in the background ignores Ctrl-C, and so would the processes under test.
signal.signal(signal.SIGINT, signal.default_int_handler)

DATA = Path(os.environ.get("DCGAN_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(autouse=True)
def private_cache(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Every test has cache and data folders of its own; the user's are never touched."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("DCGAN_CACHE", str(folder))
    monkeypatch.setenv("DCGAN_DATA", str(tmp_path_factory.mktemp("data")))
    return folder


@pytest.fixture
def real_data() -> Path:
    """The folder of real images ($DCGAN_TEST_DATA); the test is skipped where there is none."""
    if not DATA.is_dir():
        pytest.skip(f"no real images in {DATA}; set DCGAN_TEST_DATA to their folder")
    return DATA

"""What an installed wheel holds."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from dcgan_cli.checkpoint.find import BUNDLED, find_checkpoint
from dcgan_cli.checkpoint.format import load

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "dcgan_cli/render/annotation_page"
OURS = {path.name for path in (ROOT / "checkpoints").iterdir() if path.suffix in (".pt", ".json")}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names of the files in a wheel of a copy of this tree, in which somebody has trained."""
    pytest.importorskip("setuptools")
    copy = tmp_path_factory.mktemp("tree")
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "dcgan_cli", copy / "dcgan_cli", ignore=ignored)
    (copy / "checkpoints/faces").mkdir(parents=True)
    for name in ("faces/last.pt", *OURS):
        (copy / "checkpoints" / name).touch()
    (copy / "dcgan_cli/analysis/tenth").mkdir()
    (copy / "dcgan_cli/analysis/tenth/__init__.py").touch()
    build = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
    line = [sys.executable, "-c", build, str(copy / "dist")]
    subprocess.run(line, cwd=copy, check=True, capture_output=True)
    (file,) = (copy / "dist").glob("*.whl")
    return set(zipfile.ZipFile(file).namelist())


def test_a_wheel_holds_every_module_and_a_package_that_nobody_listed(wheel: set[str]) -> None:
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "dcgan_cli").rglob("*.py")}
    added = {"dcgan_cli/analysis/tenth/__init__.py"}
    assert {name for name in wheel if name.endswith(".py")} == modules | added
    pages = {str(path.relative_to(ROOT)) for path in PAGE.iterdir() if path.is_file()}
    assert pages <= wheel


def test_a_wheel_holds_the_bundled_models_and_nobody_s_runs(wheel: set[str]) -> None:
    assert {f"{name}.pt" for name in BUNDLED} <= OURS
    bundled = {name for name in wheel if name.startswith("dcgan_cli/bundled/")}
    assert bundled == {f"dcgan_cli/bundled/{name}" for name in OURS}
    folders = {name.partition("/")[0] for name in wheel}
    assert "dcgan_cli" in folders
    assert all(name == "dcgan_cli" or name.endswith(".dist-info") for name in folders)


def test_bundled_models_are_small_found_from_anywhere_and_whole(tmp_path: Path) -> None:
    for name in BUNDLED:
        path = find_checkpoint(name, tmp_path)
        assert path.stat().st_size <= 8_000_000
        model = load(path)
        model.build_generator()
        model.build_discriminator()
        assert model.data["location"].startswith("demo:")
    assert find_checkpoint(None, tmp_path).stem == BUNDLED[0]

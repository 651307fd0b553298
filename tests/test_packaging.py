"""What an installed wheel holds."""

import tomllib
from pathlib import Path

from dcgan_cli.checkpoint.find import BUNDLED, find_checkpoint
from dcgan_cli.checkpoint.format import load

ROOT = Path(__file__).parents[1]


def test_every_package_is_listed() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        listed = tomllib.load(file)["tool"]["setuptools"]["packages"]
    there = {
        ".".join(init.parent.relative_to(ROOT).parts)
        for init in (ROOT / "dcgan_cli").rglob("__init__.py")
    }
    assert set(listed) == there | {"dcgan_cli.bundled"}


def test_bundled_models_are_small_found_from_anywhere_and_whole(tmp_path: Path) -> None:
    for name in BUNDLED:
        path = find_checkpoint(name, tmp_path)
        assert path.stat().st_size <= 8_000_000
        model = load(path)
        model.build_generator()
        model.build_discriminator()
        assert model.data["location"].startswith("demo:")
    assert find_checkpoint(None, tmp_path).stem == BUNDLED[0]

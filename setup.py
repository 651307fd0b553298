"""The packages of the wheel, found instead of listed; all else stands in pyproject.toml."""

from setuptools import find_packages, setup

# checkpoints/ travels with them: [tool.setuptools.package-dir]
setup(packages=[*find_packages(include=["dcgan_cli", "dcgan_cli.*"]), "dcgan_cli.bundled"])

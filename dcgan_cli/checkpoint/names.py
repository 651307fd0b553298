"""Names of concepts, and latent arguments that name nothing: known without importing torch."""

import re
from pathlib import Path

from dcgan_cli.errors import UsageError

NO_POINTS = "no such file; expected an image grid (samples.png#3,17), z.npy#0,4 or a concept's name"

_NAME = re.compile(r"[a-z0-9][a-z0-9_]{0,63}")


def is_name(text: str) -> bool:
    """Whether `text` is a valid name of a concept."""
    return _NAME.fullmatch(text) is not None


def check_name(name: str) -> None:
    """Raise UsageError if `name` is not a valid name of a concept."""
    if not is_name(name):
        near = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:64]
        mend = f"; try {near}" if is_name(near) else ""
        raise UsageError(
            f"{name!r} is no name for a concept; expected small letters, digits and _{mend}"
        )


def check_points(*arguments: str) -> None:
    """Raise UsageError for a latent argument that can be no concept and is no file."""
    for text in (argument.partition("#")[0] for argument in arguments):
        if not is_name(text) and not Path(text).is_file():
            raise UsageError(f"{text}: {NO_POINTS}")

"""The file names of samples that `dcgan sample --split` writes, and the sample of a file name."""

import difflib
import re
import reprlib
from dataclasses import dataclass
from pathlib import PurePosixPath

from dcgan_cli.errors import SourceError
from dcgan_cli.wording import counted

_NUMBERED = re.compile(r"(?:[0-9a-f]{8}-)?([0-9]{1,9})")
"""A name without its suffix; Label Studio prefixes eight digits of its own."""


@dataclass(frozen=True)
class SampleFiles:
    """The files of samples 0 … `count` − 1, as a source to which a label table can be joined."""

    count: int

    @property
    def location(self) -> str:
        """How error messages call them."""
        return f"the {counted(self.count, 'sample')}"

    def __len__(self) -> int:
        return self.count

    def name(self, index: int) -> str:
        """0017.png, with more digits if there are more than ten thousand."""
        return f"{index:0{max(4, len(str(self.count - 1)))}d}.png"

    def find(self, where: str, name: str) -> int:
        """The number of the sample whose file is called `name`, in any folder, with any suffix.

        Raises SourceError, beginning with `where`, if there is none.
        """
        file = PurePosixPath(name.strip().replace("\\", "/"))
        if (match := _NUMBERED.fullmatch(file.stem)) is not None:
            return self.check(where, int(match[1]))
        known = [self.name(index) for index in range(self.count)]
        near = ", ".join(difflib.get_close_matches(file.name, known, n=3))
        raise SourceError(
            f"{where}: {name[:60]!r} is no sample; expected names as dcgan sample --split writes "
            f"them, {known[0]} to {known[-1]}{f'; near: {near}' if near else ''}"
        )

    def check(self, where: str, index: int) -> int:
        """`index` if there is such a sample. Raises SourceError, beginning with `where`."""
        if not 0 <= index < self.count:
            more = f"; give -n {index + 1}" if 0 < index < 10**9 else ""
            raise SourceError(
                f"{where}: no sample {reprlib.repr(index)}; there are {self.count}, counted from 0"
                f"{more}"
            )
        return index

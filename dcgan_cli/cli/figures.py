"""How a command writes the figure of its image grid: composed as was asked, with its caption."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, cast

from dcgan_cli.choices import Layout
from dcgan_cli.cli.console import Console
from dcgan_cli.cli.outputs import TXT, Output
from dcgan_cli.errors import UsageError
from dcgan_cli.files import is_special

if TYPE_CHECKING:
    from dcgan_cli.report import ImageGrid


class Lines(TypedDict):
    """What drawings of lines are told: the format, and the dots an inch of a PNG."""

    ending: str
    dpi: int


@dataclass(frozen=True)
class FigureFile:
    """The options --layout, --scale and --caption of a figure that goes into `out`.

    Raises UsageError for a caption beside what is no file.
    """

    out: Path
    layout: str
    scale: int | None
    caption: bool

    def __post_init__(self) -> None:
        if self.caption and is_special(self.out):
            raise UsageError(f"--caption: there is no place beside {self.out}; name a file with -o")

    @property
    def captioned(self) -> Output:
        """The file of the caption, if one is asked for."""
        file = self.out.with_suffix(".txt") if self.caption else None
        return Output("--caption", file, TXT, unnamed=True)

    def write(self, console: Console, grid: "ImageGrid", numbers: bool = False) -> None:
        """Write the figure of `grid`, and its caption. Raises StorageError."""
        from dcgan_cli.render.figure import encode_figure

        encoded = encode_figure(grid, cast(Layout, self.layout), self.scale, numbers)
        console.write_result(self.out, encoded)
        self.write_caption(console, grid)

    def write_caption(self, console: Console, grid: "ImageGrid") -> None:
        """Write the caption of `grid`, if it is asked for. Raises StorageError."""
        from dcgan_cli.render.figure import caption

        if (file := self.captioned.path) is not None:
            console.write_result(file, f"{caption(grid)}\n".encode())

    def lines(self, path: Path) -> "Lines":
        """As what a drawing of lines goes into `path`."""
        from dcgan_cli.render.lines import PAPER_DPI, SLIDE_DPI, ending_of

        dpi = PAPER_DPI if self.layout == "paper" else SLIDE_DPI
        return {"ending": ending_of(path), "dpi": dpi}

"""The two streams: results on stdout, everything else on stderr."""

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dcgan_cli.files import atomic_write, is_stdout
from dcgan_cli.progress import ProgressCallback

if TYPE_CHECKING:
    from rich.console import Console as RichConsole
    from rich.console import RenderableType


class Console:
    """Where a command speaks. `quiet` silences notes and progress, never results or errors."""

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet

    @property
    def rich(self) -> "RichConsole":
        """Rich on stderr; it heeds NO_COLOR, TERM and redirects by itself."""
        from rich.console import Console as RichConsole

        return RichConsole(stderr=True, quiet=self.quiet, highlight=False, soft_wrap=True)

    @property
    def lively(self) -> bool:
        """Whether stderr is a terminal that lines can be redrawn on."""
        dumb = os.environ.get("TERM", "").lower() in ("dumb", "unknown")
        return not self.quiet and sys.stderr.isatty() and not dumb

    def note(self, text: str) -> None:
        """One line on stderr."""
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)

    def show(self, renderable: "RenderableType") -> None:
        """A table or the like on stderr."""
        self.rich.print(renderable, crop=False)

    def result(self, text: str) -> None:
        """A result on stdout."""
        print(text, flush=True)

    def result_table(self, renderable: "RenderableType") -> None:
        """A result for people on stdout."""
        from rich.console import Console as RichConsole

        RichConsole(highlight=False).print(renderable, crop=False)

    def write_result(self, target: Path, data: bytes) -> None:
        """A result as a file, or on stdout where `target` is `-`. Raises StorageError."""
        if is_stdout(target):
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
            return
        with atomic_write(target) as file:
            file.write(data)

    @contextmanager
    def progress(self, doing: str) -> Generator[ProgressCallback]:
        """A progress bar on a terminal; elsewhere a line every few seconds."""
        if self.lively:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
            from rich.progress import TimeRemainingColumn as Left

            columns = (TextColumn(doing), BarColumn(), MofNCompleteColumn(), Left())
            with Progress(*columns, console=self.rich, transient=True) as progress:
                task = progress.add_task(doing, total=None)
                yield lambda done, total: progress.update(task, completed=done, total=total)
        else:
            yield _lines(self, doing)


def _lines(console: Console, doing: str, every: float = 5.0) -> ProgressCallback:
    from time import monotonic

    told = monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal told
        if monotonic() - told >= every:
            told = monotonic()
            console.note(f"{doing}: {done:,} of {total:,}")

    return tell

"""Where images come from and how they are read, as a person types it."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dcgan_cli.errors import UsageError

if TYPE_CHECKING:
    from dcgan_cli.data.resize_crop import ImageSpec
    from dcgan_cli.data.sources import Source


@dataclass(frozen=True)
class Request:
    """Where images come from and how they are read; the options of the "Images" panel."""

    location: str
    labels: Path | None = None
    limit: int | None = None
    background: str = "white"
    fit: str = "crop"
    levels: str | None = None
    aspect: float = 1.0
    workers: int | None = None
    use_cache: bool = True
    cache_gib: float = 20.0
    max_unreadable: float = 0.05

    def open(self) -> "Source":
        """The images at the location. Raises SourceError as open_source does."""
        from dcgan_cli.data.sources import open_source

        return open_source(self.location, labels=self.labels, limit=self.limit)

    def image_spec(self, side: int, channels: int) -> "ImageSpec":
        """How an image becomes a square of `side` pixels. Raises UsageError for a wrong option."""
        from dcgan_cli.data.reference import color
        from dcgan_cli.data.resize_crop import FITS, ImageSpec

        if self.fit not in FITS:
            raise UsageError(f"--fit {self.fit}: expected one of {', '.join(FITS)}")
        rgb, aspect = color(self.background), self.aspect if self.fit == "stretch" else 1.0
        try:
            black, white = (float(level) for level in (self.levels or "0,1").split(","))
            levels = None if self.levels is None else (black, white)
            return ImageSpec(side, channels, rgb, self.fit, levels, aspect)
        except ValueError as error:
            raise UsageError(
                f"--levels {self.levels}: expected the values of black and white, such as 0,4095"
            ) from error


def check_source(location: str | None) -> None:
    """Raise SourceError where nothing is called `location`; a look at its name, not into it."""
    before, mark, _ = (location or "").rpartition("#")
    if location and not (Path(location).exists() or (mark and before and Path(before).exists())):
        from dcgan_cli.data.sources import open_source

        open_source(location)  # which knows the words that are no paths, and what to say

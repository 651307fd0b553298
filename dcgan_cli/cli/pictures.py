"""From what a person types as SOURCE to pictures ready for the networks, with every step said."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dcgan_cli.cli.console import Console

if TYPE_CHECKING:
    from dcgan_cli.checkpoint.format import Checkpoint
    from dcgan_cli.data.cache import PictureSet
    from dcgan_cli.data.decode import Framing
    from dcgan_cli.data.sources import Source
    from dcgan_cli.data.survey import Survey


@dataclass(frozen=True)
class Request:
    """Where pictures come from and how they are read; the options of the "Pictures" panel."""

    location: str
    labels: Path | None = None
    limit: int | None = None
    background: str = "white"
    fit: str = "crop"
    levels: str | None = None
    aspect: float = 1.0
    workers: int | None = None
    use_cache: bool = True
    cache_gigabytes: float = 20.0
    max_unreadable: float = 0.05

    def colour(self) -> tuple[int, int, int]:
        """The background as RGB. Raises UsageError where it names no colour."""
        from PIL import ImageColor

        from dcgan_cli.errors import UsageError

        try:
            red, green, blue = ImageColor.getrgb(self.background)[:3]
        except ValueError as error:
            raise UsageError(
                f"--background {self.background}: expected a colour such as white or #20a0ff"
            ) from error
        return red, green, blue

    def framing(self, side: int, channels: int) -> "Framing":
        """How an image becomes a square of `side` pixels. Raises UsageError for a wrong option."""
        from dcgan_cli.data.decode import FITS, Framing
        from dcgan_cli.errors import UsageError

        if self.fit not in FITS:
            raise UsageError(f"--fit {self.fit}: expected one of {', '.join(FITS)}")
        colour, aspect = self.colour(), self.aspect if self.fit == "stretch" else 1.0
        try:
            black, white = (float(level) for level in (self.levels or "0,1").split(","))
            levels = None if self.levels is None else (black, white)
            return Framing(side, channels, colour, self.fit, levels, aspect)
        except ValueError as error:
            raise UsageError(
                f"--levels {self.levels}: expected the values of black and white, such as 0,4095"
            ) from error


CONSIDERABLE = 0.2
"""A crop that leaves out a larger share of the width or height is worth a sentence."""


def look(console: Console, request: Request) -> "tuple[Source, Survey]":
    """Recognise the source and look at some of its pictures; both are said on stderr."""
    from dcgan_cli.data.sources import open_source
    from dcgan_cli.data.survey import survey

    source = open_source(request.location, labels=request.labels, limit=request.limit)
    found = survey(source)
    colours = "grey" if found.channels == 1 else "colour"
    console.note(
        f"{request.location}: {source.kind}, {len(source):,} pictures, {colours}, "
        f"short side {found.short_side:.0f} px"
    )
    for note in source.notes:
        console.note(note)
    labels = source.labels
    if labels is not None and labels.columns:
        of = ""
        if labels.listed is not None and not labels.listed.all():
            of = f" for {int(labels.listed.sum()):,} of {len(source):,} pictures"
        console.note(f"labels{of}: {', '.join(labels.columns)}")
    return source, found


def measured(console: Console, request: Request, survey: "Survey") -> Request:
    """`request`, with the levels and the aspect of the images themselves; what it does is said."""
    from dcgan_cli.data.decode import MOST_ASPECT

    request = replace(request, aspect=min(max(survey.aspect, 1 / MOST_ASPECT), MOST_ASPECT))
    if request.levels is None and survey.levels is not None:
        black, white = survey.levels
        request = replace(request, levels=f"{black!r},{white!r}")
        if survey.levels_note:
            console.note(survey.levels_note)
    cut, what = max((survey.width_cut, "width"), (survey.height_cut, "height"))
    if request.fit == "crop" and cut >= CONSIDERABLE:
        console.note(
            f"center crop cuts away {100 * cut:.0f} % of the {what} on average; "
            "--fit pad or --fit stretch keeps it"
        )
    return request


def prepare_pictures(
    console: Console, source: "Source", request: Request, side: int, channels: int
) -> "PictureSet":
    """Decode the pictures of `source` to `side` px, or find them decoded; skipped ones are said."""
    from dcgan_cli.data.cache import prepare

    with console.progress("decoding") as bar:
        pictures = prepare(
            source,
            request.framing(side, channels),
            workers=request.workers,
            cache_limit=int(request.cache_gigabytes * 2**30),
            max_unreadable=request.max_unreadable,
            use_cache=request.use_cache,
            progress=bar,
        )
    for note in pictures.notes:
        console.note(note)
    if pictures.skipped:
        console.note(f"{pictures.skipped} of {len(source):,} pictures skipped; see {pictures.log}")
    return pictures


def remember(source: "Source", request: Request, pictures: "PictureSet") -> dict[str, Any]:
    """What a checkpoint keeps of its data, so that every analysis finds the pictures again."""
    path, mark, split = request.location.partition("#")
    absolute = str(Path(path).resolve()) + mark + split if Path(path).exists() else source.location
    return {
        "location": absolute,
        "kind": source.kind,
        "labels": None if request.labels is None else str(request.labels.resolve()),
        "limit": request.limit,
        "background": request.background,
        "fit": request.fit,
        "levels": request.levels,
        "aspect": pictures.framing.aspect,
        "fingerprint": source.fingerprint(),
        "pictures": len(pictures),
        "side": pictures.framing.side,
        "channels": pictures.framing.channels,
    }


def framed_as(model: "Checkpoint", location: str = "") -> Request:
    """A request for the images at `location`, framed as those that `model` was trained on."""
    data = model.data
    levels, aspect = data.get("levels"), data.get("aspect", 1.0)
    return Request(
        location,
        background=str(data.get("background", "white")),
        fit=str(data.get("fit", "crop")),
        levels=levels if isinstance(levels, str) else None,
        aspect=aspect if isinstance(aspect, float) else 1.0,
    )


def remembered(model: "Checkpoint") -> "tuple[Source, Request]":
    """The pictures that `model` was trained on, found again by what `remember` kept of them.

    Raises DcganError where the checkpoint does not say where they are, or they are gone or changed.
    """
    from dcgan_cli.data.sources import open_source
    from dcgan_cli.errors import SourceError

    location, limit, labels = (model.data.get(key) for key in ("location", "limit", "labels"))
    if not isinstance(location, str):
        raise SourceError("the checkpoint does not say where its training pictures are")
    request = replace(
        framed_as(model, location),
        labels=Path(labels) if isinstance(labels, str) else None,
        limit=limit if isinstance(limit, int) else None,
    )
    source = open_source(location, labels=request.labels, limit=request.limit)
    if source.fingerprint() != model.data.get("fingerprint"):
        raise SourceError(f"{location} has changed since the training")
    return source, request

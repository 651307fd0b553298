"""From what a person types as SOURCE to pictures ready for the networks, with every step said."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dcgan_cli.cli.console import Console
from dcgan_cli.wording import counted

if TYPE_CHECKING:
    from dcgan_cli.checkpoint.format import Checkpoint
    from dcgan_cli.data.cache import PictureSet
    from dcgan_cli.data.sources import Source
    from dcgan_cli.data.survey import Survey


@dataclass(frozen=True)
class Request:
    """Where pictures come from and how they are read; the options of the "Pictures" panel."""

    location: str
    labels: Path | None = None
    limit: int | None = None
    background: str = "white"
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


def look(console: Console, request: Request) -> "tuple[Source, Survey]":
    """Recognise the source and look at some of its pictures; both are said on stderr."""
    from dcgan_cli.data.sources import open_source
    from dcgan_cli.data.survey import survey

    source = open_source(request.location, labels=request.labels, limit=request.limit)
    found = survey(source)
    colours = "grey" if found.channels == 1 else "colour"
    console.note(
        f"{request.location}: {source.kind}, {counted(len(source), 'picture')}, {colours}, "
        f"short side {found.short_side:.0f} px"
    )
    labels = source.labels
    if labels is not None and labels.columns:
        of = ""
        if labels.listed is not None and not labels.listed.all():
            of = f" for {int(labels.listed.sum()):,} of {counted(len(source), 'picture')}"
        console.note(f"labels{of}: {', '.join(labels.columns)}")
    return source, found


def prepare_pictures(
    console: Console, source: "Source", request: Request, side: int, channels: int
) -> "PictureSet":
    """Decode the pictures of `source` to `side` px, or find them decoded; skipped ones are said."""
    from dcgan_cli.data.cache import prepare
    from dcgan_cli.data.decode import Framing

    with console.progress("decoding") as bar:
        pictures = prepare(
            source,
            Framing(side, channels, request.colour()),
            workers=request.workers,
            cache_limit=int(request.cache_gigabytes * 2**30),
            max_unreadable=request.max_unreadable,
            use_cache=request.use_cache,
            progress=bar,
        )
    for note in pictures.notes:
        console.note(note)
    if pictures.skipped:
        console.note(
            f"{pictures.skipped} of {counted(len(source), 'picture')} skipped; see {pictures.log}"
        )
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
        "fingerprint": source.fingerprint(),
        "pictures": len(pictures),
        "side": pictures.framing.side,
        "channels": pictures.framing.channels,
    }


def remembered(model: "Checkpoint") -> "tuple[Source, Request]":
    """The pictures that `model` was trained on, found again by what `remember` kept of them.

    Raises DcganError where the checkpoint does not say where they are, or they are gone or changed.
    """
    from dcgan_cli.data.sources import open_source
    from dcgan_cli.errors import SourceError

    location, limit, labels = (model.data.get(key) for key in ("location", "limit", "labels"))
    if not isinstance(location, str):
        raise SourceError("the checkpoint does not say where its training pictures are")
    request = Request(
        location,
        labels=Path(labels) if isinstance(labels, str) else None,
        limit=limit if isinstance(limit, int) else None,
        background=str(model.data.get("background", "white")),
    )
    source = open_source(location, labels=request.labels, limit=request.limit)
    if source.fingerprint() != model.data.get("fingerprint"):
        raise SourceError(f"{location} has changed since the training")
    return source, request

"""Counts the files of a source that are not images, and describes them in one sentence."""

from collections import Counter
from dataclasses import dataclass, field

from dcgan_cli.data.kinds.names import IMAGE_SUFFIXES, litter, printable, suffix
from dcgan_cli.wording import counted

SKIPPED = "passed over"
"""The beginning of that sentence, among the notes of a source."""

NO_ENDING = ""
_MAX_NAMED = 6
"""Suffixes that are named in the sentence; the others are added up."""

_MAX_ENDING_LENGTH = 12
"""Maximum length of a suffix with its dot; anything longer is part of a name."""

_ONE_IMAGE = ".jpg or .png"
_RAW = (
    ".3fr .arw .cr2 .cr3 .crw .dcr .dng .erf .iiq .kdc .mef .mos .mrw .nef .nrw .orf .pef .raf "
    ".raw .rw2 .rwl .sr2 .srf .srw .x3f"
)
_FILMS = ".3gp .avi .m4v .mkv .mov .mp4 .mpeg .mpg .mts .webm .wmv"
_OTHER_IMAGES = (
    ".ai .cur .dcm .dds .eps .exr .fits .hdr .icns .ico .jxl .jxr .pcx .psb .psd .qoi .sgi "
    ".svg .tga .wdp .xcf .xpm"
)
_MENDS: dict[str, str] = {
    **dict.fromkeys(_RAW.split(), f"camera raw: export them as {_ONE_IMAGE}"),
    **dict.fromkeys(_FILMS.split(), "film: save its frames as images"),
    **dict.fromkeys(_OTHER_IMAGES.split(), f"convert them to {_ONE_IMAGE}"),
    **dict.fromkeys(
        (".heic", ".heif", ".hif"),
        f"pip install 'dcgan[heic]' reads them, or convert them to {_ONE_IMAGE}",
    ),
    **dict.fromkeys((".avif", ".avifs"), f"this Pillow cannot: convert them to {_ONE_IMAGE}"),
    ".pdf": f"save its images as {_ONE_IMAGE}",
    **dict.fromkeys((".npy", ".npz"), "arrays: save each image as .png"),
    **dict.fromkeys((".zip", ".tar", ".7z", ".rar", ".gz"), "unpack them first"),
    NO_ENDING: "add their ending, such as .jpg, to their names",
}
_QUIET = frozenset(("desktop.ini", "thumbs.db", "ehthumbs.db", "picasa.ini", "zbthumbnail.info"))
"""Files that operating systems and viewers create everywhere; they are not mentioned."""


@dataclass
class SkippedFiles:
    """Files that were skipped: by suffix, images among the litter of other programs, links.

    `special` are the paths of pipes, sockets and devices.
    """

    endings: Counter[str] = field(default_factory=Counter[str])
    litter: Counter[str] = field(default_factory=Counter[str])
    special: list[str] = field(default_factory=list[str])
    links: int = 0
    archive_links: int = 0

    def takes(self, path: str) -> bool:
        """Whether the file at `path` (with slashes) is an image to be read; if not, it is counted."""
        ending = suffix(path)
        found = litter(path)
        if found is None and ending in IMAGE_SUFFIXES:
            return True
        if found is not None:
            self.litter[found] += ending in IMAGE_SUFFIXES
        elif path.rpartition("/")[2].casefold() not in _QUIET:
            self.endings[ending if len(ending) <= _MAX_ENDING_LENGTH else NO_ENDING] += 1
        return False

    def notes(self) -> tuple[str, ...]:
        """All counts in one sentence, with what to do about them, as the notes of a source."""
        parts = self.kinds(mends=True)
        parts += [
            f"{counted(count, 'image')} in {printable(name)}"
            for name, count in self.litter.most_common(_MAX_NAMED)
            if count
        ]
        if self.special:
            names = ", ".join(map(printable, sorted(self.special)[:_MAX_NAMED]))
            more = ", ..." if len(self.special) > _MAX_NAMED else ""
            parts.append(
                f"{counted(len(self.special), 'special file')} (pipe, socket or device: "
                f"{names}{more})"
            )
        if self.links:
            parts.append(f"{counted(self.links, 'link')} to a folder that contains the link itself")
        if self.archive_links:
            parts.append(f"{counted(self.archive_links, 'link')} inside the tar (unpack it first)")
        return (f"{SKIPPED}: {', '.join(parts)}",) if parts else ()

    def kinds(self, mends: bool = False) -> list[str]:
        """The files by suffix, most frequent first: "2 .txt files"; `mends` adds advice."""
        ranked = self.endings.most_common()
        named: list[str] = []
        for ending, count in ranked[:_MAX_NAMED]:
            files = counted(count, f"{printable(ending)} file" if ending else "file")
            mend = _MENDS.get(ending) if mends else None
            without = "" if ending else " without an ending"
            named.append(files + without + (f" ({mend})" if mend else ""))
        rest = sum(count for _, count in ranked[_MAX_NAMED:])
        return [*named, f"{counted(rest, 'file')} of other endings"] if rest else named

"""Report and its parts: the one type that crosses from analysis to render.

An analysis fills a Report with numbers and images; `render` turns it into PNG, table or JSON.
Nothing here knows how it will be shown.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dcgan_cli.errors import DcganError

RECORD = "dcgan"
"""The PNG text chunks `dcgan.0`, `dcgan.1` … hold a grid's Provenance in pieces: many readers limit
how long one chunk may be."""

SHARE, TIMES = "share", "times"
"""Units beside " %" and " sd": a share in [0, 1], which people are shown in percent, and a ratio."""

Images = NDArray[np.uint8]
"""Images as shown and stored: uint8 [N, H, W, C], C 1 (gray) or 3 (RGB)."""


@dataclass(frozen=True)
class Estimate:
    """A number and how sure it is.

    `kind` says in words of what level and kind the interval is and what varies: "95 % t, n=8
    draws".
    """

    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = None
    kind: str = ""


@dataclass(frozen=True)
class Finding:
    """One measured value beside its control and, where there is one, the published value.

    `key` is stable: it is the name in `--json`. `label` is for people. `about` is the attribute or
    object that the finding is about, where `key` holds a person's own word. `better` says which way
    is good, where one is. A `headline` is shown without --verbose, the first six of a report.
    """

    key: str
    label: str
    value: Estimate
    control: Estimate | None = None
    control_label: str = ""
    published: str = ""
    unit: str = ""
    about: str = ""
    better: Literal["", "up", "down"] = ""
    headline: bool = False


@dataclass(frozen=True)
class DrawSettings:
    """How a generator drew: what makes an image of a z, beside the checkpoint.

    Attributes:
        bn: whose batch-norm statistics it used: "running", "batch" or "reestimated".
        ema: whether the weights were the moving average of training, or the last ones.
        reference_seed, reference_batches, reference_batch_size: the latent vectors on which the
            statistics were estimated; no batches where they are those of training.
    """

    bn: str
    ema: bool
    reference_seed: int = 0
    reference_batches: int = 0
    reference_batch_size: int = 0

    def __str__(self) -> str:
        """In the words of the options: `--bn running and the EMA of G`."""
        return f"--bn {self.bn} and the {'EMA of G' if self.ema else 'last weights'}"


@dataclass(frozen=True, eq=False)
class Provenance:
    """What made the tiles of an image grid: enough to draw them again, stored inside the PNG.

    `latents` is float32 [N, z_dim], one row a tile; rows of NaN are tiles that have no z. `drawn`
    is None where no generator drew, and in files of earlier versions.
    """

    checkpoint: str
    command: str
    seed: int | None
    latents: NDArray[np.float32]
    drawn: DrawSettings | None = None

    def to_json(self) -> str:
        """One JSON object; `latents` as base64 of little-endian float32."""
        rows, width = self.latents.shape
        return json.dumps(
            {
                "checkpoint": self.checkpoint,
                "command": self.command,
                "seed": self.seed,
                "drawn": None if self.drawn is None else asdict(self.drawn),
                "tiles": rows,
                "z_dim": width,
                "latents": base64.b64encode(self.latents.astype("<f4").tobytes()).decode(),
            }
        )

    @classmethod
    def from_json(cls, text: str) -> "Provenance":
        """Read what `to_json` wrote. Raises DcganError for anything else."""
        try:
            fields = json.loads(text)
            raw = base64.b64decode(fields["latents"], validate=True)
            latents = np.frombuffer(raw, "<f4").reshape(int(fields["tiles"]), int(fields["z_dim"]))
            seed = None if fields["seed"] is None else int(fields["seed"])
            drawn = None if fields.get("drawn") is None else _drawn(fields["drawn"])
            made = str(fields["checkpoint"]), str(fields["command"])
            return cls(*made, seed, latents.copy(), drawn)
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise DcganError(f"the image's record of its latents is damaged ({error})") from error


def _drawn(values: Mapping[str, Any]) -> DrawSettings:
    """A DrawSettings of stored `values`. Raises ValueError, KeyError or TypeError."""
    numbers = [values[f"reference_{name}"] for name in ("seed", "batches", "batch_size")]
    if not isinstance(values["bn"], str) or not isinstance(values["ema"], bool):
        raise ValueError("how it was drawn is no batch-norm mode and choice of weights")
    return DrawSettings(values["bn"], values["ema"], *map(int, numbers))


WordRole = Literal["title", "heading", "label", "sign", "note"]
"""What words are in a figure; `render` knows how large each is."""

Corners = tuple[float, float, float, float]
"""A box on an image: x0, y0, x1, y1 as fractions of its width and height."""


@dataclass(frozen=True)
class Tiles:
    """Some tiles of an image grid in `rows`, by their numbers there.

    Their `scale` is relative to the other tiles of the figure; `touching` is without gaps, as a film
    strip. Frames mark the tiles `framed`, and `boxes` are drawn thinly, by numbers of tiles.
    """

    rows: Sequence[Sequence[int]]
    scale: float = 1.0
    touching: bool = False
    framed: Sequence[int] = ()
    boxes: Mapping[int, Sequence[Corners]] = field(default_factory=dict[int, Sequence[Corners]])


@dataclass(frozen=True)
class Words:
    """Words of a figure. In a Stack they are folded to its width."""

    text: str
    role: WordRole = "label"


@dataclass(frozen=True)
class Axis:
    """A line as wide as the tiles above it, with words below its two ends and its middle."""

    left: str
    right: str
    middle: str = ""


@dataclass(frozen=True)
class Beside:
    """Parts of a figure from left to right; `align` is vertical."""

    parts: "Sequence[Part]"
    align: Literal["start", "center", "end"] = "center"


@dataclass(frozen=True)
class Stack:
    """Parts of a figure from top to bottom; `align` is horizontal, `apart` leaves more between."""

    parts: "Sequence[Part]"
    align: Literal["start", "center"] = "center"
    apart: bool = False


Part = Tiles | Words | Axis | Beside | Stack
"""A figure, or a part of one: which tiles stand where, and the words beside them.

    Beside([Tiles([[0], [1]]), Words("=", "sign"), Stack([Tiles([[2]]), Words("their sum")])])
"""


def in_rows(numbers: Sequence[int], columns: int) -> list[list[int]]:
    """`numbers` in rows of `columns`, the last one as long as it comes out."""
    return [list(numbers[start : start + columns]) for start in range(0, len(numbers), columns)]


@dataclass(frozen=True)
class ImageGrid:
    """Images in rows of `columns` tiles, whose numbers address them, and how a figure shows them.

    `captions`, when given, has one text a tile; `row_labels` one a row: they are shown where every
    detail is. `figure` composes the tiles for a slide or a paper, all of them in rows where it is
    None; `caption` says what can be seen. `aspect` is the width / height in which a tile is shown:
    images that were stretched to squares get back their shape.
    """

    name: str
    images: Images
    columns: int
    captions: Sequence[str] = ()
    row_labels: Sequence[str] = ()
    provenance: Provenance | None = None
    aspect: float = 1.0
    figure: Part | None = None
    caption: str = ""

    def shaped(self, aspect: float) -> "ImageGrid":
        """The same tiles, shown in another width / height."""
        return replace(self, aspect=aspect)


@dataclass(frozen=True)
class Table:
    """Rows of text and numbers under named columns.

    `key` and `keys` are the names of the table and of its columns in `--json`, made of `title` and
    `columns` where they are left out. A column whose key is "" has a name that only the data know,
    such as that of a class: such columns are listed by name, under `values`.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | float | int | None]]
    key: str = ""
    keys: Sequence[str] = ()


@dataclass(frozen=True)
class Report:
    """What a command found out: values with controls, tables, image grids, and plain facts.

    `verdict` says the outcome in one plain sentence, of the findings' own values. `facts` holds what
    `--json` prints beside the findings (seed, checkpoint, counts).
    """

    title: str
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])
    findings: Sequence[Finding] = ()
    tables: Sequence[Table] = ()
    grids: Sequence[ImageGrid] = ()
    notes: Sequence[str] = ()
    verdict: str = ""

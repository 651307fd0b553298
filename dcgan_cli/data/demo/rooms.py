"""Drawn bedrooms with their truth: `draw(index)` is a picture, `truth(index)` what is in it.

Every room has a bed; a window, a door, a lamp and a picture are there or not, each independently
with probability one half, and each has a place of its own, so that adding or removing one changes
no pixel outside its box. It stands in for the LSUN bedrooms of the paper (section 6.3.2, where
windows are dropped) with answers that can be checked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from dcgan_cli.data.demo.bed import Bed
from dcgan_cli.data.demo.canvas import Canvas, Rgb, swatch
from dcgan_cli.data.demo.furniture import MOTIFS, Door, Lamp, Picture, Table, Window
from dcgan_cli.data.demo.perspective import Camera, Plane, Rect
from dcgan_cli.data.demo.shell import Floor, Light, Rug, Shell

SIZE = 128
"""Pictures are drawn at this size unless told otherwise."""

VERSION = 1
"""Increase it whenever an index is drawn differently."""

_TAG = 0x726F6F6D
_T = TypeVar("_T")

Piece = Bed | Window | Door | Lamp | Picture


WALLS = swatch("E9E1D3 CBD3C4 BCCAD3 E3C9BC DDD0AE D5D5D6 9DB0A8 8FA3B5 C9A995")
PANELING = swatch("EFECE4 E6E8E6")
WOODS = swatch("B98A5E 8A5F42 D0AE84 6B4A38")
CARPETS = swatch("BDB4A8 A6A9AC CFC4B2")
HEADBOARDS = swatch("A9764C 7A5240 8C929B B7A58F 59687A 9C6B63")
LINENS = swatch("F7F3EC F2EFEA E6E9EE")
COVERS = swatch("F0ECE4 3F5876 B9603F 7F9A7C D2A13F C98B8E 6F7680 5B8590")
THROWS = swatch("7C4B3A 2F4560 D9B36A 5E7C6B A55A4A E8DCC8")
RUGS = swatch("C9B79C 8E4F45 4F6A80 D8D0C2 A9843F")
FRAMES = swatch("F7F4EE F7F4EE 8B6547 E9E4DA")
DOORS = swatch("EAE2D2 A87449 7B5138 6E8791 4E6B62")
CASINGS = swatch("F6F3EC EAE4D8")
BORDERS = swatch("2E2A28 8A5F3C F4F1EA C39A4E")
CURTAINS = swatch("F2EBDD D9C9A8 93A9B8 B9736A 8A9B82")
VASES = swatch("3F6B7A D8CFC0 7A4B3C 4A5560 B98A3E")
SHADES = swatch("FFDC8E FFD080 FFE3A6")

HOURS = (
    # The sky low and high, the far and the near hills, and the color of the light in the room.
    (*swatch("DDEBF2 6FB1E0 8FB08C 5E8F5C"), (1.0, 1.0, 0.985)),
    (*swatch("F4E3C8 8FBBD8 9DAE86 6E8B57"), (1.0, 0.985, 0.95)),
    (*swatch("FFC98F C98AA8 9A6F80 5F5068"), (1.0, 0.96, 0.92)),
    (*swatch("C9D6E8 5A7FBF 7D93A8 4F6E78"), (0.96, 0.98, 1.0)),
)
ARTS = tuple(
    map(
        swatch,
        (
            "F3DDB8 7FA08F 44695F E2793F",
            "CFE3EA 4C83A6 E6D3A3 F3B04C",
            "F1E6DA D98F74 8C4A46 E8B85A",
            "E4E8E0 93A98F 3F5B63 D4604A",
        ),
    )
)
PANELS: tuple[tuple[Rect, ...], ...] = (
    ((0.14, 0.08, 0.86, 0.40), (0.14, 0.54, 0.86, 0.93)),
    ((0.14, 0.07, 0.86, 0.32), (0.14, 0.385, 0.86, 0.63), (0.14, 0.695, 0.86, 0.94)),
    tuple((u, v, u + 0.33, w) for u in (0.12, 0.55) for v, w in ((0.08, 0.42), (0.53, 0.93))),
)
"""The panels of a door, as fractions of its leaf."""


@dataclass(frozen=True)
class Room:
    """All that decides a picture: what is there, where, and how it looks.

    Every piece has its place and look whether it is there or not. `mirrored` turns the finished
    picture left to right; all other places are those before it.
    """

    window: bool
    door: bool
    lamp: bool
    picture: bool
    mirrored: bool
    camera: Camera
    shell: Shell
    light: Light
    table: Table
    bed: Bed
    places: Mapping[str, Piece]

    @property
    def pieces(self) -> dict[str, Piece]:
        """The bed and those of window, door, lamp and picture that are there."""
        there = {name: place for name, place in self.places.items() if getattr(self, name)}
        return {"bed": self.bed, **there}

    @property
    def boxes(self) -> dict[str, Rect]:
        """The box x0, y0, x1, y1 of each of `pieces`, in fractions of the picture, in [0, 1]."""
        return {name: self._box(piece) for name, piece in self.pieces.items()}

    def _box(self, piece: Piece) -> Rect:
        x0, y0, x1, y1 = (min(max(edge, 0.0), 1.0) for edge in piece.outline(self.camera))
        return (1 - x1, y0, 1 - x0, y1) if self.mirrored else (x0, y0, x1, y1)


def draw(index: int, size: int = SIZE) -> NDArray[np.uint8]:
    """Picture `index` (from 0 up) of the data set: uint8 [size, size, 3]."""
    return paint(truth(index), size)


def paint(room: Room, size: int = SIZE) -> NDArray[np.uint8]:
    """A picture of the room: uint8 [size, size, 3]."""
    canvas, camera, pieces = Canvas(size, room.shell.accent), room.camera, room.pieces
    place = room.shell.paint(canvas, camera, room.bed.footprint)
    # What hangs flat on a wall takes the light of the wall; the rest brings light of its own.
    for name in ("picture", "door"):
        if name in pieces:
            pieces[name].paint(canvas, camera)
    light = room.light.on(*place) * (1 - 0.2 * room.shell.corners(place))
    canvas.pixels *= light[..., None]
    room.table.paint(canvas, camera)
    for name in ("window", "lamp", "bed"):
        if name in pieces:
            pieces[name].paint(canvas, camera)
    canvas.pixels *= np.asarray(room.light.tint, np.float32)
    picture = canvas.finish()
    return np.ascontiguousarray(picture[:, ::-1] if room.mirrored else picture)


def truth(index: int) -> Room:
    """The room of picture `index` (from 0 up), decided by the index alone."""
    rng = np.random.default_rng([_TAG, index])
    window, door, lamp, picture, mirrored, swapped = (bool(bit) for bit in rng.integers(0, 2, 6))

    scale, depth = rng.uniform(0.190, 0.202), rng.uniform(4.2, 4.6)
    camera = Camera(
        rng.uniform(0.54, 0.60), rng.uniform(0.33, 0.37), scale * depth, rng.uniform(1.5, 1.6)
    )
    left = (rng.uniform(0.225, 0.255) - camera.x) / scale
    right = (rng.uniform(0.95, 0.97) - camera.x) / scale
    height = rng.uniform(2.55, 2.7)
    table = Table(right - 0.66, right - 0.08, rng.uniform(0.52, 0.6), depth, _pick(rng, WOODS))
    bed = _bed(rng, table.left - 0.06, depth)

    # The window and the door share out the back wall beside the bed and the side wall.
    walls = [
        (Plane("z", depth), (left + 0.1, bed.left - 0.12)),
        (Plane("x", left), (depth - 1.65, depth - 0.3)),
    ]
    beside_window, beside_door = reversed(walls) if swapped else walls
    *view, tint = _pick(rng, HOURS)
    return Room(
        window=window,
        door=door,
        lamp=lamp,
        picture=picture,
        mirrored=mirrored,
        camera=camera,
        shell=_shell(rng, left, right, height, bed),
        light=Light(rng.uniform(left, right), rng.uniform(1.6, 2.2), rng.uniform(1.6, 3.0), tint),
        table=table,
        bed=bed,
        places={
            "window": _window(rng, *beside_window, view),
            "door": _door(rng, *beside_door),
            "lamp": _lamp(rng, table, height),
            "picture": _picture(rng, bed),
        },
    )


def _pick(rng: np.random.Generator, choices: Sequence[_T]) -> _T:
    return choices[int(rng.integers(len(choices)))]


def _maybe(rng: np.random.Generator, chance: float, choices: Sequence[_T]) -> _T | None:
    choice = _pick(rng, choices)
    return choice if rng.random() < chance else None


def _stretch(
    rng: np.random.Generator, free: tuple[float, float], most: float
) -> tuple[float, float]:
    """A stretch of up to `most` meters, somewhere in the free one and using most of it."""
    low, high = free
    width = min((high - low) * rng.uniform(0.88, 1.0), most)
    start = low + (high - low - width) * rng.random()
    return start, start + width


def _bed(rng: np.random.Generator, right: float, wall: float) -> Bed:
    return Bed(
        left=right - rng.uniform(1.38, 1.48),
        right=right,
        wall=wall,
        length=rng.uniform(1.9, 2.05),
        head=rng.uniform(1.06, 1.2),
        panels=int(rng.integers(1, 5)),
        wood=_pick(rng, HEADBOARDS),
        cover=_pick(rng, COVERS),
        striped=bool(rng.random() < 0.3),
        throw=_maybe(rng, 0.5, THROWS),
        linen=_pick(rng, LINENS),
        accent=_maybe(rng, 0.5, THROWS),
        phase=rng.uniform(0, 2 * np.pi),
    )


def _shell(rng: np.random.Generator, left: float, right: float, height: float, bed: Bed) -> Shell:
    wall = _pick(rng, WALLS)
    boards, carpet = (_pick(rng, WOODS), rng.uniform(0.24, 0.32)), (_pick(rng, CARPETS), None)
    color, board = boards if rng.random() < 0.6 else carpet
    rug = (left + 0.4, bed.foot + 0.1, bed.left + 0.5, bed.foot + rng.uniform(1.0, 1.4))
    rug_color = _maybe(rng, 0.6, RUGS)
    return Shell(
        left=left,
        right=right,
        height=height,
        depth=bed.wall,
        wall=wall,
        accent=_maybe(rng, 0.3, WALLS) or wall,
        paneling=_maybe(rng, 0.3, PANELING),
        floor=Floor(color, board, rng.random()),
        rug=Rug(rug, rug_color) if rug_color else None,
    )


def _window(
    rng: np.random.Generator, plane: Plane, free: tuple[float, float], view: Sequence[Rgb]
) -> Window:
    left, right = _stretch(rng, free, 1.3)
    return Window(
        plane=plane,
        rect=(left, rng.uniform(0.82, 0.98), right, rng.uniform(2.2, 2.38)),
        columns=int(rng.integers(2, 4)),
        rows=int(rng.integers(1, 3)),
        sky=(view[0], view[1]),
        hills=(view[2], view[3]),
        phase=rng.uniform(0, 2 * np.pi),
        frame=_pick(rng, FRAMES),
        curtain=_maybe(rng, 0.5, CURTAINS),
    )


def _door(rng: np.random.Generator, plane: Plane, free: tuple[float, float]) -> Door:
    left, right = _stretch(rng, free, 1.05)
    return Door(
        plane=plane,
        rect=(left, 0.0, right, rng.uniform(2.08, 2.2)),
        panels=_pick(rng, PANELS),
        leaf=_pick(rng, DOORS),
        casing=_pick(rng, CASINGS),
        hinge_first=bool(rng.integers(2)),
    )


def _lamp(rng: np.random.Generator, table: Table, ceiling: float) -> Lamp:
    hanging = bool(rng.random() < 0.4)
    rise = rng.uniform(0.48, 0.56)
    return Lamp(
        plane=Plane("z", table.wall - 0.22),
        u=(table.left + table.right) / 2 - 0.01,
        foot=ceiling if hanging else table.top,
        middle=rng.uniform(1.4, 1.6) if hanging else table.top + rise,
        glow=0.36,
        hanging=hanging,
        body=_pick(rng, VASES),
        tint=_pick(rng, SHADES),
    )


def _picture(rng: np.random.Generator, bed: Bed) -> Picture:
    middle = (bed.left + bed.right) / 2 + rng.uniform(-0.06, 0.06)
    half, low = rng.uniform(0.48, 0.64), bed.head + rng.uniform(0.14, 0.2)
    return Picture(
        plane=Plane("z", bed.wall),
        rect=(middle - half, low, middle + half, low + rng.uniform(0.78, 0.94)),
        motif=_pick(rng, MOTIFS),
        palette=_pick(rng, ARTS),
        phase=rng.uniform(0, 2 * np.pi),
        frame=_pick(rng, BORDERS),
    )

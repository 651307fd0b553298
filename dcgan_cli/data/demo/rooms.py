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

from dcgan_cli.data.demo.canvas import Canvas, Field
from dcgan_cli.data.demo.furniture import (
    Bed,
    Door,
    Lamp,
    Paint,
    Picture,
    Window,
    cuboid,
    shaded,
)
from dcgan_cli.data.demo.perspective import Camera, Patch, Plane, Rect

SIZE = 128
VERSION = 1

_TAG = 0x726F6F6D
_T = TypeVar("_T")
Piece = Bed | Window | Door | Lamp | Picture


def _rgb(code: str) -> Paint:
    return int(code[0:2], 16) / 255, int(code[2:4], 16) / 255, int(code[4:6], 16) / 255


def _swatch(codes: str) -> tuple[Paint, ...]:
    return tuple(_rgb(code) for code in codes.split())


WALLS = _swatch("E9E1D3 CBD3C4 BCCAD3 E3C9BC DDD0AE D5D5D6 9DB0A8 8FA3B5 C9A995")
WOODS = _swatch("B98A5E 8A5F42 D0AE84 6B4A38")
CARPETS = _swatch("BDB4A8 A6A9AC CFC4B2")
HEADBOARDS = _swatch("A9764C 7A5240 8C929B B7A58F 59687A 9C6B63")
COVERS = _swatch("F0ECE4 3F5876 B9603F 7F9A7C D2A13F C98B8E 6F7680 5B8590")
THROWS = _swatch("7C4B3A 2F4560 D9B36A 5E7C6B A55A4A E8DCC8")
RUGS = _swatch("C9B79C 8E4F45 4F6A80 D8D0C2 A9843F")
FRAMES = _swatch("F7F4EE F7F4EE 8B6547 E9E4DA")
DOORS = _swatch("F4F0E8 A87449 7B5138 DCD6CA 6E8791")
BORDERS = _swatch("2E2A28 8A5F3C F4F1EA C39A4E")
CURTAINS = _swatch("F2EBDD D9C9A8 93A9B8 B9736A 8A9B82")
VASES = _swatch("3F6B7A D8CFC0 7A4B3C 4A5560 B98A3E")
SHADES = _swatch("FFE3A8 FFD998 FFEBC4")
SKIES = (
    (*_swatch("DDEBF2 6FB1E0"), *_swatch("8FB08C 5E8F5C")),
    (*_swatch("F4E3C8 8FBBD8"), *_swatch("9DAE86 6E8B57")),
    (*_swatch("FFC98F C98AA8"), *_swatch("9A6F80 5F5068")),
    (*_swatch("C9D6E8 5A7FBF"), *_swatch("7D93A8 4F6E78")),
)
ARTS = (
    _swatch("F3DDB8 7FA08F 44695F E2793F"),
    _swatch("CFE3EA 4C83A6 E6D3A3 F3B04C"),
    _swatch("F1E6DA D98F74 8C4A46 E8B85A"),
    _swatch("E4E8E0 93A98F 3F5B63 D4604A"),
)
PANELS: tuple[tuple[Rect, ...], ...] = (
    ((0.14, 0.08, 0.86, 0.40), (0.14, 0.54, 0.86, 0.93)),
    (
        (0.12, 0.08, 0.45, 0.42),
        (0.55, 0.08, 0.88, 0.42),
        (0.12, 0.53, 0.45, 0.93),
        (0.55, 0.53, 0.88, 0.93),
    ),
    ((0.14, 0.07, 0.86, 0.32), (0.14, 0.385, 0.86, 0.43 + 0.2), (0.14, 0.695, 0.86, 0.94)),
)


@dataclass(frozen=True)
class Shell:
    """The empty room: walls at X = `left` and `right`, Z = `depth`, Y = `height` (metres)."""

    left: float
    right: float
    height: float
    depth: float
    wall: Paint
    accent: Paint
    skirting: Paint
    floor: Paint
    boards: bool
    board_phase: float
    rug: Paint | None
    rug_rect: Rect
    table: tuple[float, float, float]
    table_wood: Paint


@dataclass(frozen=True)
class Light:
    """A soft light in the room: where it hangs (metres) and its colour."""

    x: float
    y: float
    z: float
    tint: Paint


@dataclass(frozen=True)
class Room:
    """All that decides a picture.

    `pieces` holds a place and a look for "bed", "window", "door", "lamp" and "picture" whether
    they are there or not; the four attributes say which are. `mirrored` turns the finished picture
    left to right.
    """

    window: bool
    door: bool
    lamp: bool
    picture: bool
    mirrored: bool
    camera: Camera
    shell: Shell
    light: Light
    pieces: Mapping[str, Piece]

    def has(self, name: str) -> bool:
        """Whether the piece is in the picture."""
        return name == "bed" or bool(getattr(self, name))

    @property
    def boxes(self) -> dict[str, Rect]:
        """Box x0, y0, x1, y1 of every piece that is there, in fractions of the picture."""
        return {name: self._box(piece) for name, piece in self.pieces.items() if self.has(name)}

    def _box(self, piece: Piece) -> Rect:
        x0, y0, x1, y1 = (min(max(edge, 0.0), 1.0) for edge in piece.outline(self.camera))
        return (1 - x1, y0, 1 - x0, y1) if self.mirrored else (x0, y0, x1, y1)


def draw(index: int, size: int = SIZE) -> NDArray[np.uint8]:
    """Picture `index` (any number from 0 up) of the data set, uint8 [size, size, 3]."""
    return paint(truth(index), size)


def truth(index: int) -> Room:
    """The room of picture `index`: the same for the same index, everywhere."""
    rng = np.random.default_rng([_TAG, index])
    window, door, lamp, picture = (bool(bit) for bit in rng.integers(0, 2, 4))
    mirrored, swapped = (bool(bit) for bit in rng.integers(0, 2, 2))

    per_metre = rng.uniform(0.192, 0.204)
    depth = rng.uniform(4.2, 4.6)
    camera = Camera(
        x=rng.uniform(0.56, 0.62),
        y=rng.uniform(0.33, 0.37),
        focal=per_metre * depth,
        eye=rng.uniform(1.5, 1.6),
    )
    left = (rng.uniform(0.245, 0.275) - camera.x) / per_metre
    right = (rng.uniform(0.925, 0.945) - camera.x) / per_metre
    height = rng.uniform(2.55, 2.7)

    table = (right - 0.56, right - 0.08, rng.uniform(0.52, 0.6))
    bed_right = table[0] - 0.06
    bed_left = bed_right - rng.uniform(1.38, 1.48)
    bed = _bed(rng, bed_left, bed_right, depth)
    shell = _shell(rng, left, right, height, depth, table, bed)

    back, side = Plane("z", depth), Plane("x", left)
    free = (left + 0.1, bed_left - 0.12)
    near = (depth - 1.6, depth - 0.3)
    window_place, door_place = (
        ((side, near), (back, free)) if swapped else ((back, free), (side, near))
    )
    hour = int(rng.integers(len(SKIES)))
    pieces: dict[str, Piece] = {
        "window": _window(rng, *window_place, hour),
        "door": _door(rng, *door_place),
        "picture": _picture(rng, back, bed),
        "lamp": _lamp(rng, depth, table, height),
        "bed": bed,
    }
    tints = ((1.0, 1.0, 0.985), (1.0, 0.985, 0.95), (1.0, 0.965, 0.93), (0.97, 0.985, 1.0))
    light = Light(
        rng.uniform(left, right), rng.uniform(1.6, 2.2), rng.uniform(1.6, 3.0), tints[hour]
    )
    return Room(window, door, lamp, picture, mirrored, camera, shell, light, pieces)


def _pick(rng: np.random.Generator, choices: Sequence[_T]) -> _T:
    return choices[int(rng.integers(len(choices)))]


def _maybe(rng: np.random.Generator, chance: float, choices: Sequence[_T]) -> _T | None:
    # Both numbers are always drawn, so that what follows does not depend on the outcome.
    wanted, choice = rng.random() < chance, _pick(rng, choices)
    return choice if wanted else None


def _within(
    rng: np.random.Generator, free: tuple[float, float], most: float
) -> tuple[float, float]:
    """A stretch of at most `most` metres somewhere in the free one, using most of it."""
    width = min((free[1] - free[0]) * rng.uniform(0.88, 1.0), most)
    start = free[0] + (free[1] - free[0] - width) * rng.random()
    return start, start + width


def _bed(rng: np.random.Generator, left: float, right: float, depth: float) -> Bed:
    return Bed(
        left=left,
        right=right,
        wall=depth,
        length=rng.uniform(1.95, 2.1),
        head=rng.uniform(1.08, 1.24),
        panels=int(rng.integers(1, 5)),
        wood=_pick(rng, HEADBOARDS),
        cover=_pick(rng, COVERS),
        throw=_maybe(rng, 0.5, THROWS),
        linen=_pick(rng, _swatch("F7F3EC F2EFEA E6E9EE")),
        accent=_maybe(rng, 0.5, THROWS),
        phase=rng.uniform(0, 2 * np.pi),
    )


def _shell(
    rng: np.random.Generator,
    left: float,
    right: float,
    height: float,
    depth: float,
    table: tuple[float, float, float],
    bed: Bed,
) -> Shell:
    wall = _pick(rng, WALLS)
    boards = bool(rng.random() < 0.6)
    floors = _pick(rng, WOODS), _pick(rng, CARPETS)
    return Shell(
        left=left,
        right=right,
        height=height,
        depth=depth,
        wall=wall,
        accent=_maybe(rng, 0.3, WALLS) or wall,
        skirting=(0.95, 0.93, 0.9),
        floor=floors[0] if boards else floors[1],
        boards=boards,
        board_phase=rng.random(),
        rug=_maybe(rng, 0.6, RUGS),
        rug_rect=(left + 0.4, bed.foot + 0.1, bed.left + 0.5, bed.foot + rng.uniform(1.0, 1.4)),
        table=table,
        table_wood=_pick(rng, HEADBOARDS[:2] + WOODS),
    )


def _window(rng: np.random.Generator, plane: Plane, free: tuple[float, float], hour: int) -> Window:
    u0, u1 = _within(rng, free, 1.3)
    sky = SKIES[hour]
    return Window(
        plane=plane,
        rect=(u0, rng.uniform(0.82, 0.98), u1, rng.uniform(2.2, 2.38)),
        columns=int(rng.integers(2, 4)) if plane.across == "z" else 2,
        rows=int(rng.integers(1, 3)),
        sky=(sky[0], sky[1]),
        hills=(sky[2], sky[3]),
        phase=rng.uniform(0, 2 * np.pi),
        frame=_pick(rng, FRAMES),
        curtain=_maybe(rng, 0.5, CURTAINS),
    )


def _door(rng: np.random.Generator, plane: Plane, free: tuple[float, float]) -> Door:
    u0, u1 = _within(rng, free, 1.0)
    leaf = _pick(rng, DOORS)
    return Door(
        plane=plane,
        rect=(u0, 0.0, u1, rng.uniform(2.08, 2.2)),
        panels=_pick(rng, PANELS),
        leaf=leaf,
        casing=_pick(rng, (_rgb("F6F3EC"), _rgb("EAE4D8"))),
        hinge_first=bool(rng.integers(2)),
    )


def _picture(rng: np.random.Generator, plane: Plane, bed: Bed) -> Picture:
    middle = (bed.left + bed.right) / 2 + rng.uniform(-0.08, 0.08)
    half, low = rng.uniform(0.42, 0.58), bed.head + rng.uniform(0.16, 0.24)
    return Picture(
        plane=plane,
        rect=(middle - half, low, middle + half, low + rng.uniform(0.72, 0.86)),
        motif=int(rng.integers(3)),
        palette=_pick(rng, ARTS),
        phase=rng.uniform(0, 2 * np.pi),
        frame=_pick(rng, BORDERS),
    )


def _lamp(
    rng: np.random.Generator, depth: float, table: tuple[float, float, float], height: float
) -> Lamp:
    hanging = bool(rng.random() < 0.4)
    body, tint = _pick(rng, VASES), _pick(rng, SHADES)
    rise = rng.uniform(0.46, 0.54)
    return Lamp(
        plane=Plane("z", depth - 0.22),
        u=(table[0] + table[1]) / 2 - 0.02,
        foot=height if hanging else table[2],
        middle=1.25 + rise / 2 if hanging else table[2] + rise,
        glow=0.33,
        hanging=hanging,
        body=body,
        tint=tint,
    )


def paint(room: Room, size: int = SIZE) -> NDArray[np.uint8]:
    """Paint a room: uint8 [size, size, 3]."""
    camera = room.camera
    canvas = Canvas(size, room.shell.accent)
    light = _paint_shell(canvas, room)
    for name in ("door", "picture"):
        if room.has(name):
            room.pieces[name].paint(canvas, camera)
    canvas.pixels *= light[..., None]
    if room.has("window"):
        room.pieces["window"].paint(canvas, camera)
    shell = room.shell
    near, far = shell.depth - 0.4, shell.depth
    x0, x1, top = shell.table
    cuboid(canvas, camera, (x0, 0.08, near), (x1, top, far), shell.table_wood)
    drawer = (x0 + 0.05, top * 0.55, x1 - 0.05, top * 0.9)
    patch = Patch(canvas, camera, Plane("z", near), drawer)
    patch.shade(patch.box(drawer), 0.86)
    for name in ("lamp", "bed"):
        if room.has(name):
            room.pieces[name].paint(canvas, camera)
    canvas.pixels *= np.asarray(room.light.tint, np.float32)
    picture = canvas.finish()
    return np.ascontiguousarray(picture[:, ::-1]) if room.mirrored else picture


def _paint_shell(canvas: Canvas, room: Room) -> Field:
    """Paint the empty room flat, and return the light on it: a factor a pixel, [size, size]."""
    camera, shell, size = room.camera, room.shell, canvas.size
    dx, dy = canvas.x[:1] - np.float32(camera.x), canvas.y[:, :1] - np.float32(camera.y)
    back = np.float32(camera.focal / shell.depth)
    side = np.maximum(dx / np.float32(shell.left), dx / np.float32(shell.right))
    up = np.float32(shell.height - camera.eye)
    level = np.maximum(dy / np.float32(camera.eye), -dy / up)

    steep = np.float32(size / np.hypot(1 / camera.eye, 1 / min(-shell.left, shell.right)))
    on_side = np.clip(0.5 + (side - np.maximum(back, level)) * steep, 0, 1)
    on_level = np.clip(0.5 + (level - np.maximum(back, side)) * steep, 0, 1)
    canvas.pixels += on_side[..., None] * (
        np.where((dx < 0)[..., None], shaded(shell.wall, 0.93), shaded(shell.wall, 0.86))
        - canvas.pixels
    )
    ceiling = on_level * (dy < 0)
    canvas.pixels += ceiling[..., None] * (np.float32((0.97, 0.96, 0.94)) - canvas.pixels)

    near = camera.focal / 1.2
    for plane, rect in (
        (Plane("z", shell.depth), (shell.left, 0.0, shell.right, 0.13)),
        (Plane("x", shell.left), (near, 0.0, shell.depth, 0.13)),
        (Plane("x", shell.right), (near, 0.0, shell.depth, 0.13)),
    ):
        patch = Patch(canvas, camera, plane, rect)
        patch.lay(patch.box(rect), shell.skirting)
    _paint_floor(canvas, room, on_level * (dy > 0))

    scale = np.maximum(np.maximum(side, level), back)
    x, y, z = dx / scale, camera.eye - dy / scale, camera.focal / scale
    reach = np.float32(0.16)
    corner = sum(
        1 / (1 + (distance / reach) ** 2)
        for distance in (x - shell.left, shell.right - x, y, shell.height - y, shell.depth - z)
    )
    lamp = room.light
    away = (x - lamp.x) ** 2 + (y - lamp.y) ** 2 + (z - lamp.z) ** 2
    return (0.74 + 0.36 / (1 + away / 9)) * (1 - 0.2 * (corner - 1))


def _paint_floor(canvas: Canvas, room: Room, cover: Field) -> None:
    camera, shell = room.camera, room.shell
    bed = room.pieces["bed"]
    assert isinstance(bed, Bed)
    rect = (shell.left, camera.focal / 1.2, shell.right, shell.depth)
    patch = Patch(canvas, camera, Plane("y", 0.0), rect)
    rows = patch.pixels.shape[0]
    patch = Patch(
        canvas, camera, Plane("y", 0.0), (shell.left * 3, rect[1], shell.right * 3, rect[3])
    )
    cover = cover[-rows:]
    tone = np.ones_like(patch.x)
    if shell.boards:
        board = patch.u / 0.28 + shell.board_phase
        tone = 1 + 0.05 * np.sin(np.floor(board) * 2.4)
        gap = np.abs(board - np.round(board)) * 0.28
        line = np.clip(0.5 - (gap - 0.01) * patch.su * canvas.size, 0, 1)
        tone = tone * (1 - 0.22 * line)
    patch.lay(cover, shaded(shell.floor, tone))
    if shell.rug:
        u0, v0, u1, v1 = shell.rug_rect
        patch.shade(patch.box((u0 - 0.03, v0 - 0.05, u1, v1), 0.08), 0.8)
        patch.lay(patch.box(shell.rug_rect), shell.rug)
        inner = (u0 + 0.1, v0 + 0.1, u1, v1 - 0.1)
        patch.lay(
            0.5 * (patch.box(inner) - patch.box((u0 + 0.16, v0 + 0.16, u1, v1 - 0.16))),
            (0.97, 0.95, 0.9),
        )
    shadow = (bed.left - 0.12, bed.foot - 0.1, bed.right + 0.12, shell.depth)
    patch.shade(patch.box(shadow, 0.3), 0.5)

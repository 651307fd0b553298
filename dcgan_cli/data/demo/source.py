"""The synthetic data sets as a Source: `demo:faces` and `demo:rooms`, with the truth as labels."""

import functools
import hashlib
from collections.abc import Iterator, Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dcgan_cli.data.demo import faces, rooms
from dcgan_cli.data.labels import Boxes, Column, Labels
from dcgan_cli.errors import SourceError

Name = Literal["faces", "rooms"]

DEFAULT_COUNT = 20_000

_MODULES = {"faces": faces, "rooms": rooms}
_COLUMNS = {
    "faces": ("sex", "mouth", "glasses", "turn"),
    "rooms": ("window", "door", "lamp", "picture"),
}
_ENDS = {"faces": {"turn": ("left", "right")}, "rooms": {}}
"""What a low and a high number of a column are, as the viewer sees it."""


class DemoSource:
    """`count` drawn images; image `index` is the same however many there are.

    Labels of faces: the words "sex" (woman, man), "mouth" (smiling, neutral), "glasses" (glasses,
    no_glasses) and the number "turn" in [-1, 1]. Labels of rooms: the words "window", "door",
    "lamp" and "picture" (each as window, no_window), and boxes of these and of the bed.

    Raises SourceError: `count` is less than 1.
    """

    notes = ()

    def __init__(self, name: Name, count: int = DEFAULT_COUNT) -> None:
        if count < 1:
            raise SourceError(
                f"demo:{name}:{count}: expected at least 1 image; try demo:{name}:{DEFAULT_COUNT}"
            )
        self._name: Name = name
        self._count = count
        self.kind = f"synthetic {name}"
        self.location = f"demo:{name}" + ("" if count == DEFAULT_COUNT else f":{count}")

    @property
    def labels(self) -> Labels:
        """The true labels of every image, without drawing; an entry is computed at first use."""
        return _TrueLabels(self._name, self._count)

    def __len__(self) -> int:
        return self._count

    def read(self, index: int) -> NDArray[np.uint8]:
        """Image `index`, uint8 [128, 128, 3]. Raises ValueError where there is none."""
        if not 0 <= index < self._count:
            raise ValueError(f"no image {index} in {self.location}")
        return _MODULES[self._name].draw(index)

    def name(self, index: int) -> str:
        """What the image is called: `face 17`."""
        return f"{self._name[:-1]} {index}"

    def fingerprint(self) -> str:
        """A digest of data set, count and the version of the drawing."""
        version = _MODULES[self._name].VERSION
        return hashlib.sha256(f"{self._name} {self._count} {version}".encode()).hexdigest()

    def content(self) -> str:
        """As Source.content; nothing is drawn, because CPUs may differ in the last bit of a pixel."""
        return self.fingerprint()


class _TrueLabels(Labels):
    """The labels of `count` images; none is computed before the first of them is asked for."""

    def __init__(self, name: Name, count: int) -> None:
        object.__setattr__(self, "columns", _TrueColumns(name, count))
        object.__setattr__(self, "ends", _ENDS[name])

    @property
    def boxes(self) -> Boxes | None:  # type: ignore[override]
        """The boxes of rooms."""
        assert isinstance(self.columns, _TrueColumns)
        return self.columns.truth()[1]


class _TrueColumns(Mapping[str, Column]):
    """The columns of `count` images; their names are known before they are computed."""

    def __init__(self, name: Name, count: int) -> None:
        self._name, self._count = name, count

    def truth(self) -> tuple[dict[str, Column], Boxes | None]:
        return (_faces if self._name == "faces" else _rooms)(self._count)

    def __getitem__(self, name: str) -> Column:
        return self.truth()[0][name]

    def __iter__(self) -> Iterator[str]:
        return iter(_COLUMNS[self._name])

    def __len__(self) -> int:
        return len(_COLUMNS[self._name])


# Cached here, not in the source, which is pickled and sent to other processes.
@functools.lru_cache(maxsize=4)
def _faces(count: int) -> tuple[dict[str, Column], None]:
    truths = [faces.truth(index) for index in range(count)]
    return {
        "sex": np.where([face.man for face in truths], "man", "woman"),
        "mouth": np.where([face.smiling for face in truths], "smiling", "neutral"),
        "glasses": np.where([face.glasses for face in truths], "glasses", "no_glasses"),
        "turn": np.array([face.turn for face in truths], np.float64),
    }, None


@functools.lru_cache(maxsize=4)
def _rooms(count: int) -> tuple[dict[str, Column], Boxes]:
    boxes = [rooms.truth(index).boxes for index in range(count)]
    found = [(index, *box) for index, there in enumerate(boxes) for box in there.items()]
    images, kinds, corners = zip(*found, strict=True)
    columns = {
        kind: np.where([kind in there for there in boxes], kind, f"no_{kind}")
        for kind in _COLUMNS["rooms"]
    }
    return columns, Boxes(
        image=np.array(images, np.int64),
        kind=np.array(kinds, np.str_),
        corners=np.array(corners, np.float64),
        seen=np.ones(count, bool),
    )

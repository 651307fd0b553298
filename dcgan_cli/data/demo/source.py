"""The synthetic data sets as a Source: `demo:faces` and `demo:rooms`, with the truth as labels."""

import functools
import hashlib
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dcgan_cli.data.labels import Boxes, Labels
from dcgan_cli.errors import SourceError

Name = Literal["faces", "rooms"]

DEFAULT_COUNT = 20_000


class DemoSource:
    """`count` drawn images; image `index` is the same however many there are.

    Labels of faces: the words "sex" (woman, man), "mouth" (smiling, neutral), "glasses" (glasses,
    no_glasses) and the number "turn" in [-1, 1]. Labels of rooms: the words "window", "door",
    "lamp" and "picture" (each as window, no_window), and boxes of these and of the bed.

    Raises:
        SourceError: `count` is less than 1.
    """

    notes = ()

    def __init__(self, name: Name, count: int = DEFAULT_COUNT) -> None:
        if count < 1:
            raise SourceError(
                f"demo:{name}:{count}: expected at least 1 image; try demo:{name}:{DEFAULT_COUNT}"
            )
        self._name: Name = name
        self._count = count

    @property
    def kind(self) -> str:
        """`synthetic faces` or `synthetic rooms`."""
        return f"synthetic {self._name}"

    @property
    def location(self) -> str:
        """What was typed: `demo:faces`, or `demo:faces:5000`."""
        counted = "" if self._count == DEFAULT_COUNT else f":{self._count}"
        return f"demo:{self._name}{counted}"

    @property
    def labels(self) -> Labels:
        """The true labels of every image, computed at first access, without drawing."""
        return _face_labels(self._count) if self._name == "faces" else _room_labels(self._count)

    def __len__(self) -> int:
        return self._count

    def read(self, index: int) -> NDArray[np.uint8]:
        """Image `index`, uint8 [128, 128, 3]. Raises ValueError where there is none."""
        if not 0 <= index < self._count:
            raise ValueError(f"no image {index} in {self.location}")
        if self._name == "faces":
            from dcgan_cli.data.demo import faces

            return faces.draw(index)
        from dcgan_cli.data.demo import rooms

        return rooms.draw(index)

    def name(self, index: int) -> str:
        """What the image is called: `face 17`."""
        return f"{self._name[:-1]} {index}"

    def fingerprint(self) -> str:
        """A digest of data set, count and the version of the drawing."""
        if self._name == "faces":
            from dcgan_cli.data.demo.faces import VERSION
        else:
            from dcgan_cli.data.demo.rooms import VERSION
        return hashlib.sha256(f"{self._name} {self._count} {VERSION}".encode()).hexdigest()

    def content(self) -> str:
        """As Source.content; nothing is drawn, because CPUs may differ in the last bit of a pixel."""
        return self.fingerprint()


# Cached here, not in the source, which is pickled and sent to other processes.
@functools.lru_cache(maxsize=4)
def _face_labels(count: int) -> Labels:
    from dcgan_cli.data.demo import faces

    truths = [faces.truth(index) for index in range(count)]
    return Labels(
        {
            "sex": _words([face.man for face in truths], "man", "woman"),
            "mouth": _words([face.smiling for face in truths], "smiling", "neutral"),
            "glasses": _words([face.glasses for face in truths], "glasses", "no_glasses"),
            "turn": np.array([face.turn for face in truths], np.float64),
        }
    )


@functools.lru_cache(maxsize=4)
def _room_labels(count: int) -> Labels:
    from dcgan_cli.data.demo import rooms

    there = {kind: np.zeros(count, bool) for kind in ("window", "door", "lamp", "picture")}
    found: list[tuple[int, str, tuple[float, float, float, float]]] = []
    for index in range(count):
        room = rooms.truth(index)
        for kind, flags in there.items():
            flags[index] = getattr(room, kind)
        found.extend((index, kind, box) for kind, box in room.boxes.items())
    images, kinds, corners = zip(*found, strict=True)
    return Labels(
        {kind: _words(flags, kind, f"no_{kind}") for kind, flags in there.items()},
        Boxes(
            image=np.array(images, np.int64),
            kind=np.array(kinds, np.str_),
            corners=np.array(corners, np.float64),
            seen=np.ones(count, bool),
        ),
    )


def _words(flags: list[bool] | NDArray[np.bool_], yes: str, no: str) -> NDArray[np.str_]:
    return np.where(flags, yes, no)

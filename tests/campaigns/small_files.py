"""Damaged and hostile small files of a person: boxes, concepts, latent vectors and image grids."""

import json
import random
from pathlib import Path

import numpy as np
import test_concepts

from campaigns.data_files import nothing, npy_header, png_texts
from campaigns.mutating import mutate, spoiled_json
from campaigns.running import READ, REFUSED, Kind
from dcgan_cli.checkpoint.concepts import concepts_path, read_concepts, write_concepts
from dcgan_cli.checkpoint.latent_arguments import read_latents
from dcgan_cli.data.box_files import read_boxes
from dcgan_cli.model.latents import seeded_latents
from dcgan_cli.render.png import encode_grid
from dcgan_cli.report import ImageGrid, Provenance

MODEL = test_concepts.MODEL
LATENTS = seeded_latents(0, 6, test_concepts.Z_DIM, "uniform")

OWN = {
    "format": "dcgan boxes", "version": 1,
    "samples": {"checkpoint": "abc", "seed": 3, "count": 6, "bn": "batch", "average": False},
    "seen": [0, 1], "boxes": [{"sample": 1, "kind": "window", "corners": [0.25, 0.125, 0.5, 0.375]}],
}  # fmt: skip
COCO = {
    "images": [{"id": 1, "file_name": "0001.png", "width": 64, "height": 64}],
    "categories": [{"id": 7, "name": "window"}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 7, "bbox": [1, 2, 30, 40]}],
}
LABELME = {
    "imagePath": "0001.png", "imageWidth": 64, "imageHeight": 64,
    "shapes": [{"label": "window", "points": [[1, 2], [30, 40]], "shape_type": "rectangle"}],
}  # fmt: skip
VOC = b"""<annotation><filename>0001.png</filename><size><width>64</width><height>64</height></size>
<object><name>window</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>40</ymax></bndbox>
</object></annotation>"""
TABLE = b"file,kind,x0,y0,x1,y1\n0001.png,window,0.1,0.1,0.5,0.5\n0002.png,,,,,\n"
LAUGHS = (
    b'<!DOCTYPE a [<!ENTITY a "xxxxxxxxxx">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9))
    + b"]><annotation>&j;</annotation>"
)
DEEP = b'{"shapes":' + b"[" * 100_000


def boxes(stream: random.Random, base: Path, place: Path) -> str:
    """Boxes in every form that is read."""
    whole = stream.choice(
        (*(json.dumps(form).encode() for form in (OWN, COCO, LABELME)), VOC, TABLE, LAUGHS, DEEP)
    )
    path = place / stream.choice(("b.json", "b.xml", "b.csv", "folder/0001.json"))
    path.parent.mkdir(exist_ok=True)
    spoils = whole.startswith(b"{") and whole != DEEP and stream.random() < 0.6
    path.write_bytes(spoiled_json(whole, stream) if spoils else mutate(whole, stream))
    read_boxes(path.parent if path.parent != place else path, 6)
    return READ


def prepare_concepts(base: Path) -> None:
    write_concepts(base / "last.pt", MODEL, test_concepts.known("man", "woman"))


def concepts(stream: random.Random, base: Path, place: Path) -> str:
    """A file of concepts beside a checkpoint."""
    own = concepts_path(place / "last.pt")
    whole = concepts_path(base / "last.pt").read_bytes()
    own.write_bytes(spoiled_json(whole, stream) if stream.random() < 0.6 else mutate(whole, stream))
    return READ if read_concepts(place / "last.pt", MODEL) else REFUSED


class _Record(Provenance):
    """A record of an image grid whose JSON says something else."""

    def to_json(self) -> str:
        stream = random.Random(self.seed)
        text = super().to_json()
        how = stream.random()
        if how < 0.6:
            return spoiled_json(text, stream).decode()
        return mutate(text.encode(), stream).decode("latin-1") if how < 0.9 else text


def provenance(stream: random.Random, base: Path, place: Path) -> str:
    """An image grid and the record of what made it."""
    record = _Record(MODEL.hash, "sample", stream.randrange(1 << 30), LATENTS)
    grid = ImageGrid("s", np.zeros((6, 8, 8, 1), np.uint8), 3, provenance=record)
    data = encode_grid(grid) if stream.random() < 0.9 else png_texts(stream)
    (place / "s.png").write_bytes(mutate(data, stream) if stream.random() < 0.3 else data)
    read_latents(f"{place / 's.png'}{_picks(stream)}", MODEL)
    return READ


def npy(stream: random.Random, base: Path, place: Path) -> str:
    """Latent vectors in a .npy file, some of them as large as a disk."""
    path = place / "z.npy"
    np.save(path, np.asfortranarray(LATENTS) if stream.random() < 0.3 else LATENTS)
    data = path.read_bytes()
    start = len(data) - LATENTS.nbytes
    broken = (
        npy_header(stream, LATENTS.shape) + data[start:]
        if stream.random() < 0.5
        else mutate(data, stream)
    )
    with path.open("wb") as file:
        file.write(broken)
        if stream.random() < 0.3:
            file.truncate(1 << 33)  # of holes, which take no space
    read_latents(f"{path}{_picks(stream)}", MODEL)
    return READ


def _picks(stream: random.Random) -> str:
    return stream.choice(("", "#0", "#0,4", "#1-3", "#0-999999999", "#999999999"))


KINDS = (
    Kind("boxes", "boxes as our JSON, COCO, LabelMe, Pascal VOC and CSV", nothing, boxes),
    Kind("concepts", "files of concepts", prepare_concepts, concepts),
    Kind("provenance", "image grids and the record in them", nothing, provenance),
    Kind("npy", "latent vectors in .npy files", nothing, npy),
)

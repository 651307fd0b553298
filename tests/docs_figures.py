"""The images of docs/, made again by the commands that their pages name.

    python tests/docs_figures.py                    all that the bundled models draw
    python tests/docs_figures.py walk turn          some
    python tests/docs_figures.py demo-faces training-stages --faces RUN --clothing RUN

The last two show grids of training runs: of `dcgan train demo:faces --minutes 5`, and of `dcgan
train` on 819 photographs of clothing. Every image is made no wider than WIDEST and stored in a palette.
"""

import argparse
import io
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, PngImagePlugin

from dcgan_cli.analysis.arithmetic.calculation import Term, calculate
from dcgan_cli.analysis.arithmetic.directions import mean
from dcgan_cli.analysis.interpolate.paths import LatentPath
from dcgan_cli.analysis.sampling import Sampler
from dcgan_cli.checkpoint.concepts import read_concepts
from dcgan_cli.checkpoint.format import load
from dcgan_cli.model.latents import seeded_latents
from dcgan_cli.render.figure import encode_figure
from dcgan_cli.render.png import GAP, MARGIN
from dcgan_cli.report import Beside, ImageGrid, Images, Part, Stack, Tiles, Words, in_rows

ROOT = Path(__file__).resolve().parents[1]

WIDEST, LARGEST = 1000, 400_000
"""Pixels and bytes of an image of the documentation."""

EXPRESSION = "smiling_woman - neutral_woman + neutral_man"

COMMANDS: dict[str, tuple[str, ...]] = {
    "bundled-faces": ("sample", "demo-faces"),
    "demo-rooms": ("sample", "demo-rooms"),
    "walk": ("interpolate", "demo-faces", "--points", "6"),
    "arithmetic": ("arithmetic", "demo-faces", "--expr", EXPRESSION),
    "turn": ("arithmetic", "demo-faces", "--turn", "turn_low", "turn_high"),
    "forgotten": ("drop-filters", "demo-rooms", "--find", "window", "--from", "demo:rooms"),
    "guided-backprop": ("guided-backprop", "demo-rooms"),
    "nearest": ("nearest-neighbors", "demo-faces", "--limit", "5000", "--rows", "4", "-k", "4"),
}
"""By the name of the image: the command that draws it."""


def drawn(name: str, folder: Path) -> None:
    """Run the command of an image, and put what it draws into docs/."""
    out = folder / f"{name}.png"
    command = [sys.executable, "-m", "dcgan_cli", *COMMANDS[name], "-q", "-o", str(out)]
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    for path in sorted(folder.glob(f"{name}*.png")):
        keep(path.stem, path.read_bytes())


def keep(name: str, data: bytes, widest: int = WIDEST) -> None:
    """Write a PNG to docs/ in a palette, with its caption but without the record of its tiles."""
    image = Image.open(io.BytesIO(data))
    info = PngImagePlugin.PngInfo()
    if "Description" in image.info:
        info.add_text("Description", image.info["Description"])
    image = image.convert("RGB")
    if image.width > widest:
        height = round(image.height * widest / image.width)
        image = image.resize((widest, height), Image.Resampling.LANCZOS)
    for colors in (256, 128, 64, 32):
        buffer = io.BytesIO()
        image.quantize(colors).save(buffer, "PNG", optimize=True, pnginfo=info)
        if len(buffer.getvalue()) <= LARGEST:
            break
    path = ROOT / "docs" / f"{name}.png"
    path.write_bytes(buffer.getvalue())
    print(path.relative_to(ROOT), image.size, f"{colors} colors, {len(buffer.getvalue()):,} bytes")


def banner() -> None:
    """Samples of both bundled models, a walk, and an arithmetic, one below the other."""
    columns = 10
    faces, rooms = (sampler(name) for name in ("demo-faces", "demo-rooms"))
    points = seeded_latents(7, columns, 100, "normal")
    walk = LatentPath.of(seeded_latents(0, 2, 100, "normal"), "linear", loop=False)
    path = ROOT / "checkpoints" / "demo-faces.pt"
    known = read_concepts(path, load(path))
    names = EXPRESSION.replace("- ", "").replace("+ ", "").split()
    roles = ("pos", "neg", "add")
    terms = [
        Term(role, name, known[name].exemplars) for role, name in zip(roles, names, strict=True)
    ]
    done = calculate(terms, seed=0)
    means = np.stack([mean(exemplars) for exemplars in done.drawn]).astype(np.float32)
    images = [
        faces.images(points),
        rooms.images(points),
        faces.images(walk.at(np.linspace(0, 1, columns))),
        faces.images(np.concatenate([means, done.results[3:6]])),
    ]
    first = 3 * columns
    signs = [Words(sign, "sign") for sign in "−+="]
    blocks: list[Part] = []
    for number, (name, sign) in enumerate(zip(names, signs, strict=True)):
        label = Words(name.replace("_", " "))
        blocks += [Stack([Tiles([[first + number]]), label]), sign]
    result = Tiles([[first + 3, first + 4, first + 5]], framed=[first + 4])
    figure = Stack(
        [
            Stack([Tiles(in_rows(range(2 * columns), columns)), Words("samples", "heading")]),
            Stack(
                [
                    Tiles([list(range(2 * columns, first))], framed=[2 * columns, first - 1]),
                    Words("a walk through Z", "heading"),
                ]
            ),
            Beside(
                [
                    *blocks,
                    Stack(
                        [
                            result,
                            Words("the result, framed: a smiling man"),
                        ]
                    ),
                ]
            ),
        ],
        apart=True,
    )
    grid = ImageGrid("banner", np.concatenate(images), columns, figure=figure)
    keep("banner", encode_figure(grid), widest=1300)


def sampler(name: str) -> Sampler:
    """A bundled model, ready to draw."""
    model = load(ROOT / "checkpoints" / f"{name}.pt")
    return Sampler.of(model, "reestimated", torch.device("cpu"))


def tiles_of(path: Path, columns: int = 8) -> Images:
    """The tiles of a grid that training drew, uint8 [N, S, S, 3]."""
    image = np.asarray(Image.open(path).convert("RGB"))
    side = (image.shape[1] - 2 * MARGIN + GAP) // columns - GAP
    rows = (image.shape[0] - 2 * MARGIN + GAP) // (side + GAP)
    starts = [
        (MARGIN + row * (side + GAP), MARGIN + column * (side + GAP))
        for row in range(rows)
        for column in range(columns)
    ]
    return np.stack([image[y : y + side, x : x + side] for y, x in starts])


def run_samples(run: Path) -> None:
    """The last samples of a run."""
    keep("demo-faces", encode_figure(ImageGrid("samples", tiles_of(run / "samples/last.png"), 8)))


def stages(run: Path, epochs: Sequence[tuple[int, str]]) -> None:
    """Samples of some epochs of a run, and what is to be said of them."""
    columns, shown = 8, 4
    images = [tiles_of(run / f"samples/epoch-{epoch:04d}.png", columns) for epoch, _ in epochs]
    parts: list[Part] = []
    for number, (_, said) in enumerate(epochs):
        first = 64 * number
        rows = [[first + row * columns + column for column in range(shown)] for row in range(shown)]
        parts.append(Stack([Words(said, "heading"), Tiles(rows)]))
    grid = ImageGrid("stages", np.concatenate(images), columns, figure=Beside(parts))
    keep("training-stages", encode_figure(grid), widest=1200)


def main() -> None:
    """Make the images that are named, or all that need no run."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--faces", type=Path, help="the run folder of demo-faces.png")
    parser.add_argument("--clothing", type=Path, help="the run folder of training-stages.png")
    arguments = parser.parse_args()
    others: dict[str, Callable[[], None]] = {
        "banner": banner,
        "demo-faces": lambda: run_samples(arguments.faces),
        "training-stages": lambda: stages(
            arguments.clothing,
            (
                (5, "60 steps"),
                (130, "1,560 steps"),
                (415, "4,980 steps"),
            ),
        ),
    }
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.names or [*COMMANDS, "banner"]:
            if name in others:
                others[name]()
            else:
                drawn(name, Path(folder))


if __name__ == "__main__":
    main()

"""Vector arithmetic in Z (paper §6.3.2, Fig. 7): Y = mean(A) − mean(B) + mean(C).

The center of the result is G(Y), its eight neighbors G(Y + uniform noise). Y is not clipped. The
control is the same arithmetic on pixels: every exemplar is drawn, with the same noise added to its
z, and the images are averaged, subtracted and added instead of the points.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dcgan_cli.analysis.arithmetic.defaults import EXEMPLARS
from dcgan_cli.analysis.arithmetic.directions import draw_exemplars, mean, project_out, random_like
from dcgan_cli.analysis.arithmetic.expression import Role
from dcgan_cli.analysis.arithmetic.expression import parse_expression as parse_expression
from dcgan_cli.analysis.feature_extractors import FloatArray
from dcgan_cli.analysis.sampling import Sampler
from dcgan_cli.data.pixels import to_uint8
from dcgan_cli.model.latents import Latents
from dcgan_cli.report import (
    Beside,
    Estimate,
    Finding,
    ImageGrid,
    Images,
    Part,
    Report,
    Stack,
    Tiles,
    WordRole,
    Words,
    in_rows,
)
from dcgan_cli.runtime import numpy_stream

NOISE = 0.25
"""Half the width of the neighbors' uniform noise (paper §6.3.2)."""

IN_A_COLUMN = 3
"""Number of exemplars that stand in a column as in the paper; more are a mosaic of half their size."""

TILES = 9
SIDE = 3
CENTER = TILES // 2
"""The result is a square of tiles with G(Y) in its middle."""


@dataclass(frozen=True, eq=False)
class Term:
    """One term: latent vectors whose mean takes part, and what they mean where that is known.

    `pos` and `neg` terms make the displacement, `add` terms the base that it is added to.
    """

    role: Role
    name: str
    exemplars: Latents
    meaning: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def sign(self) -> int:
        """−1 for `neg`, else 1."""
        return -1 if self.role == "neg" else 1


@dataclass(frozen=True, eq=False)
class Calculation:
    """The arithmetic on one draw of exemplars of each term, `drawn` [K, z_dim].

    `base` [z_dim] is the sum of the `add` terms' means, `displacement` that of the `pos` less that
    of the `neg` terms'; `elsewhere`, the control, a random direction of its length. The middle row
    of the `noise` [9, z_dim] is 0.
    """

    drawn: tuple[Latents, ...]
    base: FloatArray
    displacement: FloatArray
    noise: FloatArray
    elsewhere: FloatArray

    @property
    def results(self) -> Latents:
        """Y and its neighbors, [9, z_dim], Y in the middle."""
        return (self.base + self.displacement + self.noise).astype(np.float32)

    @property
    def unchanged(self) -> Latents:
        """The base with the same noise, [9, z_dim]."""
        return (self.base + self.noise).astype(np.float32)

    @property
    def random_direction(self) -> Latents:
        """The base moved as far in a random direction, [9, z_dim]."""
        return (self.base + self.elsewhere + self.noise).astype(np.float32)


def written(terms: Sequence[Term]) -> str:
    """The terms as text: `A - B + C`."""
    text = " ".join(f"{'-' if term.sign < 0 else '+'} {term.name}" for term in terms)
    return text.removeprefix("+ ")


def calculate(
    terms: Sequence[Term],
    *,
    seed: int,
    exemplars: int = EXEMPLARS,
    noise: float = NOISE,
    without: FloatArray | None = None,
) -> Calculation:
    """Draw at most `exemplars` of each term, and noise and a random direction, and calculate.

    The displacement has no part along the orthonormal rows of `without` [R, z_dim].
    """
    drawn = tuple(
        draw_exemplars(term.exemplars, exemplars, numpy_stream(seed, f"exemplars {term.name}"))
        for term in terms
    )
    base = np.zeros(terms[0].exemplars.shape[1])
    displacement = np.zeros_like(base)
    for term, points in zip(terms, drawn, strict=True):
        if term.role == "add":
            base += mean(points)
        else:
            displacement += term.sign * mean(points)
    if without is not None:
        displacement = project_out(displacement, without)
    around = numpy_stream(seed, "neighbours").uniform(-noise, noise, (TILES, len(base)))
    around[CENTER] = 0
    elsewhere = random_like(displacement, numpy_stream(seed, "random direction"))
    return Calculation(drawn, base, displacement, around, elsewhere)


def on_pixels(sampler: Sampler, terms: Sequence[Term], done: Calculation) -> Tensor:
    """The control: the same arithmetic on images, float32 [9, C, S, S], clipped to [−1, 1]."""
    total: Tensor | float = 0.0
    for term, points in zip(terms, done.drawn, strict=True):
        shaken = (points[None].astype(np.float64) + done.noise[:, None]).astype(np.float32)
        images = sampler.normalized(shaken.reshape(-1, shaken.shape[-1]))
        total = total + term.sign * images.unflatten(0, (TILES, -1)).mean(1)
    assert isinstance(total, torch.Tensor)
    return total.clamp(-1, 1)


def arithmetic(
    sampler: Sampler,
    terms: Sequence[Term],
    done: Calculation,
    *,
    seed: int,
    said: Sequence[Sequence[str]] = (),
) -> Report:
    """The grid of Fig. 7: exemplars of each term with their mean, the result, the pixel control.

    `said` are a classifier's nine words for the results and nine for the control.
    """
    control = to_uint8(on_pixels(sampler, terms, done))
    grid = _grid(sampler, terms, done, control, seed, said)
    length = length_finding(sampler, "the result's z", done.results[CENTER], seed, "samples")
    facts = {
        "checkpoint": sampler.checkpoint,
        "expression": written(terms),
        "exemplars": [
            {"name": term.name, "value": len(points)}
            for term, points in zip(terms, done.drawn, strict=True)
        ],
        "seed": seed,
        "bn": sampler.bn,
        "ema": sampler.average,
        "displacement": float(np.linalg.norm(done.displacement)),
    }
    hint = "--classifier SOURCE says what the results are"
    verdict = f"{written(terms)}: drawn, not measured ({hint})"
    return Report("Arithmetic in Z", facts, [length], grids=(grid,), verdict=verdict)


def length_finding(
    sampler: Sampler, what: str, vector: FloatArray | Latents, seed: int, among: str
) -> Finding:
    """The length of `vector` [z_dim] beside the lengths of 1024 latent vectors of `seed`."""
    lengths: FloatArray = np.linalg.norm(sampler.seeded(seed, 1024), axis=1)
    shortest, longest = np.quantile(lengths, [0.025, 0.975]).tolist()
    length = Estimate(float(np.linalg.norm(vector)), n=1)
    control = Estimate(float(np.median(lengths)), shortest, longest, len(lengths))
    return Finding("length", f"length of {what}", length, control, f"{among} (middle 95 %)")


def draw_concept(sampler: Sampler, name: str, exemplars: Latents) -> ImageGrid:
    """The images of a concept's exemplars [K, z_dim], and last of the point that is their mean."""
    points = np.concatenate([exemplars, mean(exemplars)[None].astype(np.float32)])
    last = len(exemplars)
    tiles = Tiles(in_rows(range(last), min(last, 8)))
    the_mean = Stack([Tiles([[last]], framed=[last]), Words("their mean")])
    return ImageGrid(
        name,
        sampler.images(points),
        min(len(points), 9),
        [*map(str, range(len(exemplars))), "mean"],
        provenance=sampler.provenance(["concepts", "show", name], None, points),
        figure=Stack([Words(spoken(name), "title"), tiles, the_mean]),
        caption=f"the {last} exemplars of {name}, and the image of their mean",
    )


def _grid(
    sampler: Sampler,
    terms: Sequence[Term],
    done: Calculation,
    control: Images,
    seed: int,
    said: Sequence[Sequence[str]],
) -> ImageGrid:
    z_dim = done.results.shape[1]
    columns = max(SIDE, len(terms), 1 + max(map(len, done.drawn)))
    blank = np.full((1, *control.shape[1:]), 255, np.uint8)
    nowhere = np.full((1, z_dim), np.nan, np.float32)
    images: list[Images] = []
    latents: list[NDArray[np.float32]] = []
    captions: list[str] = []
    labels: list[str] = []

    def row(label: str, shown: Images, points: Latents, under: Sequence[str] = ()) -> None:
        short = columns - len(shown)
        images.extend((shown, *[blank] * short))
        latents.extend((points, *[nowhere] * short))
        captions.extend((*under, *[""] * (columns - len(under))))
        labels.append(label)

    for term, points in zip(terms, done.drawn, strict=True):
        with_mean = np.concatenate([points, mean(points)[None].astype(np.float32)])
        under = [""] * len(points) + ["mean"]
        sign = "-" if term.sign < 0 else "+"
        row(f"{sign} {term.name}", sampler.images(with_mean), with_mean, under)
    of_results, of_control = said or ([""] * TILES, [""] * TILES)
    shown = sampler.images(done.results)
    for label, tiles, points, under in (
        ("= result", shown, done.results, of_results),
        ("on pixels", control, np.repeat(nowhere, TILES, 0), of_control),
    ):
        for start in range(0, TILES, SIDE):
            part = slice(start, start + SIDE)
            row(label if start == SIDE else "", tiles[part], points[part], under[part])
    averages = torch.stack([sampler.normalized(points).mean(0) for points in done.drawn])
    row("pixel means", to_uint8(averages), np.repeat(nowhere, len(terms), 0))
    return ImageGrid(
        "arithmetic",
        np.concatenate(images),
        columns,
        captions,
        labels,
        sampler.provenance(["arithmetic", "--expr", written(terms)], seed, np.concatenate(latents)),
        figure=_figure(terms, list(map(len, done.drawn)), columns, said),
        caption=(
            f"{written(terms)}: exemplars of each term, framed their mean; right the result, framed, "
            "among eight neighbors; below the same arithmetic on pixels"
        ),
    )


def _figure(
    terms: Sequence[Term], counts: Sequence[int], columns: int, said: Sequence[Sequence[str]]
) -> Part:
    """Fig. 7 in one line, and smaller below it the same on pixels. `counts` are of exemplars."""

    def line(
        blocks: Sequence[Part], result: Part, role: WordRole, before: Sequence[Part] = ()
    ) -> Part:
        parts: list[Part] = [*before]
        for number, (term, block) in enumerate(zip(terms, blocks, strict=True)):
            if number or term.sign < 0:
                parts.append(Words("−" if term.sign < 0 else "+", role))
            parts.append(block)
        return Beside([*parts, Words("=", role), result])

    def square(first_row: int) -> list[list[int]]:
        starts = [(first_row + row) * columns for row in range(SIDE)]
        return [list(range(start, start + SIDE)) for start in starts]

    results = square(len(terms))
    on_pixels_row = len(terms) + SIDE
    last_row = (on_pixels_row + SIDE) * columns
    exemplars = [
        _exemplars(row * columns, count, spoken(term.name))
        for row, (term, count) in enumerate(zip(terms, counts, strict=True))
    ]
    name = Words(said[0][CENTER] if said else "result")
    above = line(exemplars, Stack([Tiles(results, framed=[results[1][1]]), name]), "sign")
    below = line(
        [Tiles([[last_row + number]], 0.5) for number in range(len(terms))],
        Tiles(square(on_pixels_row), 0.5),
        "heading",
        [Words("the same arithmetic on pixels:")],
    )
    return Stack([above, below], apart=True)


def _exemplars(first: int, count: int, name: str) -> Part:
    """Tiles `first` … `first + count − 1` and framed below them the next, their mean."""
    last = first + count
    if count <= IN_A_COLUMN:
        column = in_rows(range(first, last + 1), 1)
        return Stack([Tiles(column, framed=[last]), Words(name)])
    mosaic = Tiles(in_rows(range(first, last), math.ceil(math.sqrt(count))), 0.5)
    return Stack([mosaic, Tiles([[last]], framed=[last]), Words(name)])


def spoken(name: str) -> str:
    """A concept's or a file's name as words below an image: `smiling woman`."""
    return name.rpartition("/")[2].replace("_", " ")

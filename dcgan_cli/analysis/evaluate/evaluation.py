"""How good and how varied samples are: distances to real images in features, beside controls."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dcgan_cli.analysis import statistics
from dcgan_cli.analysis.distances import fidelity, frechet_distance, kid
from dcgan_cli.analysis.evaluate.feature_networks import FeatureNetwork
from dcgan_cli.analysis.image_quality import Features, blurred, standardized
from dcgan_cli.data.jpeg import compressed
from dcgan_cli.report import (
    SHARE,
    Estimate,
    Finding,
    ImageGrid,
    Images,
    Report,
    Stack,
    Table,
    Tiles,
    Words,
)
from dcgan_cli.wording import counted

FEWEST = 16
"""With fewer images on one side nothing is computed."""

BLUR = 1 / 32
"""Standard deviation of the control's blur as a share of the side: 2 pixels of 64."""

JPEG_QUALITY = 10

MOST_OF_A_CONTROL = 2000
"""Images that are blurred, compressed, or drawn by an untrained generator: their values are far off,
and more would only take longer."""

SHOWN = 8
"""Images of each group in the figure."""

REFERENCE = "reference"
SAMPLES, OTHERS, BLURRED, COMPRESSED, UNTRAINED = (
    "samples", "other real images", "blurred", "JPEG", "untrained generator"
)  # fmt: skip


REAL = (REFERENCE, OTHERS, BLURRED, COMPRESSED)
"""The groups that are made of real images alone."""


@dataclass(frozen=True, eq=False)
class Groups:
    """The images that are compared, all uint8 [N, S, S, C] of one size.

    Attributes:
        reference: real images, which all others are compared with.
        others: other real images; what they are said to be is `others_are`.
        samples: what is evaluated.
        untrained: images of a generator of the same architecture with random weights, if there is
            a generator.
    """

    reference: Images
    others: Images
    others_are: str
    samples: Images
    untrained: Images | None = None

    def named(self) -> dict[str, Images]:
        """Everything that is compared with the reference, the samples first."""
        side = self.others.shape[1]
        some = self.others[:MOST_OF_A_CONTROL]
        groups = {
            SAMPLES: self.samples,
            OTHERS: self.others,
            BLURRED: blurred(some, BLUR * side),
            COMPRESSED: compressed(some, JPEG_QUALITY),
        }
        return groups if self.untrained is None else {**groups, UNTRAINED: self.untrained}


@dataclass(frozen=True)
class Distances:
    """All values of one group of images."""

    n: int
    kid: Estimate
    frechet: float
    precision: Estimate
    recall: Estimate
    density: Estimate
    coverage: Estimate

    @classmethod
    def of(cls, rows: Features, reference: Features) -> "Distances":
        """Those of features `rows` [N, D] to `reference` [M, D]."""
        found = fidelity(rows, reference)
        return cls(
            len(rows),
            kid(rows, reference),
            frechet_distance(rows, reference),
            _share(found.precise, "images"),
            _share(found.recalled, "real images"),
            statistics.mean_above(found.dense, "images"),
            _share(found.covered, "real images"),
        )


def _share(answers: NDArray[np.bool_], unit: str) -> Estimate:
    return statistics.share(int(answers.sum()), len(answers), unit)


def evaluate(
    groups: Groups,
    network: FeatureNetwork,
    *,
    features_of: Callable[[str, Images], NDArray[np.float32]] | None = None,
) -> Report:
    """Compare `groups` by the features of `network`.

    `features_of` gives the features of a named group, `network` itself if it is None: so features
    of real images can be kept. Values say nothing of single images, and those of another network,
    or of another n (Fréchet distance, precision, recall), are not comparable.
    """
    features_of = features_of or (lambda _, images: network(images))
    named = groups.named()
    rows = {name: features_of(name, images).astype(np.float64) for name, images in named.items()}
    reference = features_of(REFERENCE, groups.reference).astype(np.float64)
    if network.standardized:
        reference, *others = standardized(reference, *rows.values())
        rows = dict(zip(rows, others, strict=True))
    found = {name: Distances.of(each, reference) for name, each in rows.items()}
    facts = {
        "features": network.key,
        "network": network.name,
        "samples": len(groups.samples),
        "real": len(groups.reference),
        "other_real": len(groups.others),
        "size": groups.samples.shape[1],
        "blur_px": BLUR * groups.samples.shape[1],
        "jpeg_quality": JPEG_QUALITY,
    }
    return Report(
        "Evaluation",
        facts,
        findings=_findings(found, groups, network),
        tables=(_table(found, groups),),
        grids=(_figure(named, groups, network, found),),
        verdict=_verdict(found, groups, network),
    )


def _described(name: str, groups: Groups) -> str:
    """A group in words, with what makes it."""
    side = groups.samples.shape[1]
    return {
        OTHERS: groups.others_are,
        BLURRED: f"real images blurred by {BLUR * side:g} px",
        COMPRESSED: f"real images as JPEG of quality {JPEG_QUALITY}",
    }.get(name, name)


def _verdict(found: Mapping[str, Distances], groups: Groups, network: FeatureNetwork) -> str:
    """Where the samples stand between the controls, by KID."""
    own = found[SAMPLES].kid
    text = f"KID {own.value:.3g} [{own.low:.3g}, {own.high:.3g}] by {network.name}: "
    controls = sorted(
        ((each.kid.value, name) for name, each in found.items() if name != SAMPLES),
    )
    nearer = [(value, name) for value, name in controls if value < own.value]
    farther = [(value, name) for value, name in controls if value >= own.value]
    parts: list[str] = []
    if nearer:
        value, name = nearer[-1]
        parts.append(f"worse than {_described(name, groups)} ({value:.3g})")
    if farther:
        value, name = farther[0]
        parts.append(f"better than {_described(name, groups)} ({value:.3g})")
    return text + ", ".join(parts)


def _findings(
    found: Mapping[str, Distances], groups: Groups, network: FeatureNetwork
) -> tuple[Finding, ...]:
    own, floor = found[SAMPLES], found[OTHERS]
    of = f"n={own.n:,} and {len(groups.reference):,}"
    frechet = "FID" if network.key.startswith("inception") else "Fréchet distance"
    values: tuple[tuple[str, str, Estimate, Estimate, str, Literal["up", "down"]], ...] = (
        ("kid", "KID", own.kid, floor.kid, "", "down"),
        ("frechet", f"{frechet} ({of})", Estimate(own.frechet, n=own.n),
         Estimate(floor.frechet, n=floor.n), "", "down"),
        ("precision", "precision: samples among real images", own.precision, floor.precision, SHARE, "up"),
        ("recall", "recall: real images among samples", own.recall, floor.recall, SHARE, "up"),
        ("density", "density", own.density, floor.density, "", "up"),
        ("coverage", "coverage: real images near a sample", own.coverage, floor.coverage, SHARE, "up"),
    )  # fmt: skip
    return tuple(
        Finding(
            key, label, value, control, groups.others_are, unit=unit, better=better, headline=True
        )
        for key, label, value, control, unit, better in values
    )


def _table(found: Mapping[str, Distances], groups: Groups) -> Table:
    columns = (
        "images", "n", "KID", "low", "high", "Fréchet", "precision", "recall", "density", "coverage"
    )  # fmt: skip
    rows = [
        (
            _described(name, groups), each.n, each.kid.value, each.kid.low, each.kid.high,
            each.frechet, each.precision.value, each.recall.value, each.density.value,
            each.coverage.value,
        )
        for name, each in found.items()
    ]  # fmt: skip
    keys = ("images", "n", "kid", "kid_low", "kid_high", "frechet", *columns[6:])
    return Table("Compared with real images", columns, rows, "compared", keys)


def _figure(
    named: Mapping[str, Images],
    groups: Groups,
    network: FeatureNetwork,
    found: Mapping[str, Distances],
) -> ImageGrid:
    """A row of each group, with its KID."""
    shown = {name: images[:SHOWN] for name, images in named.items()}
    parts: list[Stack] = []
    start = 0
    for name, images in shown.items():
        text = f"{_described(name, groups)}: KID {found[name].kid.value:.3g}"
        tiles = Tiles([list(range(start, start + len(images)))])
        parts.append(Stack([Words(text), tiles], "start"))
        start += len(images)
    caption = f"KID by {network.name}, against {counted(len(groups.reference), 'real image')}"
    return ImageGrid(
        "evaluation",
        np.concatenate(list(shown.values())),
        SHOWN,
        figure=Stack(parts, "start", apart=True),
        caption=caption,
    )

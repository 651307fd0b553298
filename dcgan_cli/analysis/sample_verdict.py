"""What the samples at the end of a training run are: alike, noise, or something to look at."""

import math
from dataclasses import dataclass

from dcgan_cli.analysis.distances import kid
from dcgan_cli.analysis.image_quality import (
    ALIKE,
    blurred,
    difference,
    random_features,
    standardized,
)
from dcgan_cli.model.recipe import AUGMENTATIONS, USUAL_STEPS
from dcgan_cli.report import Images
from dcgan_cli.wording import counted

BLUR = 1 / 16
"""Standard deviation of the blur that noise is told by, as a share of the images' side."""

FEWEST = 16
"""Of fewer training images KID says nothing, so that diversity alone decides."""

PHOTOGRAPHS = 256
"""At most so many images of the training set are looked at."""


@dataclass(frozen=True)
class SampleVerdict:
    """What samples are.

    Attributes:
        name: "alike", "noise" or "varied"; "alike images" where the training images are alike.
        sentence: what that is, with the values, and what to do about it.
        diversity: how much two samples differ, relative to two training images.
        kid: KID of samples and training images, in random features; NaN for fewer than FEWEST.
        kid_of_blurred: the same of training images that were blurred, and others.
    """

    name: str
    sentence: str
    diversity: float
    kid: float
    kid_of_blurred: float


def assess_samples(
    samples: Images, photographs: Images, steps: int, usual: int = USUAL_STEPS
) -> SampleVerdict:
    """Assess `samples` of a run of `steps` steps, where `usual` are usual, against training images.

    Both are uint8 [N, H, W, C].

    Two values decide. *Diversity*: how much two samples differ (RMS), relative to two training images.
    *KID* in random features, standardized by one half of the training images; its control is the other
    half, blurred. No value says whether things can be recognized.

    Example: `assess_samples(grid, images.take(rows), 300).sentence`.
    """
    varied, side = difference(photographs), min(photographs.shape[1:3])
    found = control = math.nan
    if len(photographs) >= FEWEST:
        known, others = photographs[::2], photographs[1::2]
        rows = [random_features(each) for each in (known, samples, blurred(others, BLUR * side))]
        reference, *compared = standardized(*rows)
        found, control = (kid(each, reference).value for each in compared)
    ratio = difference(samples) / varied if varied > 0 else 0.0
    name, what = _name(ratio, found, control, varied)
    said = what.format(
        samples=counted(len(samples), "sample"), ratio=ratio, found=found, control=control,
        blur=BLUR * side,
    )  # fmt: skip
    return SampleVerdict(name, f"{said}{_remedy(name, steps, usual)}", ratio, found, control)


def _name(ratio: float, found: float, control: float, varied: float) -> tuple[str, str]:
    if varied < 1:
        return "alike images", "the training images hardly differ, so there is nothing to learn"
    if ratio < ALIKE:
        return (
            "alike",
            "all {samples} look alike: they differ {ratio:.2g} times as much as the images",
        )
    if found > control:
        return "noise", (
            "the samples show noise or blots: they are farther from the images (KID {found:.2g}) than "
            "the images blurred by {blur:.2g} px ({control:.2g})"
        )
    return "varied", (
        "the samples vary ({ratio:.2f} times as much as the images) and are neither noise nor gray"
    )


def _remedy(name: str, steps: int, usual: int) -> str:
    if name == "varied":
        more = f", or train longer ({_made(steps, usual)})" if steps < usual else ""
        return f"; look at them{more}"
    if name == "alike images":
        return "; give images that differ"
    if steps < usual:
        return f"; train longer ({_made(steps, usual)})"
    augment = f"--augment {','.join(AUGMENTATIONS)}"
    if name == "alike":
        return f"; train anew with {augment}, with --loss wgan-gp, or with half of --lr"
    return f"; train anew with {augment}, with half of --lr, or on more images"


def _made(steps: int, usual: int) -> str:
    return f"--resume; {counted(steps, 'step')} made, usual: {usual:,}"

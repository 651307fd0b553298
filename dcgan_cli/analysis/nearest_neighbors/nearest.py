"""Did it memorise? Samples beside the training pictures nearest to them, and a verdict.

The authors declined a search over training pictures as evidence (paper.md's appendix), and a sheet of
neighbours alone is none: this compares samples with real pictures that were held back, twice, by
outlines and by D's features, and says how sure it is.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from dcgan_cli.analysis.nearest_neighbors.eyes import Features, Outlines, Pixels
from dcgan_cli.analysis.nearest_neighbors.memorisation import (
    LEVEL,
    NEIGHBOURS,
    Verdict,
    closeness,
    combined,
    detectable,
    memorised,
)
from dcgan_cli.analysis.nearest_neighbors.neighbour_report import (
    FEATURES,
    OUTLINES,
    Asked,
    Block,
    closest_table,
    findings,
    notes,
    sheet,
    tails_table,
)
from dcgan_cli.analysis.nearest_neighbors.reference import BLOCK, Progress, Question, Training, find
from dcgan_cli.analysis.neighbours import Neighbours
from dcgan_cli.analysis.views import soften
from dcgan_cli.data.pixels import to_pictures, to_signed
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.report import Pictures, Report
from dcgan_cli.runtime import numpy_stream

MOST_ON_MAP = 2000
MAP_GROUPS = ("training pictures", "samples")
MAP_TITLE = "D's features: training pictures blue, samples orange"


def nearest_neighbors(
    asked: Asked,
    training: Training,
    honest: Pictures,
    discriminator: Discriminator,
    *,
    k: int,
    rows: int,
    seed: int,
    trained_on: bool = False,
    progress: Progress = lambda done, total: None,
) -> Report:
    """Find the neighbours of `asked` and judge whether they are copies.

    Args:
        asked: samples, or pictures that were given.
        training: what they are compared with.
        honest: uint8 [m, S, S, C], real pictures that are not among `training`.
        discriminator: whose features are one of the eyes.
        k: neighbours shown of each.
        rows: how many of `asked` are shown, and how many of the closest.
        seed: of all that is drawn at random.
        trained_on: whether the network was trained on `honest`, which are then set aside from the
            comparison and not held out.
        progress: told how many training pictures have been compared.

    Returns:
        A report whose sheet `nearest` shows, for each row, the picture, its neighbours in pixels (of
        the closest ones: in outlines), and those in D's features.
    """
    device = next(discriminator.parameters()).device
    size, channels = asked.pictures.shape[1], asked.pictures.shape[3]
    shown = asked.pictures[:rows]
    everything = np.concatenate(
        [asked.pictures, honest, softened(honest), softened(asked.pictures)]
    )
    by_pixels, by_outlines, by_features = find(
        (
            Question(Pixels(size, channels), shown),
            Question(Outlines(size), everything),
            Question(Features(discriminator), everything),
        ),
        training,
        max(k, NEIGHBOURS),
        device,
        progress,
    )
    n, m = len(asked), len(honest)
    found = {OUTLINES: by_outlines, FEATURES: by_features}
    verdicts = {eye: _verdict(neighbours, n, m) for eye, neighbours in found.items()}
    rarity = np.stack([verdict.rarity for verdict in verdicts.values()])
    closest = np.lexsort((verdicts[OUTLINES].samples, rarity.min(0)))[:rows]
    blocks: list[Block] = [(np.arange(len(shown)), by_pixels, "px", by_features)]
    if n > rows:
        blocks.append((closest, by_outlines[closest], "out", by_features))
    return Report(
        "Nearest neighbors",
        {
            "checkpoint": asked.record.checkpoint,
            "seed": seed,
            "size": size,
            "channels": channels,
            "pictures": n,
            "training": len(training.numbers),
            "held_out": m,
            "held_out_trained_on": trained_on,
            "k": k,
            "memorised": memorised(verdicts),
            "p_value": combined(verdicts),
            "level": LEVEL,
            "detectable": detectable(n, m, len(verdicts)),
            "closest": [int(i) for i in closest],
        },
        findings=findings(verdicts, found, n, m, trained_on),
        tables=(tails_table(verdicts), closest_table(asked, training, verdicts, found, closest)),
        sheets=(sheet(asked, training, blocks, k),),
        notes=notes(verdicts, n, m, trained_on),
    )


def softened(pictures: Pictures) -> Pictures:
    """Pictures uint8 [N, S, S, C] at half their resolution, scaled back."""
    return to_pictures(soften(to_signed(torch.from_numpy(pictures))))


def _verdict(found: Neighbours, n: int, m: int) -> Verdict:
    """Of n images asked about and m honest ones, of both as they are and softened."""
    asked, honest, soft_honest, soft_asked = np.split(
        closeness(found.distances[:, :NEIGHBOURS]), [n, n + m, n + 2 * m]
    )
    return Verdict(asked, np.minimum(honest, soft_honest), np.minimum(asked, soft_asked))


def map_rows(
    asked: Asked, training: Training, discriminator: Discriminator, seed: int
) -> tuple[torch.Tensor, NDArray[np.int64]]:
    """D's features [N, F] of some training pictures and some of `asked`, and which are which [N].

    Groups are numbers of MAP_GROUPS; up to MOST_ON_MAP of each, at random.
    """
    eye, stream = Features(discriminator), numpy_stream(seed, "map")
    numbers = stream.permutation(training.numbers)[:MOST_ON_MAP]
    chosen = np.sort(stream.permutation(len(asked))[:MOST_ON_MAP])
    rows = [
        eye.rows(training.pictures.take(numbers[first : first + BLOCK]))
        for first in range(0, len(numbers), BLOCK)
    ]
    rows.append(eye.rows(asked.pictures[chosen]))
    return torch.cat(rows), np.repeat([0, 1], [len(numbers), len(chosen)])

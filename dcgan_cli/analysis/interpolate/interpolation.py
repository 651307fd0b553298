"""Walking through Z from point to point (paper §6.1, Fig. 4): the images, and how to read them."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from dcgan_cli.analysis.interpolate.paths import LatentPath
from dcgan_cli.analysis.interpolate.transitions import (
    HALVINGS,
    LIMIT,
    SHARP,
    Film,
    Measures,
    classify_transition,
    discriminator_features,
    fade_film,
    measure_transitions,
    pixel_features,
)
from dcgan_cli.analysis.sampling import Sampler
from dcgan_cli.analysis.statistics import chain_mean, chain_share
from dcgan_cli.data.pixels import normalize
from dcgan_cli.model.batch_norm_statistics import fix_statistics
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.model.generator import Generator
from dcgan_cli.model.layers import initialize
from dcgan_cli.report import (
    Estimate,
    Finding,
    ImageGrid,
    Images,
    Provenance,
    Report,
    Table,
    Tiles,
    in_rows,
)
from dcgan_cli.runtime import torch_stream


def interpolate(
    sampler: Sampler,
    discriminator: Discriminator,
    path: LatentPath,
    *,
    steps: int,
    seed: int,
    drawn_from_seed: bool = True,
    training: Images | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Report:
    """Draw `path`, one row a segment, and measure it beside its controls.

    Args:
        sampler: the generator.
        discriminator: of the same checkpoint and on the same device: its features are the second
            feature extractor.
        path: the way through Z.
        steps: images a row, 2 or more; the first and the last are the points themselves.
        seed: of all that measuring draws at random.
        drawn_from_seed: whether `seed` also gave the points of `path`.
        training: uint8 [segments + 1, S, S, C], images of the training set for one more control.
        progress: told how many of the films are measured.

    Returns:
        A report whose image grid `walk` holds segments × steps tiles; `frames` makes a film of it.
    """
    segments = path.segments
    latents = np.concatenate([path.at(k + np.linspace(0, 1, steps)) for k in range(segments)])
    ends = sampler.normalized(path.at(np.arange(segments + 1.0)))
    films = {
        "generator": walk_film(sampler, path),
        "untrained": walk_film(untrained(sampler, seed), path),
        "cross-fade": fade_film(ends),
    }
    if training is not None:
        fade = fade_film(normalize(torch.from_numpy(training)))
        films["training cross-fade"] = fade
    extractors = (pixel_features, discriminator_features(discriminator))
    measured: dict[str, Measures] = {}
    for name, film in films.items():
        progress(len(measured), len(films))
        measured[name] = measure_transitions(film, extractors, segments, steps, seed)
    command = ["interpolate", "--path", path.kind, "--steps", str(steps)]
    command += ["--loop"] if path.loop else []
    provenance = sampler.provenance(command, seed if drawn_from_seed else None, latents)
    found = measured["generator"]
    config = sampler.generator.config
    return Report(
        "Interpolation",
        {
            "checkpoint": sampler.checkpoint,
            "seed": seed,
            "points": len(path.points),
            "segments": segments,
            "steps": steps,
            "path": path.kind,
            "loop": path.loop,
            "size": config.size,
            "channels": config.channels,
            "bn": sampler.bn,
            "ema": sampler.average,
            "verdict": classify_transition(found),
            "sharp_rows": np.flatnonzero(found.sharp).tolist(),
            "sharp_from": SHARP,
        },
        findings=_findings(measured),
        tables=(_table(measured),),
        grids=(_grid(sampler.images(latents), steps, provenance),),
        notes=_notes(found),
    )


def _grid(images: Images, steps: int, provenance: Provenance) -> ImageGrid:
    """The walk in rows of `steps`, whose ends, the points themselves, are framed."""
    rows = in_rows(range(len(images)), steps)
    return ImageGrid(
        "walk",
        images,
        steps,
        provenance=provenance,
        figure=Tiles(rows, framed=[row[end] for row in rows for end in (0, -1)]),
        caption="a walk through Z from point to point, one row each; the points are framed",
    )


def frames(grid: ImageGrid, loop: bool) -> Images:
    """The images of a walk's image grid as one film: the points where two rows meet appear once.

    With `loop` the last one, which is the first again, is left out too.
    """
    rows = grid.images.reshape(-1, grid.columns, *grid.images.shape[1:])
    film = np.concatenate([rows[0, :1], rows[:, 1:].reshape(-1, *rows.shape[2:])])
    return film[:-1] if loop else film


def walk_film(sampler: Sampler, path: LatentPath) -> Film:
    """What the generator draws along `path`."""
    return lambda times: sampler.normalized(path.at(times))


def untrained(sampler: Sampler, seed: int) -> Sampler:
    """A generator of the same architecture with random weights, on the same device.

    It normalizes with the statistics of a reference batch: it has no others.
    """
    device = next(sampler.generator.parameters()).device
    generator = Generator(sampler.generator.config)
    initialize(generator, torch_stream(seed, "untrained generator"))
    generator.to(device)
    fix_statistics(generator, "batch")
    return Sampler("", generator, "batch", False)


def _findings(measured: Mapping[str, Measures]) -> tuple[Finding, ...]:
    """Every value beside the control that it is best read against; the table has the others."""
    rows = {name: _estimates(measures) for name, measures in measured.items()}
    own, untrained_g = rows["generator"], rows["untrained"]
    fade = rows["cross-fade"]
    labels = {
        "step_pixels": "step, pixels",
        "step_features": "step, D's features",
        "path_length": "path length, D's features",
        "sharpest_pixels": "sharpest / median, pixels",
        "sharpest_features": "sharpest / median, D's features",
        "sharp_segments": f"share of segments ≥ {SHARP:g}",
    }
    controls = {
        key: (untrained_g, "untrained G") if key.startswith("sharp") else (fade, "cross-fade")
        for key in labels
    }
    return tuple(
        Finding(key, label, own[key], controls[key][0][key], controls[key][1])
        for key, label in labels.items()
    )


def _estimates(measures: Measures) -> dict[str, Estimate]:
    """Means over segments, and a share; segments that follow each other share a point."""
    moving = measures.moving
    sharp = int(measures.sharp.sum())
    return {
        "step_pixels": chain_mean(measures.step[:, 0]),
        "step_features": chain_mean(measures.step[:, 1]),
        "path_length": chain_mean(measures.path_length),
        "sharpest_pixels": _mean(measures.sharpest[moving, 0]),
        "sharpest_features": _mean(measures.sharpest[moving, 1]),
        "sharp_segments": (
            chain_share(sharp, int(moving.sum())) if moving.any() else Estimate(np.nan, n=0)
        ),
    }


def _mean(values: NDArray[np.float64]) -> Estimate:
    return chain_mean(values) if len(values) else Estimate(np.nan, n=0)


def _table(measured: Mapping[str, Measures]) -> Table:
    """Every value for every film, so that each control can be read against each value."""
    films = [_estimates(measures) for measures in measured.values()]
    return Table(
        "Walks",
        ("metric", *measured),
        [[key, *(film[key].value for film in films)] for key in films[0]],
        keys=("metric", *("" for _ in measured)),
    )


def _notes(found: Measures) -> tuple[str, ...]:
    """How to read the values, and what they say of this walk."""
    reading = (
        "step: distance of neighboring images, in pixels as a share of black to white, in D's "
        "features at unit length; path length: d² / ε² in those features per unit of t",
        "sharpest / median: the fastest change of a segment over its median change; 1 is a steady "
        f"pace, jumps between remembered images give about {2**HALVINGS:,} to {LIMIT:,.0f} however "
        f"many steps are shown, {SHARP:g} or more is called sharp",
    )
    still = int((~found.moving).sum())
    says = {
        "smooth": "no segment has a sharp transition: these images are not looked up in a table "
        "(paper §6.1); a network that blends what it remembers may pass too",
        "sharp": "sharp transitions in rows "
        + ", ".join(map(str, np.flatnonzero(found.sharp)))
        + " (counted from 0): look at them; on most rows they mean memorization (paper §6.1)",
        "still": "the image never changes: the generator has collapsed, or the points are one",
    }[classify_transition(found)]
    stands = f"{still} of {len(found.moving)} segments stand still and are left out of the ratios"
    return (*reading, says, stands) if 0 < still < len(found.moving) else (*reading, says)

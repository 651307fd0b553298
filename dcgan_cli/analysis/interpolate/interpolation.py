"""Interpolation in latent space (paper §6.1, Fig. 4): the images, and how to read them."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import torch

from dcgan_cli.analysis.image_quality import ALIKE, difference
from dcgan_cli.analysis.interpolate import transitions
from dcgan_cli.analysis.interpolate.paths import LatentPath
from dcgan_cli.analysis.sampling import Sampler, untrained
from dcgan_cli.analysis.statistics import chain_mean, chain_share
from dcgan_cli.analysis.verdicts import UNCLEAR, compare
from dcgan_cli.data.pixels import normalize, to_uint8
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.report import (
    SHARE,
    TIMES,
    Estimate,
    Finding,
    ImageGrid,
    Images,
    Report,
    Table,
    Tiles,
    in_rows,
)
from dcgan_cli.wording import counted


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
    """The report of `draw_walk`, with values beside their controls and a verdict.

    The features of the `discriminator`, of the same checkpoint and on the same device, are the
    second feature extractor. `steps` is the number of images a row, 2 or more; the first and the
    last are the points themselves. `drawn_from_seed` says whether `seed` also gave the points of
    `path`. `training`, uint8 [segments + 1, S, S, C], are training images for one more control.
    """
    segments = path.segments
    ends = sampler.normalized(path.at(np.arange(segments + 1.0)))
    films = {
        "generator": walk_film(sampler, path),
        "untrained": walk_film(untrained(sampler, seed), path),
        "cross-fade": transitions.fade_film(ends),
    }
    if training is not None:
        fade = transitions.fade_film(normalize(torch.from_numpy(training)))
        films["training cross-fade"] = fade
    extractors = (transitions.pixel_features, transitions.discriminator_features(discriminator))
    measured: dict[str, transitions.Measures] = {}
    for name, film in films.items():
        progress(len(measured), len(films))
        measured[name] = transitions.measure_transitions(film, extractors, segments, steps, seed)
    drawn = draw_walk(sampler, path, steps=steps, seed=seed, drawn_from_seed=drawn_from_seed)
    found = measured["generator"]
    diversity = None
    if training is not None and (varied := difference(training)) > 0:
        diversity = difference(to_uint8(ends)) / varied
    facts = {
        "diversity": diversity,
        "transition": transitions.classify_transition(found),
        "sharp_rows": np.flatnonzero(found.sharp).tolist(),
        "sharp_from": transitions.SHARP,
    }
    # the table has every value of every film, so that each control can be read against each value
    estimates = {name: _estimates(measures) for name, measures in measured.items()}
    rows = [
        [key, *(each[key].value for each in estimates.values())] for key in estimates["generator"]
    ]
    keys = ("metric", *("" for _ in measured))
    still, notes = int((~found.moving).sum()), ()
    if 0 < still < segments:
        notes = (f"{still} of {segments} segments stand still and are left out of the ratios",)
    return replace(
        drawn,
        facts={**drawn.facts, **facts},
        findings=_findings(estimates),
        tables=(Table("Walks", ("metric", *measured), rows, keys=keys),),
        notes=notes,
        verdict=_verdict(measured, diversity),
    )


def draw_walk(
    sampler: Sampler, path: LatentPath, *, steps: int, seed: int, drawn_from_seed: bool = True
) -> Report:
    """Draw `path`, one row a segment; nothing is measured.

    `steps` and `seed` are as in `interpolate`. The image grid `walk` holds segments × steps tiles;
    `frames` makes a film of it.
    """
    segments = path.segments
    latents = np.concatenate([path.at(k + np.linspace(0, 1, steps)) for k in range(segments)])
    command = ["interpolate", "--path", path.kind, "--steps", str(steps)]
    command += ["--loop"] if path.loop else []
    rows = in_rows(range(len(latents)), steps)
    grid = ImageGrid(
        "walk",
        sampler.images(latents),
        steps,
        provenance=sampler.provenance(command, seed if drawn_from_seed else None, latents),
        figure=Tiles(rows, framed=[row[end] for row in rows for end in (0, -1)]),
        caption="a walk through Z from point to point, one row each; the points are framed",
    )
    config = sampler.generator.config
    facts = {
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
    }
    visited = f"{counted(len(path.points), 'point')} visited"
    verdict = f"{visited}: drawn, not measured (--measure says how evenly the images change)"
    return Report("Interpolation", facts, grids=(grid,), verdict=verdict)


def frames(grid: ImageGrid, loop: bool) -> Images:
    """The images of a walk's image grid as one film: the points where two rows meet appear once.

    With `loop` the last one, which is the first again, is left out too.
    """
    rows = grid.images.reshape(-1, grid.columns, *grid.images.shape[1:])
    film = np.concatenate([rows[0, :1], rows[:, 1:].reshape(-1, *rows.shape[2:])])
    return film[:-1] if loop else film


def walk_film(sampler: Sampler, path: LatentPath) -> transitions.Film:
    """What the generator draws along `path`."""
    return lambda times: sampler.normalized(path.at(times))


def _findings(estimates: Mapping[str, Mapping[str, Estimate]]) -> tuple[Finding, ...]:
    """Every value beside the control that it is best read against; the table has the others."""
    own, other, fade = (estimates[name] for name in ("generator", "untrained", "cross-fade"))
    labels = {
        "step_pixels": ("distance of neighboring images, pixels", SHARE),
        "step_features": ("distance of neighboring images, D's features", ""),
        "path_length": ("path length (d² / ε²), D's features", ""),
        "sharpest_pixels": ("fastest change / median change, pixels", TIMES),
        "sharpest_features": ("fastest change / median change, D's features", TIMES),
        "sharp_segments": (f"segments that jump (fastest change ≥ {transitions.SHARP:g}×)", SHARE),
    }

    def finding(key: str, label: str, unit: str) -> Finding:
        if key.startswith("sharp"):
            beside = other[key], "untrained G"
            return Finding(key, label, own[key], *beside, unit=unit, better="down", headline=True)
        return Finding(key, label, own[key], fade[key], "cross-fade", unit=unit)

    return tuple(finding(key, *labeled) for key, labeled in labels.items())


def _verdict(measured: Mapping[str, transitions.Measures], diversity: float | None) -> str:
    """Whether the changes are even or jump, beside an untrained generator and a cross-fade."""
    found = measured["generator"]
    kind = transitions.classify_transition(found)
    if kind == "still":
        return (
            "no change: the image is the same all along; the generator has collapsed, or the points "
            "are one"
        )
    doubt = _doubt(diversity)
    names = ("generator", "untrained", "cross-fade")
    own, other, fade = (_estimates(measured[name])["sharpest_features"] for name in names)
    beside = f"{other.value:.3g} in an untrained generator, {fade.value:.3g} in a cross-fade"
    moving = counted(int(found.moving.sum()), "segment")
    if kind == "smooth":
        than = {-1: "steadier than", 0: UNCLEAR, 1: "less steady than"}[compare(own, other)]
        return (
            f"{doubt}no jump in {moving}: the fastest change is {own.value:.3g} times the median, "
            f"{beside} ({than} the untrained one)"
        )
    rows = np.flatnonzero(found.sharp)
    untrained_rows = int(measured["untrained"].sharp.sum())
    return (
        f"{doubt}jumps in {len(rows)} of {moving} (rows {', '.join(map(str, rows))}, counted from 0), in "
        f"{untrained_rows} of an untrained generator; look at them: jumps on most rows mean memorization"
    )


def _doubt(diversity: float | None) -> str:
    """What stands before the verdict where there is little to walk between."""
    if diversity is None or diversity >= ALIKE:
        return ""
    return (
        f"the points look alike (they differ {diversity:.2g} times as much as training images), so this walk "
        "says little; train longer: "
    )


def _estimates(measures: transitions.Measures) -> dict[str, Estimate]:
    """Means over segments, and a share; segments that follow each other share a point."""
    found = {
        "step_pixels": chain_mean(measures.step[:, 0]),
        "step_features": chain_mean(measures.step[:, 1]),
        "path_length": chain_mean(measures.path_length),
    }
    moving = measures.moving
    if not moving.any():
        keys = ("sharpest_pixels", "sharpest_features", "sharp_segments")
        return found | dict.fromkeys(keys, Estimate(np.nan, n=0))
    return found | {
        "sharpest_pixels": chain_mean(measures.sharpest[moving, 0]),
        "sharpest_features": chain_mean(measures.sharpest[moving, 1]),
        "sharp_segments": chain_share(int(measures.sharp.sum()), int(moving.sum())),
    }

"""Features of labeled images as files: a table for other programs, and a map to look at."""

import csv
import io
from pathlib import Path

import numpy as np
import torch

from dcgan_cli.analysis.embedding import embed
from dcgan_cli.analysis.features import feature_blocks, feature_table, layer_spans
from dcgan_cli.analysis.probe_svm.baselines import Settings
from dcgan_cli.cli.console import Console
from dcgan_cli.cli.outputs import rows_file
from dcgan_cli.cli.probe_svm.labeled_images import SPLIT, Task
from dcgan_cli.files import atomic_write, write_text
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.render.lines import ending_of
from dcgan_cli.render.scatter import encode_scatter
from dcgan_cli.runtime import numpy_stream
from dcgan_cli.wording import counted

MAP_IMAGES = 5000
"""Images on a map at most, drawn at random."""


def write_features(
    console: Console, path: Path, discriminator: Discriminator, task: Task, settings: Settings
) -> None:
    """Write the features of all training, then all test images as float32 [N, F].

    Block by block, whatever their number. The `.csv` beside it has a line for each row: the file,
    its class, and whether it is a training or a test image. Raises StorageError.
    """
    width = layer_spans(discriminator.config, settings.grid, settings.layers)[-1].stop
    count = len(task.train.rows) + len(task.test.rows)
    table = io.StringIO()
    lines = csv.writer(table, lineterminator="\n")
    lines.writerow(("file", task.column, SPLIT))
    with atomic_write(path) as file, console.progress("writing features") as bar:
        shape = {"descr": "<f4", "fortran_order": False, "shape": (count, width)}
        np.lib.format.write_array_header_1_0(file, shape)
        done = 0
        for part, side, source, origins in zip(
            ("train", "test"), (task.train, task.test), task.sources, task.origins, strict=True
        ):
            for origin, code in zip(origins.tolist(), side.codes.tolist(), strict=True):
                lines.writerow((source.name(origin), task.classes[code], part))
            for block in feature_blocks(
                discriminator, side.images, side.rows, grid=settings.grid, layers=settings.layers
            ):
                file.write(block.numpy().astype("<f4", copy=False).tobytes())
                done += len(block)
                bar(done, count)
    write_text(rows_file(path), table.getvalue())


def draw_map(
    console: Console, discriminator: Discriminator, task: Task, settings: Settings, out: Path
) -> bytes:
    """A drawing for `out` of the features in the plane, at most MAP_IMAGES of them, colored by class."""
    count = len(task.train.rows) + len(task.test.rows)
    picks = np.sort(numpy_stream(settings.seed, "map").permutation(count)[:MAP_IMAGES])
    border = len(task.train.rows)
    parts = (task.train, picks[picks < border]), (task.test, picks[picks >= border] - border)
    with console.progress("features of the map") as bar:
        tables = [
            feature_table(
                discriminator,
                side.images,
                side.rows[chosen],
                grid=settings.grid,
                layers=settings.layers,
                progress=bar,
            )
            for side, chosen in parts
        ]
    with console.progress("laying out the map"):
        points = embed(torch.cat(tables), settings.seed)
    codes = np.concatenate([side.codes[chosen] for side, chosen in parts])
    title = f"UMAP of D's features, {counted(len(points), 'image')}, by {task.column}"
    return encode_scatter(points, codes, task.classes, title, ending_of(out))

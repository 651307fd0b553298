"""The samples that boxes are drawn on: by hand, on the page, or by a detector; for `drop-filters`."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from dcgan_cli.analysis.drop_filters.object_detector import ObjectDetector
from dcgan_cli.analysis.sampling import Sampler
from dcgan_cli.checkpoint.format import Checkpoint
from dcgan_cli.cli.console import Console
from dcgan_cli.cli.drop_filters.detector import check_kind, train_detector
from dcgan_cli.cli.results import say_done
from dcgan_cli.data.box_files import SampleBoxes, write_boxes
from dcgan_cli.errors import CheckpointError, SourceError, UsageError
from dcgan_cli.model.latents import Latents, seeded_latents
from dcgan_cli.render.annotate import annotation_page
from dcgan_cli.wording import counted


@dataclass(frozen=True)
class Samples:
    """The samples 0 … `count` − 1 of `seed`."""

    sampler: Sampler
    seed: int
    count: int

    @cached_property
    def latents(self) -> Latents:
        """Their latent vectors, [count, z_dim]."""
        config = self.sampler.generator.config
        return seeded_latents(self.seed, self.count, config.z_dim, config.z_dist)

    def check(self, path: Path, drawn: SampleBoxes) -> None:
        """Refuse boxes, `drawn` in the file at `path`, that are not on these samples.

        Raises SourceError where there are none, CheckpointError or UsageError where they are about
        other samples.
        """
        own = self.sampler
        if drawn.checkpoint is not None and drawn.checkpoint != own.checkpoint:
            raise CheckpointError(
                f"{path}: boxes on samples of model {drawn.checkpoint}, this is {own.checkpoint}; "
                "name the checkpoint that drew them"
            )
        if drawn.seed is not None and drawn.seed != self.seed:
            raise UsageError(f"{path}: boxes on samples of another seed; give --seed {drawn.seed}")
        if drawn.bn is not None and drawn.bn != own.bn:
            raise UsageError(f"{path}: boxes on samples drawn otherwise; give --bn {drawn.bn}")
        if own.has_average and drawn.average not in (None, own.average):
            mend = "leave out --no-ema" if drawn.average else "give --no-ema"
            raise UsageError(f"{path}: boxes on samples drawn with other weights; {mend}")
        if not len(drawn.boxes.image):
            raise SourceError(
                f"{path}: holds no box; draw some on the page of dcgan drop-filters --annotate"
            )

    def kind(self, asked: str | None, path: Path | None, drawn: SampleBoxes | None) -> str:
        """The object that is meant; empty where neither `asked` nor boxes say it.

        Raises UsageError where boxes at `path` are not of what was asked, or of several kinds.
        """
        if drawn is None:
            return asked or ""
        kinds = sorted(set(drawn.boxes.kind.tolist()))
        if asked is not None:
            check_kind(asked, kinds, str(path))
            return asked
        if len(kinds) > 1:
            raise UsageError(f"{path}: boxes of {', '.join(kinds)}; say which with --find")
        return kinds[0]

    def predict(self, console: Console, detector: ObjectDetector, kind: str) -> SampleBoxes:
        """Boxes where `detector` sees `kind` in these samples."""
        sampler = self.sampler
        boxes = detector.boxes(detector.score(sampler.normalized(self.latents)), kind)
        having = len(set(boxes.image.tolist()))
        console.note(
            f"{kind}: found in {having} of {counted(self.count, 'sample')}, {counted(len(boxes.image), 'box')}"
        )
        return SampleBoxes(boxes, sampler.checkpoint, self.seed, sampler.bn, sampler.average)

    def train_detector(
        self,
        console: Console,
        drawn: SampleBoxes,
        model: Checkpoint,
        kind: str,
        device: torch.device,
    ) -> ObjectDetector:
        """A detector that learns from boxes on these samples. Raises DcganError as `train_detector` does."""
        detector = train_detector(
            console, self.sampler.images(self.latents), drawn.boxes, model, kind, device, self.seed
        )
        console.note(
            f"whether a {kind} is there afterwards, an object detector says trained on these boxes; "
            "--from SOURCE makes it learn from real images"
        )
        return detector


def write_page(
    console: Console, path: Path, samples: Samples, kind: str, drawn: SampleBoxes | None, json: bool
) -> None:
    """Write the page on which to draw boxes, with those there are already. Raises StorageError."""
    sampler = samples.sampler
    page = annotation_page(
        sampler.images(samples.latents),
        checkpoint=sampler.checkpoint,
        seed=samples.seed,
        bn=sampler.bn,
        average=sampler.average,
        kind=kind,
        boxes=None if drawn is None else write_boxes(drawn),
    )
    console.write_result(path, page)
    console.note(
        f"{path}: open it in a browser, draw, save; then dcgan drop-filters --boxes boxes.json"
    )
    say_done(
        console,
        "Annotation page",
        str(path),
        json=json,
        checkpoint=sampler.checkpoint,
        seed=samples.seed,
        samples=samples.count,
        object=kind,
        boxes=0 if drawn is None else len(drawn.boxes.image),
        file=str(path),
    )

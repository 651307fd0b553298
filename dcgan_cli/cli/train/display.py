"""What a person sees of a training run: the plan, a live table or plain lines, and the images."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from rich.live import Live
from rich.table import Table as RichTable

from dcgan_cli.cli.console import Console
from dcgan_cli.cli.train.slowdown import Slowdown
from dcgan_cli.errors import Interrupted
from dcgan_cli.render.animation import MAX_FRAMES, encode_gif, thinned
from dcgan_cli.render.curves import encode_curves
from dcgan_cli.render.png import encode_grid, shown_size
from dcgan_cli.render.terminal import plain_table
from dcgan_cli.report import DrawSettings, ImageGrid, Images, Provenance
from dcgan_cli.training.events import (
    DiagnosisEvent,
    EpochDone,
    Evaluated,
    Event,
    Finished,
    GridAnnounced,
    Length,
    ProgressEvent,
    RecordingFailed,
)
from dcgan_cli.training.mark import BOARD_SUFFIX
from dcgan_cli.training.plan import TrainingPlan, recognizable_steps
from dcgan_cli.training.recording import recording_failed_message
from dcgan_cli.training.run_folder import CURVES, FILM, LAST_GRID, RunFolder
from dcgan_cli.training.trainer import Trainer
from dcgan_cli.wording import counted

ESTIMATE_SECONDS = 2.0
"""Seconds of training by which its speed is known well enough to say how long it takes."""

LINE_SECONDS = 5.0
"""A plain line this often where stderr is no terminal."""


@dataclass(eq=False)
class Display:
    """Shows one run and draws its images, `drawn` in that way, into its folder."""

    console: Console
    folder: RunFolder
    preset: str
    tensorboard: bool
    drawn: DrawSettings
    aspect: float = 1.0
    verbose: bool = False

    def __post_init__(self) -> None:
        self.title = f"{self.folder.path.name} ({self.preset})"
        self.board = None
        if self.tensorboard:
            from torch.utils.tensorboard.writer import SummaryWriter  # an extra

            self.board = SummaryWriter(str(self.folder.board()), filename_suffix=BOARD_SUFFIX)
        self._live: Live | None = None
        self._line_shown_at = 0.0
        self._began = time.monotonic()
        self._images_per_step = 0
        self._diagnostics = "good"
        self._images = _where(self.folder)
        self._slowdown = Slowdown()

    def plan(self, plan: TrainingPlan, trainer: Trainer, length: Length) -> None:
        """Say what is about to be trained, how long, and what would make it faster."""
        if self.console.quiet:
            return
        self.console.show(plain_table(plan.network))
        settings, recipe = trainer.settings, trainer.recipe
        self.console.note(
            f"{plan.parameters:,} parameters, about {plan.memory / 2**20:,.0f} MiB; "
            f"{settings.device}, {trainer.about['training']['precision']}, "
            f"threads {trainer.about['training']['threads']}, seed {settings.seed}"
        )
        self.console.note(
            f"{counted(len(trainer.batches.images), 'image')} in batches of {recipe.batch_size}: "
            f"{counted(trainer.steps_per_epoch, 'step')} an epoch"
        )
        self.console.note(f"{_length(trainer, length)}; Ctrl-C saves and leaves")
        for hint in plan.hints:
            self.console.note(f"faster with: {hint}")
        self._images_per_step = settings.d_steps * recipe.batch_size
        self._batch_size = recipe.batch_size

    def follow(self, events: Iterator[Event]) -> Finished:
        """Show `events` as they come; returns the last one."""
        self._began = time.monotonic()
        if self.console.lively:
            with Live(console=self.console.rich, refresh_per_second=4) as self._live:
                return self._follow(events)
        return self._follow(events)

    def _follow(self, events: Iterator[Event]) -> Finished:
        for event in events:
            match event:
                case ProgressEvent():
                    self._progress(event)
                case EpochDone():
                    self._epoch(event)
                case DiagnosisEvent():
                    self._diagnostics = f"{event.diagnosis.name}: {event.diagnosis.sign}"
                    self.console.note(
                        f"step {event.step:,}: {self._diagnostics}; {event.action}; "
                        f"what may help: {event.diagnosis.remedy}"
                    )
                case Evaluated():
                    self._evaluated(event)
                case GridAnnounced():
                    self.console.note(
                        f"step {event.step:,}: saved; drawing the image grid, about "
                        f"{_duration(event.seconds)}"
                    )
                case RecordingFailed():
                    self.console.note(recording_failed_message(event.fault))
                case Finished():
                    return event
        raise AssertionError("a run ends with Finished")

    def _progress(self, event: ProgressEvent) -> None:
        if self.board is not None:
            for name, value in event.metrics.items():
                self.board.add_scalar(name, value, event.step)
            self.board.add_scalar("images_per_second", event.images_per_second, event.step)
        if self._images_per_step and time.monotonic() - self._began >= ESTIMATE_SECONDS:
            first = recognizable_steps(self._batch_size)
            self.console.note(_estimate(event, self._images_per_step, first))
            self._images_per_step = 0  # said once
        if self._live is not None:
            rows = _rows(event, self._images, self._diagnostics, self.verbose)
            self._live.update(_live_table(self.title, rows))
        elif time.monotonic() - self._line_shown_at >= LINE_SECONDS:
            self._line_shown_at = time.monotonic()
            self.console.note(_line(event, self._images, self.verbose))
        if note := self._slowdown.note(event):
            self.console.note(note)

    def _evaluated(self, event: Evaluated) -> None:
        kid = event.kid
        best = f", the best so far: {self.folder.best}" if event.is_best else ""
        self.console.note(
            f"epoch {event.epoch:,}: KID {kid.value:.3g} [{kid.low:.3g}, {kid.high:.3g}]{best}"
        )
        if self.board is not None:
            self.board.add_scalar("kid", kid.value, event.step)

    def _epoch(self, event: EpochDone) -> None:
        if event.images is None:
            return
        self._write_samples(self.folder.grid(event.epoch), event.images, event)
        self._images = _where(self.folder)
        if self.board is not None:
            self.board.add_image("samples", _grid(event.images, self.aspect), event.epoch)

    def finish(self, event: Finished, trainer: Trainer) -> str:
        """Draw what a finished run leaves: its last samples, their animation, its curves.

        A signal cuts this short: everything that matters is saved already. Returns the outcome in
        one line.
        """
        if self.board is not None:
            self.board.close()
        seen = f"see {self.folder.path / LAST_GRID}"
        try:
            with trainer.interruptible():
                if event.images is None:
                    raise Interrupted(event.signal or 0)
                self._write_samples(LAST_GRID, event.images, event)
                self._write_film()
                self._write_curves()
        except Interrupted:
            seen = "the last image grid, the film and the curves were left out"
        stopped = event.signal or trainer.signal
        return (
            f"{'stopped' if stopped else 'done'} at step {event.step:,}, epoch "
            f"{event.epoch:.2f}, after {_duration(event.seconds)}; {seen}"
        )

    def _write_film(self) -> None:
        """Animate the image grids of the epochs, evenly thinned, and the last one."""
        grids = self._read(thinned(self.folder.grids(), MAX_FRAMES - 1))
        last = Image.open(self.folder.path / LAST_GRID)
        self.folder.write(FILM, encode_gif([*(image for _, image in grids), last]))

    def _write_curves(self) -> None:
        """Draw the metrics, and samples of the first epoch, of one in the middle, and of the last."""
        grids = self.folder.grids()
        chosen = [grids[0], grids[len(grids) // 2], grids[-1]] if len(grids) > 2 else grids
        if metrics := self.folder.read_metrics():
            moments = [
                (f"epoch {int(path.stem.rpartition('-')[2])}", image)
                for path, image in self._read(chosen)
            ]
            self.folder.write(CURVES, encode_curves(metrics, self.title, moments))

    def _write_samples(self, name: str, images: Images, event: EpochDone | Finished) -> None:
        provenance = Provenance(event.checkpoint, "train", None, event.latents, self.drawn)
        grid = ImageGrid("samples", images, 8, provenance=provenance, aspect=self.aspect)
        self.folder.write(name, encode_grid(grid))

    def _read(self, grids: Sequence[Path]) -> list[tuple[Path, Image.Image]]:
        """Image grids of the run; one that cannot be read is left out, and said."""
        frames: list[tuple[Path, Image.Image]] = []
        for path in grids:
            try:
                with Image.open(path) as grid:
                    grid.load()
                frames.append((path, grid))
            except (OSError, ValueError, SyntaxError) as error:
                self.console.note(
                    f"{path}: cannot be read and is left out of the animation: {error}"
                )
        return frames


def _length(trainer: Trainer, length: Length) -> str:
    """How long a run will be, in steps and epochs or by the clock."""
    parts: list[str] = []
    if (last := trainer.last_step(length)) is not None:
        epochs = last / trainer.steps_per_epoch
        whole = counted(round(epochs), "epoch") if epochs >= 1 else "part of an epoch"
        parts = [counted(last, "step"), whole]
    if length.minutes is not None:
        parts.append(f"{'at most ' if parts else ''}{_duration(60 * length.minutes)}")
    return ", ".join(parts)


def _estimate(event: ProgressEvent, images_per_step: int, recognizable: int) -> str:
    """How fast the first steps were, and from when on, step `recognizable`, samples are worth a look."""
    left = event.seconds_left
    text = f"{event.images_per_second:,.0f} images/s: {_duration(left)} to go"
    first = (recognizable - event.step) * images_per_step / event.images_per_second
    if first > 60 and (left is None or first < left):
        text += f", first recognizable images after about {_duration(first)}"
    return text


def _grid(images: Images, aspect: float = 1.0) -> torch.Tensor:
    """Images uint8 [N, H, W, C] as one grid for TensorBoard, uint8 [3, rows, columns]: 8 to a row."""
    from torchvision.transforms.v2.functional import resize  # a second to import
    from torchvision.utils import make_grid

    tiles = torch.from_numpy(images).permute(0, 3, 1, 2)
    if aspect != 1:
        height, width = images.shape[1:3]
        columns, rows = shown_size(width, height, aspect)
        tiles = resize(tiles, [rows, columns])
    return make_grid(tiles, nrow=8, pad_value=255)


def _where(folder: RunFolder) -> str:
    """Where the newest image grid is, or where the first will be."""
    grids = folder.grids()
    return str(grids[-1]) if grids else f"{folder.path / folder.grid(1)} after epoch 1"


def _live_table(title: str, rows: dict[str, str]) -> RichTable:
    table = RichTable(title=title, title_justify="left", show_header=False)
    table.add_column(style="dim")
    table.add_column(min_width=44)
    for name, text in rows.items():
        table.add_row(name, text)
    return table


def _rows(event: ProgressEvent, images: str, diagnostics: str, verbose: bool) -> dict[str, str]:
    """What a terminal shows of a run that goes on: name and text of each row."""
    rows = {
        "step": f"{_step(event)}, epoch {event.epoch:.2f}",
        "time": f"{_duration(event.seconds)}, {_left(event)}",
        "images": images,
    }
    if verbose:
        rows |= {"speed": f"{event.images_per_second:,.0f} images/s", **_losses(event.metrics)}
    return {**rows, "diagnostics": diagnostics}


def _line(event: ProgressEvent, images: str, verbose: bool) -> str:
    """The same in a line, for what is no terminal."""
    line = f"{_step(event)}, {_left(event)}; see {images}"
    if not verbose:
        return line
    losses = ", ".join(_losses(event.metrics).values())
    return f"{line}; epoch {event.epoch:.2f}, {event.images_per_second:,.0f} images/s, {losses}"


def _losses(metrics: dict[str, float]) -> dict[str, str]:
    return {
        "loss": f"D {metrics['d_loss']:.3f}, G {metrics['g_loss']:.3f}",
        "D's output": f"D(x) {metrics['d_real']:.3f}, "
        f"D(G(z)) {metrics['d_fake']:.3f} / {metrics['d_fake_after']:.3f}",
    }


def _step(event: ProgressEvent) -> str:
    of = "" if event.steps is None else f" of {event.steps:,}"
    return f"step {event.step:,}{of}"


def _left(event: ProgressEvent) -> str:
    return "no end set" if event.seconds_left is None else f"{_duration(event.seconds_left)} to go"


def _duration(seconds: float | None) -> str:
    """Seconds as 42 s, 3:05 min or 2:07 h."""
    if seconds is None or seconds == float("inf"):
        return "open end"
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"

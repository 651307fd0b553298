"""One training session: from typed options to a Trainer and back to files and words."""

import os
import signal
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, cast, get_args

from dcgan_cli.checkpoint.format import Checkpoint, load
from dcgan_cli.cli.console import Console
from dcgan_cli.cli.pictures import Request, look, prepare_pictures, remember
from dcgan_cli.cli.training_display import Display
from dcgan_cli.data.batches import RANDOM_CROP_MARGIN, Batches
from dcgan_cli.data.streaming import StreamedPictures
from dcgan_cli.errors import UsageError
from dcgan_cli.model.config import PRESETS, ModelConfig, Recipe, with_options
from dcgan_cli.model.sizes import largest_size
from dcgan_cli.report import Report
from dcgan_cli.runtime import choose_device, choose_precision, precision_name, use_threads
from dcgan_cli.training.events import Finished, Length, Policy
from dcgan_cli.training.losses import choose_loss
from dcgan_cli.training.plan import make_plan
from dcgan_cli.training.run import RunFolder, check_folder
from dcgan_cli.training.step import StepSettings
from dcgan_cli.training.trainer import Trainer

if TYPE_CHECKING:
    from dcgan_cli.data.survey import Survey

DEFAULT_LOSS = "non-saturating"

DEFAULT_SIZE = 64
"""The paper's side; smaller pictures are trained at the largest allowed size they fill."""


@dataclass
class Session:
    """What `dcgan train` was asked for. None means: not asked."""

    console: Console
    request: Request
    run: str | None
    out: Path
    resume: bool
    overwrite: bool
    preset: str | None
    loss: str | None
    d_steps: int | None
    ema: float | None
    seed: int
    device: str
    precision: str
    threads: int | None
    epochs: float | None
    steps: int | None
    minutes: float | None
    keep: str
    save_minutes: float
    policy: str
    tensorboard: bool
    json: bool
    overrides: dict[str, Any] = field(default_factory=dict[str, Any])

    def train(self) -> int:
        """Train until the end that was asked for or a signal; returns the exit code."""
        self._check_options()
        path = self._path()
        with RunFolder(path) as folder:  # from here on nobody else writes there
            check_folder(path, self.resume, self.overwrite)
            before = self._earlier(folder.last) if self.resume else None
            trainer, display = self._begin(folder, before)
            try:
                with _listening(trainer):
                    end = display.follow(trainer.run(self._length(trainer.recipe)))
                display.finish(end)
            finally:
                trainer.batches.close()
        return self._conclude(end, folder)

    def _begin(self, folder: RunFolder, before: Checkpoint | None) -> tuple[Trainer, Display]:
        """Everything up to the first step, said as it is found out."""
        threads = use_threads(self.threads)
        source, survey = look(self.console, self.request)
        model, recipe = self._networks(before, survey)
        settings = self._settings(before, recipe)
        side = round(model.size * (RANDOM_CROP_MARGIN if recipe.crop == "random" else 1))
        pictures = prepare_pictures(self.console, source, self.request, side, model.channels)
        data = remember(source, self.request, pictures)
        if before is not None:
            _same_pictures(before, data)
        about = {"data": data, "training": self._about(before, settings, threads)}
        trainer = Trainer(
            model,
            recipe,
            settings,
            Batches(
                pictures,
                size=model.size,
                batch_size=recipe.batch_size,
                seed=settings.seed,
                flip=recipe.flip,
                device=settings.device,
                look_ahead=settings.device.type != "cpu" or isinstance(pictures, StreamedPictures),
            ),
            folder,
            about,
            policy=self._policy(),
            keep=self._keep(),
            save_minutes=self.save_minutes,
        )
        display = Display(self.console, folder, about["training"]["preset"], self.tensorboard)
        if before is None:
            folder.clear()
        else:
            trainer.restore(before)
            self.console.note(f"resuming at step {trainer.step:,}, epoch {trainer.epoch:.2f}")
        display.plan(make_plan(model, recipe, settings), trainer, self._length(recipe))
        folder.write_config({"model": model.to_dict(), "recipe": recipe.to_dict(), **about})
        return trainer, display

    def _conclude(self, end: Finished, folder: RunFolder) -> int:
        if self.json:
            from dcgan_cli.render.document import to_json

            facts = {
                "run": str(folder.path),
                "file": str(folder.last),
                "checkpoint": end.checkpoint,
                "step": end.step,
                "epoch": end.epoch,
                "seconds": end.seconds,
                "interrupted": end.signal is not None,
            }
            self.console.result(to_json(Report("Training", facts)))
        else:
            self.console.result(str(folder.last))
        return 0 if end.signal is None else 128 + end.signal

    def _path(self) -> Path:
        if self.run is not None:
            name = self.run
        elif self.request.location:
            place = self.request.location.partition("#")[0].rstrip("/")
            demo = place.startswith("demo:")
            name = place[5:].replace(":", "-") if demo else Path(place).stem
        else:
            raise UsageError("missing SOURCE: a folder of pictures, an archive, or demo:faces")
        if not name or Path(name).name != name or name.startswith("."):
            raise UsageError(f"--run {name}: expected a name for a folder in {self.out}/")
        return self.out / name

    def _check_options(self) -> None:
        """Raise UsageError for a value that cannot be meant, before anything long begins."""
        self._keep()
        self._policy()
        with_options(PRESETS[self._preset()], self.overrides)
        choose_precision(self.precision, choose_device(self.device))
        choose_loss(self.loss or DEFAULT_LOSS)
        self.request.colour()

    def _earlier(self, last: Path) -> Checkpoint:
        """The state to go on from; its source is taken where none was typed."""
        before = load(last)
        data = before.data
        self.request = replace(
            self.request,
            location=self.request.location or data["location"],
            labels=self.request.labels or (Path(data["labels"]) if data["labels"] else None),
            limit=self.request.limit or data["limit"],
            background=data["background"],
        )
        return before

    def _networks(self, before: Checkpoint | None, survey: "Survey") -> tuple[ModelConfig, Recipe]:
        """Networks and recipe: of the run that goes on, or of the preset and the options."""
        if before is not None:
            model, recipe = before.model, Recipe(**before.recipe)
            held = {**model.to_dict(), **recipe.to_dict()}
            _refuse_changes(held, self.overrides)
            return model, recipe
        preset = self._preset()
        self.console.note(f"preset {preset}: {PRESETS[preset].about}")
        options = {
            "size": largest_size(min(DEFAULT_SIZE, int(survey.short_side))),
            "channels": survey.channels,
            "d_norm": "layer" if self.loss == "wgan-gp" else None,
            **self.overrides,
        }
        return with_options(PRESETS[preset], options)

    def _preset(self) -> str:
        if self.preset is None:
            return "small" if choose_device(self.device).type == "cpu" else "paper"
        if self.preset not in PRESETS:
            raise UsageError(f"--preset {self.preset}: expected one of {', '.join(PRESETS)}")
        return self.preset

    def _settings(self, before: Checkpoint | None, recipe: Recipe) -> StepSettings:
        held = {} if before is None else before.training
        if before is not None:
            asked = {"loss": self.loss, "d_steps": self.d_steps, "ema": self.ema}
            _refuse_changes(
                held, {name: value for name, value in asked.items() if value is not None}
            )
        loss = choose_loss(held.get("loss") or self.loss or DEFAULT_LOSS)
        device = choose_device(self.device)
        precision = self.precision
        if before is not None and precision == "auto":
            precision = held["precision"]
        return StepSettings(
            loss=loss,
            d_steps=held.get("d_steps") or self.d_steps or loss.d_steps,
            ema=held["ema"] if before is not None else self.ema,
            seed=held.get("seed", self.seed),
            device=device,
            precision=choose_precision(precision, device),
        )

    def _about(
        self, before: Checkpoint | None, settings: StepSettings, threads: int
    ) -> dict[str, Any]:
        import torch

        from dcgan_cli import __version__

        held = {} if before is None else before.training
        return {
            "preset": held.get("preset") or self._preset(),
            "loss": held.get("loss") or self.loss or DEFAULT_LOSS,
            "d_steps": settings.d_steps,
            "ema": settings.ema,
            "seed": settings.seed,
            "precision": precision_name(settings.precision),
            "device": str(settings.device),
            "threads": threads,
            "torch": torch.__version__,
            "dcgan": __version__,
        }

    def _length(self, recipe: Recipe) -> Length:
        if self.epochs is None and self.steps is None and self.minutes is None:
            return Length(epochs=recipe.epochs)
        return Length(self.epochs, self.steps, self.minutes)

    def _keep(self) -> int | None:
        if self.keep == "all":
            return None
        if not self.keep.isdecimal():
            raise UsageError(f"--keep {self.keep}: expected a number or all")
        return int(self.keep)

    def _policy(self) -> Policy:
        if self.policy not in get_args(Policy):
            allowed = ", ".join(get_args(Policy))
            raise UsageError(f"--on-unhealthy {self.policy}: expected one of {allowed}")
        return cast(Policy, self.policy)


def _refuse_changes(held: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Raise UsageError where an option differs from what the resumed run was begun with."""
    for name, value in given.items():
        if held[name] != value:
            option = f"--{name.replace('_', '-')}"
            raise UsageError(
                f"{option} {value}: the run was begun with {held[name]}, and a resumed run keeps "
                f"it; leave {option} out, or begin another with --run NAME"
            )


def _same_pictures(before: Checkpoint, data: dict[str, Any]) -> None:
    """Raise UsageError where the pictures are not those that the run was trained on."""
    if before.data["pictures"] != data["pictures"]:
        raise UsageError(
            f"{data['location']} now gives {data['pictures']:,} pictures, the run was trained on "
            f"{before.data['pictures']:,}; restore them, or begin another with --run NAME"
        )


@contextmanager
def _listening(trainer: Trainer) -> Generator[None]:
    """Ctrl-C and SIGTERM ask the trainer to save and end; a second one leaves at once."""

    def handle(number: int, _: FrameType | None) -> None:
        if trainer.signal is not None:
            os._exit(128 + number)
        trainer.request_stop(number)
        # print is not for signal handlers: it may have been interrupted itself
        os.write(2, b"saving after this step; once more leaves at once\n")

    before = {n: signal.signal(n, handle) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

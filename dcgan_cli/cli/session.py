"""One training session: from typed options to a Trainer and back to files and words."""

import os
from collections import deque
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from dcgan_cli.checkpoint.format import Checkpoint
from dcgan_cli.cli.console import Console
from dcgan_cli.cli.listening import listening
from dcgan_cli.cli.pictures import Request, look, prepare_pictures, remember
from dcgan_cli.cli.results import conclude
from dcgan_cli.cli.resuming import (
    as_before,
    earlier_state,
    refuse_changes,
    refuse_other_pictures,
)
from dcgan_cli.cli.train_checks import keep_of, policy_of, run_path
from dcgan_cli.cli.training_display import Display
from dcgan_cli.cores import allowed_cores
from dcgan_cli.data.batches import RANDOM_CROP_MARGIN, Batches
from dcgan_cli.data.resident import make_resident
from dcgan_cli.data.streaming import StreamedPictures
from dcgan_cli.errors import SourceError, UsageError
from dcgan_cli.model.config import PRESETS, ModelConfig, Recipe, with_options
from dcgan_cli.model.sizes import largest_size
from dcgan_cli.report import Report
from dcgan_cli.runtime import choose_device, choose_precision, precision_name, use_threads
from dcgan_cli.training.distributed import World, was_restarted
from dcgan_cli.training.events import Finished, Length
from dcgan_cli.training.losses import choose_loss
from dcgan_cli.training.plan import make_plan
from dcgan_cli.training.precision import fault_of_bfloat16
from dcgan_cli.training.run import OthersFolder, RunFolder
from dcgan_cli.training.step import StepSettings, share_of
from dcgan_cli.training.trainer import Trainer
from dcgan_cli.wording import counted

if TYPE_CHECKING:
    import torch

    from dcgan_cli.data.pictures import PictureSet
    from dcgan_cli.data.survey import Survey

DEFAULT_LOSS = "non-saturating"

DEFAULT_SIZE = 64
"""The paper's side; smaller pictures are trained at the largest allowed size they fill."""


@dataclass
class Session:
    """What `dcgan train` was asked for. None means: not asked."""

    console: Console
    world: World
    request: Request
    run: str | None
    out: Path
    resume: bool
    overwrite: bool
    preset: str | None
    loss: str | None
    d_steps: int | None
    ema: float | None
    sync_bn: bool | None
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
    profile: bool
    json: bool
    overrides: dict[str, Any] = field(default_factory=dict[str, Any])

    def train(self) -> int:
        """Train until the end that was asked for or a signal; returns the exit code."""
        with self.world.working():
            self._check_options()
            path = self._path()
            kind = RunFolder if self.world.leads else OthersFolder
            with kind(path) as folder:  # from here on nobody else writes there
                before = self.world.from_first(
                    lambda: earlier_state(folder, self.resume, self.overwrite)
                )
                end, trainer = self._train(folder, before)
        return self._conclude(end, folder, trainer)

    def time_steps(self) -> None:
        """Say where the time of a step of this run would go; writes no file."""
        from dcgan_cli.training.profile import profile_steps

        with self.world.working():
            self._check_options()
            path = self._path()
            with OthersFolder(path) as folder:
                before = earlier_state(folder, True, False) if self.resume else None
                trainer, _ = self._begin(folder, before)
                try:
                    report = profile_steps(trainer)
                finally:
                    trainer.batches.close()
        if self.world.leads:
            conclude(self.console, report, out=None, json=self.json)

    def _train(self, folder: RunFolder, before: Checkpoint | None) -> tuple[Finished, Trainer]:
        trainer, display = self._begin(folder, before)
        events = trainer.run(self._length(trainer.recipe))
        try:
            with listening(trainer):
                if display is None:
                    return cast(Finished, deque(events, maxlen=1).pop()), trainer
                end = display.follow(events)
                display.finish(end, trainer)
            return replace(end, signal=end.signal or trainer.signal), trainer
        finally:
            trainer.batches.close()

    def _begin(
        self, folder: RunFolder, before: Checkpoint | None
    ) -> tuple[Trainer, Display | None]:
        """Everything up to the first step, said as it is found out; a display on rank 0 alone."""
        if before is not None:
            self.request = as_before(self.request, before)
        threads = self._threads(before)
        source, survey = look(self.console, self.request)
        model, recipe = self._networks(before, survey)
        asked = self._settings(before)
        settings = self._trusted(asked, model)
        share_of(recipe, settings)  # refuses what cannot be shared out, before anything is decoded
        self._say_how_shared(settings, recipe)
        side = round(model.size * (RANDOM_CROP_MARGIN if recipe.crop == "random" else 1))
        pictures = prepare_pictures(self.console, source, self.request, side, model.channels)
        data = remember(source, self.request, pictures)
        if before is not None:
            refuse_other_pictures(before, data)
        self._same_everywhere(data)
        self.world.begin(settings.device)
        about = {"data": data, "training": self._about(before, settings, threads)}
        trainer = Trainer(
            model,
            recipe,
            settings,
            self._batches(pictures, model, recipe, settings),
            folder,
            about,
            policy=policy_of(self.policy),
            keep=keep_of(self.keep),
            save_minutes=self.save_minutes,
        )
        name, display = about["training"]["preset"], None
        if self.world.leads and not self.profile:
            display = Display(self.console, folder, name, self.tensorboard)
        if before is None:
            folder.clear()
        else:
            trainer.restore(before)
            self.console.note(f"resuming at step {trainer.step:,}, epoch {trainer.epoch:.2f}")
        if not self.profile:
            lower = settings.precision is asked.precision
            plan = make_plan(model, recipe, settings, recommend_bf16=lower)
            if plan.fault is not None:
                trainer.updater.recorded = None
            trainer.grid_seconds = plan.seconds_per_grid
            if display is not None:
                display.plan(plan, trainer, self._length(recipe))
        folder.write_config({"model": model.to_dict(), "recipe": recipe.to_dict(), **about})
        return trainer, display

    def _batches(
        self, pictures: "PictureSet", model: ModelConfig, recipe: Recipe, settings: StepSettings
    ) -> Batches:
        """Minibatches, out of pictures that are all on the GPU where they fit there."""
        device = settings.device
        streamed = isinstance(pictures, StreamedPictures)
        resident = None if streamed else make_resident(pictures, device)
        if resident is not None:
            self.console.note(f"all pictures are on {device}: {resident.nbytes / 2**20:,.0f} MiB")
        return Batches(
            pictures,
            share=share_of(recipe, settings),
            size=model.size,
            batch_size=recipe.batch_size,
            seed=settings.seed,
            flip=recipe.flip,
            device=device,
            look_ahead=device.type != "cpu" or streamed,
            resident=resident,
        )

    def _say_how_shared(self, settings: StepSettings, recipe: Recipe) -> None:
        over = "the whole minibatch" if settings.sync_bn else "each process's share (--no-sync-bn)"
        if (ranks := self.world.size) > 1:
            self.console.note(
                f"{counted(ranks, 'process')} share minibatches of {recipe.batch_size} (--batch-size), "
                f"{recipe.batch_size // ranks} pictures each; batch norm over {over}"
            )

    def _same_everywhere(self, data: dict[str, Any]) -> None:
        """Raise SourceError where this rank's machine has other pictures than rank 0's."""
        count = self.world.from_first(lambda: data["pictures"])
        if data["pictures"] != count:
            raise SourceError(
                f"{data['location']} gives {data['pictures']:,} pictures here, {count:,} on rank 0; "
                "every machine needs the same"
            )

    def _conclude(self, end: Finished, folder: RunFolder, trainer: Trainer) -> int:
        if self.world.leads:
            self.console.result(_as_json(end, folder, trainer) if self.json else str(folder.last))
        return 0 if end.signal is None else 128 + end.signal

    def _path(self) -> Path:
        return run_path(self.run, self.out, self.request.location)

    def _check_options(self) -> None:
        """Raise UsageError for a value that cannot be meant, before anything long begins."""
        keep_of(self.keep)
        policy_of(self.policy)
        with_options(PRESETS[self._preset()], self.overrides)
        choose_precision(self.precision, self._device())
        choose_loss(self.loss or DEFAULT_LOSS)
        self.request.colour()

    def _device(self) -> "torch.device":
        return choose_device(self.device, self.world.local_rank)

    def _networks(self, before: Checkpoint | None, survey: "Survey") -> tuple[ModelConfig, Recipe]:
        """Networks and recipe: of the run that goes on, or of the preset and the options."""
        if before is not None:
            model, recipe = before.model, Recipe(**before.recipe)
            held = {**model.to_dict(), **recipe.to_dict()}
            refuse_changes(held, self.overrides)
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
            return "small" if self._device().type == "cpu" else "paper"
        if self.preset not in PRESETS:
            raise UsageError(f"--preset {self.preset}: expected one of {', '.join(PRESETS)}")
        return self.preset

    def _settings(self, before: Checkpoint | None) -> StepSettings:
        held: dict[str, Any] = {"sync_bn": True}
        held |= {} if before is None else before.training
        if before is not None:
            asked = ("loss", "d_steps", "ema", "sync_bn")
            refuse_changes(held, {name: getattr(self, name) for name in asked})
        loss = choose_loss(held.get("loss") or self.loss or DEFAULT_LOSS)
        device = self._device()
        precision = self.precision
        if before is not None and (precision == "auto" or was_restarted()):
            precision = held["precision"]
        return StepSettings(
            loss=loss,
            d_steps=held.get("d_steps") or self.d_steps or loss.d_steps,
            ema=held["ema"] if before is not None else self.ema,
            seed=held.get("seed", self.seed),
            device=device,
            precision=choose_precision(precision, device),
            world=self.world,
            sync_bn=held["sync_bn"] if self.sync_bn is None else self.sync_bn,
        )

    def _threads(self, before: Checkpoint | None) -> int:
        """Set PyTorch's threads: as typed, as the run has had so far, or as many as have a free core."""
        alone, chosen = self.world.size == 1, "OMP_NUM_THREADS" in os.environ
        held = before.training.get("threads") if before is not None and alone else None
        allowed = allowed_cores()
        if self.threads is None and not chosen and isinstance(held, int) and held <= allowed:
            return use_threads(held)
        threads = use_threads(self.threads, self.world.local_size, heed_others=True)
        if self.threads is None and not chosen and alone and threads < allowed:
            self.console.note(
                f"{threads} of {allowed} CPU threads, since other programs are busy; "
                "--threads N overrides"
            )
        return threads

    def _trusted(self, settings: StepSettings, model: ModelConfig) -> StepSettings:
        """`settings` in float32 where bfloat16 is wrong in this process or not used in another."""
        import torch

        low = settings.precision is torch.bfloat16
        fault = fault_of_bfloat16(model, settings.device) if low else None
        if not any(self.world.agree(not low or fault is not None)):
            return settings
        if low:
            self.console.note(f"bf16: {fault or 'another process cannot'}; training in fp32")
        return replace(settings, precision=torch.float32)

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
            "sync_bn": settings.sync_bn,
            "processes": settings.world.size,
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


def _as_json(end: Finished, folder: RunFolder, trainer: Trainer) -> str:
    """What a script wants to know of a run: docs/json.md."""
    from dcgan_cli.render.document import to_json

    data, training = trainer.about["data"], trainer.about["training"]
    facts = {
        "run": str(folder.path),
        "file": str(folder.last),
        "checkpoint": end.checkpoint,
        "step": end.step,
        "epoch": end.epoch,
        "seconds": end.seconds,
        "interrupted": end.signal is not None,
        "source": data["location"],
        "fingerprint": data["fingerprint"],
        "images": data["pictures"],
        "size": trainer.model.size,
        "channels": trainer.model.channels,
        "preset": training["preset"],
        "loss": training["loss"],
        "seed": training["seed"],
        "batch_size": trainer.recipe.batch_size,
        "device": training["device"],
        "precision": training["precision"],
        "d_loss": end.figures.get("d_loss"),
        "g_loss": end.figures.get("g_loss"),
        "diagnostics": [
            {
                "step": told.step,
                "name": told.ailment.name,
                "sign": told.ailment.sign,
                "action": told.action,
            }
            for told in trainer.told
        ],
    }
    return to_json(Report("Training", facts))

"""One training session: from typed options to a Trainer and back to files and words."""

import os
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch

from dcgan_cli import __version__
from dcgan_cli.analysis.sample_verdict import PHOTOGRAPHS, SampleVerdict, assess_samples
from dcgan_cli.checkpoint.find import find_checkpoint
from dcgan_cli.checkpoint.format import Checkpoint, load
from dcgan_cli.choices import DEFAULT_LOSS
from dcgan_cli.cli.console import Console
from dcgan_cli.cli.image_source import inspect_source, measured, prepare_images
from dcgan_cli.cli.options import Streams
from dcgan_cli.cli.places import refuse_overlap, run_path
from dcgan_cli.cli.request import Request
from dcgan_cli.cli.results import conclude
from dcgan_cli.cli.train.checks import policy_of
from dcgan_cli.cli.train.display import Display
from dcgan_cli.cli.train.evaluator import kid_evaluator
from dcgan_cli.cli.train.options import LearningOptions, MachineOptions, NetworkOptions, RunOptions
from dcgan_cli.cli.train.resume import (
    as_before,
    earlier_state,
    refuse_another_count,
    refuse_changes,
    same_images,
)
from dcgan_cli.cli.train.signals import listening
from dcgan_cli.cores import allowed_cores
from dcgan_cli.data.batches import RANDOM_CROP_MARGIN, Batches, too_few
from dcgan_cli.data.image_set import DecodedImages
from dcgan_cli.data.kinds.skipped_files import SKIPPED
from dcgan_cli.data.reference import Reference
from dcgan_cli.data.resident import make_resident
from dcgan_cli.data.sources import Source
from dcgan_cli.data.streaming import StreamedImages
from dcgan_cli.data.survey import Survey
from dcgan_cli.errors import Interrupted, SourceError, UsageError
from dcgan_cli.model.config import ModelConfig
from dcgan_cli.model.presets import PRESETS, with_options
from dcgan_cli.model.recipe import AUGMENTATIONS, FEW_IMAGES, Recipe, usual_steps
from dcgan_cli.model.sizes import largest_size
from dcgan_cli.runtime import choose_device, use_threads
from dcgan_cli.training.distributed import ProcessGroup, was_restarted
from dcgan_cli.training.events import Finished, Length
from dcgan_cli.training.loss_recipes import LOSS_NORMS
from dcgan_cli.training.losses import Loss, choose_loss
from dcgan_cli.training.plan import make_plan, usual_length
from dcgan_cli.training.precision import check_bf16, choose_precision, precision_name
from dcgan_cli.training.profile import profile_steps
from dcgan_cli.training.run_folder import NullRunFolder, RunFolder
from dcgan_cli.training.run_report import run_report
from dcgan_cli.training.step import StepSettings, batch_slice
from dcgan_cli.training.trainer import Trainer
from dcgan_cli.wording import counted


@dataclass
class Session:
    """What `dcgan train` was asked for. None means: not asked.

    `overrides` are the hyper-parameters that were typed; `typed` holds all options that stood on
    the command line, by name, defaults too. `source` is opened from `request`, None if not yet.
    """

    console: Console
    process_group: ProcessGroup
    request: Request
    run: RunOptions
    networks: NetworkOptions
    learning: LearningOptions
    machine: MachineOptions
    streams: Streams
    overrides: Mapping[str, Any]
    typed: Mapping[str, Any]
    source: Source | None = None

    def train(self) -> int:
        """Train until the end that was asked for or a signal; returns the exit code."""
        with self.process_group.working():
            self._check_options()
            kind = RunFolder if self.process_group.is_main else NullRunFolder
            with kind(
                self._path(), self.console.note
            ) as folder:  # from here on nobody else writes there
                before = self.process_group.broadcast_from_main(
                    lambda: earlier_state(folder, self.run.resume, self.run.overwrite)
                )
                end, trainer, verdict, assessed = self._train(folder, before)
        if self.process_group.is_main:
            samples = None
            if assessed is not None:
                verdict, samples = f"{verdict}; {assessed.sentence}", asdict(assessed)
            report = run_report(end, folder, trainer, verdict, samples)
            conclude(self.console, report, self.streams, out=folder.last)
        return 0 if end.signal is None else 128 + end.signal

    def profile(self) -> None:
        """Say where the time of a step of this run would go; writes no file."""
        with self.process_group.working():
            self._check_options()
            with NullRunFolder(self._path()) as folder:
                before = earlier_state(folder, True, False) if self.run.resume else None
                trainer, _ = self._begin(folder, before)
                try:
                    report = profile_steps(trainer)
                finally:
                    _close(trainer)
        if self.process_group.is_main:
            conclude(self.console, report, self.streams)

    def _train(
        self, folder: RunFolder, before: Checkpoint | None
    ) -> tuple[Finished, Trainer, str, SampleVerdict | None]:
        """The end, who reached it, and on rank 0 the outcome in one line and what the samples are."""
        trainer, display = self._begin(folder, before)
        events = trainer.run(self._length(trainer))
        try:
            with listening(trainer):
                if display is None:
                    return cast(Finished, deque(events, maxlen=1).pop()), trainer, "", None
                end = display.follow(events)
                outcome = display.finish(end, trainer)
                assessed = _assess(end, trainer)
            return replace(end, signal=end.signal or trainer.signal), trainer, outcome, assessed
        finally:
            _close(trainer)

    def _begin(
        self, folder: RunFolder, before: Checkpoint | None
    ) -> tuple[Trainer, Display | None]:
        """Everything up to the first step, said as it is found out; a display on rank 0 alone."""
        threads = self._threads(before)
        source, survey = inspect_source(self.console, self.request, self._images_of(before))
        if before is None:
            self.request = measured(self.console, self.request, survey)
        else:
            refuse_overlap(self.request.location, folder.path)
        first = self._warm_start() if before is None else None
        model, recipe = self._networks(before, first, survey)
        if before is None:
            self._recommend(len(source))
        asked = self._settings(before)
        settings = self._with_working_precision(asked, model)
        batch_slice(recipe, settings)  # refuses what cannot be shared out, before any decoding
        self._say_how_shared(settings, recipe)
        if before is not None:
            image_spec = before.reference.shown.image_spec
        else:
            side = round(model.size * (RANDOM_CROP_MARGIN if recipe.crop == "random" else 1))
            image_spec = self.request.image_spec(side, model.channels)
        images = prepare_images(self.console, source, self.request, image_spec)
        labels, limit = self.request.labels, self.request.limit
        reference = Reference.of(source, images, model.size, labels=labels, limit=limit)
        if before is not None:
            refuse_another_count(before.reference, reference)
        self._same_everywhere(reference)
        self.process_group.begin(settings.device)
        about = {
            "data": reference.to_dict(),
            "training": self._about(before, first, settings, threads),
        }
        trainer = Trainer(
            model,
            recipe,
            settings,
            self._batches(source, images, model, recipe, settings),
            folder,
            about,
            policy=policy_of(self.run.on_unhealthy),
            keep=folder.keeping(self.run.keep, goes_on=before is not None),
            save_minutes=self.run.save_minutes,
            evaluate_every=self.run.evaluate_every or 1,
        )
        if self.run.evaluate_every is not None:
            trainer.evaluator = kid_evaluator(self.console, trainer)
        if before is None:
            folder.clear()
        if first is not None:
            trainer.updater.load_networks(first)
        display = None
        if self.process_group.is_main and not self.run.profile:
            display = Display(
                self.console,
                folder,
                about["training"]["preset"],
                self.run.tensorboard,
                trainer.draw_settings,
                images.image_spec.aspect,
                self.streams.verbose,
            )
        if before is not None:
            trainer.restore(before)
            self.console.note(f"resuming at step {trainer.step:,}, epoch {trainer.epoch:.2f}")
        if display is not None:
            lower = settings.precision is asked.precision
            plan = make_plan(model, recipe, settings, recommend_bf16=lower)
            display.plan(plan, trainer, self._length(trainer))
        folder.write_config({"model": model.to_dict(), "recipe": recipe.to_dict(), **about})
        return trainer, display

    def _images_of(self, before: Checkpoint | None) -> Source | None:
        """The images if they are open; of a run that goes on, what would change it is refused."""
        if before is None:
            return self.source
        refuse_changes(before, self.typed)
        self.request = as_before(self.request, before.reference)
        elsewhere = "" if self.run.out == Path("checkpoints") else f" --out {self.run.out}"
        mend = f"dcgan train NEWPLACE --run {self._path().name}{elsewhere} --resume"
        source, unsure = same_images(before.reference, self.request, mend)
        if unsure is not None:
            self.console.note(unsure)
        return source

    def _batches(
        self,
        source: Source,
        images: DecodedImages,
        model: ModelConfig,
        recipe: Recipe,
        settings: StepSettings,
    ) -> Batches:
        """Batches, out of images that are all on the GPU where they fit there."""
        if len(images) < recipe.batch_size:
            beside = [note for note in source.notes if note.startswith(SKIPPED)]
            raise too_few(len(images), recipe.batch_size, beside)
        device = settings.device
        streamed = isinstance(images, StreamedImages)
        resident = None if streamed else make_resident(images, device)
        if resident is not None:
            self.console.note(f"all images are on {device}: {resident.nbytes / 2**20:,.0f} MiB")
        return Batches(
            images,
            share=batch_slice(recipe, settings),
            size=model.size,
            batch_size=recipe.batch_size,
            seed=settings.seed,
            flip=recipe.flip,
            device=device,
            look_ahead=device.type != "cpu" or streamed,
            resident=resident,
        )

    def _say_how_shared(self, settings: StepSettings, recipe: Recipe) -> None:
        over = "the whole batch" if settings.sync_bn else "each process's share (--no-sync-bn)"
        if (ranks := self.process_group.size) > 1:
            self.console.note(
                f"{counted(ranks, 'process')} share batches of {recipe.batch_size} (--batch-size), "
                f"{recipe.batch_size // ranks} images each; batch norm over {over}"
            )

    def _same_everywhere(self, here: Reference) -> None:
        """Raise SourceError where this rank's machine has other images than rank 0's."""
        first = self.process_group.broadcast_from_main(lambda: here)
        if here.images != first.images:
            raise SourceError(
                f"{here.location} gives {counted(here.images or 0, 'image')} here, {first.images:,} on rank 0; "
                "every machine needs the same"
            )
        if here.content != first.content:
            raise SourceError(
                f"{here.location} gives other images here than on rank 0 (as many, but their "
                "content differs); every machine needs the same"
            )

    def _path(self) -> Path:
        return run_path(self.run.out, self.run.run, self.request.location)

    def _check_options(self) -> None:
        """Raise UsageError for what `check_line` could not tell without importing torch."""
        with_options(PRESETS[self._preset()], self.overrides)
        choose_precision(self.machine.precision, self._device())

    def _device(self) -> torch.device:
        return choose_device(self.machine.device, self.process_group.local_rank)

    def _warm_start(self) -> Checkpoint | None:
        """The checkpoint of --from, on every rank; its networks must be those that are asked for."""
        name = self.networks.begin_from
        if name is None:
            return None
        first = self.process_group.broadcast_from_main(lambda: load(find_checkpoint(name)))
        has = first.model.to_dict()
        for option in sorted(has.keys() & self.overrides.keys()):
            if has[option] != self.overrides[option]:
                typed = f"--{option.replace('_', '-')} {self.overrides[option]}"
                raise UsageError(
                    f"{typed}: the networks of --from {name} have {has[option]}; leave the option "
                    "out, or --from"
                )
        return first

    def _networks(
        self, before: Checkpoint | None, first: Checkpoint | None, survey: Survey
    ) -> tuple[ModelConfig, Recipe]:
        """Networks and recipe: of the run that goes on, or of --from, the preset and the options."""
        if before is not None:
            return before.model, Recipe(**before.recipe)
        preset = self._preset()
        self.console.note(f"preset {preset}: {PRESETS[preset].about}")
        loss = choose_loss(self.learning.loss or DEFAULT_LOSS)
        options = {
            # the paper's side; smaller images are trained at the largest allowed size they fill
            "size": largest_size(min(ModelConfig.size, int(survey.short_side))),
            "channels": survey.channels,
            "d_norm": LOSS_NORMS.get(self.learning.loss or DEFAULT_LOSS),
            **loss.recipe,
            **self.overrides,
        }
        model, recipe = with_options(PRESETS[preset], options)
        if loss.recipe:
            self._say_how_trained(recipe, loss)
        return model if first is None else first.model, recipe

    def _say_how_trained(self, recipe: Recipe, loss: Loss) -> None:
        """The settings that the paper of a loss brings with it, and which of them were typed."""
        names = {"adam": "Adam", "rmsprop": "RMSProp"}
        betas = f", β₁ {recipe.beta1:g}, β₂ {recipe.beta2:g}"
        typed = [name for name in loss.recipe if name in self.overrides]
        typed += [] if self.learning.d_steps is None else ["d_steps"]
        self.console.note(
            f"loss {self.learning.loss}: {names[recipe.optimizer]} with lr {recipe.lr:g}"
            f"{betas if recipe.optimizer == 'adam' else ''}, {self.learning.d_steps or loss.d_steps} D steps "
            f"per G step, as its paper trains it"
            + (f" but for {', '.join('--' + n.replace('_', '-') for n in typed)}" if typed else "")
        )

    def _preset(self) -> str:
        return self.networks.preset or ("small" if self._device().type == "cpu" else "paper")

    def _ema(self) -> float | None:
        typed = self.learning.ema
        return PRESETS[self._preset()].ema if typed is None else typed

    def _recommend(self, images: int) -> None:
        """Say what does better on a set of this size, where nothing was chosen (docs/recipes.md)."""
        chosen = self.networks.preset or self.overrides or self.learning.loss or self.learning.ema
        if chosen or self._device().type != "cpu":
            return
        few = f"--augment {','.join(AUGMENTATIONS)} --ema 0.999"
        line = few if images < FEW_IMAGES else "--preset photos"
        self.console.note(
            f"better images in the same time, from {counted(images, 'image')}: {line}"
        )

    def _settings(self, before: Checkpoint | None) -> StepSettings:
        held: dict[str, Any] = {"sync_bn": True}
        held |= {} if before is None else before.training
        loss = choose_loss(held.get("loss") or self.learning.loss or DEFAULT_LOSS)
        device = self._device()
        precision = self.machine.precision
        if before is not None and (precision == "auto" or was_restarted()):
            precision = held["precision"]
            if "precision" in self.typed and self.machine.precision != precision:
                self.console.note(
                    f"--precision {self.machine.precision}: goes on in {precision}, as begun"
                )
        return StepSettings(
            loss=loss,
            d_steps=held.get("d_steps") or self.learning.d_steps or loss.d_steps,
            ema=held["ema"] if before is not None else self._ema(),
            seed=held.get("seed", self.machine.seed),
            device=device,
            precision=choose_precision(precision, device),
            process_group=self.process_group,
            sync_bn=held["sync_bn"] if self.learning.sync_bn is None else self.learning.sync_bn,
        )

    def _threads(self, before: Checkpoint | None) -> int:
        """Set PyTorch's threads: as typed, as the run has had so far, or as many as have a free core."""
        alone, chosen = self.process_group.size == 1, "OMP_NUM_THREADS" in os.environ
        held = before.training.get("threads") if before is not None and alone else None
        allowed = allowed_cores()
        unsaid = self.machine.threads is None and not chosen
        if unsaid and isinstance(held, int) and held <= allowed:
            return use_threads(held)
        threads = use_threads(
            self.machine.threads, self.process_group.local_size, leave_busy_cores=True
        )
        if unsaid and alone and threads < allowed:
            self.console.note(
                f"{threads} of {allowed} CPU threads, since other programs are busy; "
                "--threads N overrides"
            )
        return threads

    def _with_working_precision(self, settings: StepSettings, model: ModelConfig) -> StepSettings:
        """`settings` in float32 where bfloat16 is wrong in this process or not used in another."""
        low = settings.precision is torch.bfloat16
        fault = check_bf16(model, settings.device) if low else None
        if not any(self.process_group.agree(not low or fault is not None)):
            return settings
        if low:
            self.console.note(f"bf16: {fault or 'another process cannot'}; training in fp32")
        return replace(settings, precision=torch.float32)

    def _about(
        self,
        before: Checkpoint | None,
        first: Checkpoint | None,
        settings: StepSettings,
        threads: int,
    ) -> dict[str, Any]:
        held = {} if before is None else before.training
        begun = {"from": first.hash} if first is not None else {}
        begun |= {"from": held["from"]} if "from" in held else {}
        return {
            "preset": held.get("preset") or self._preset(),
            "loss": held.get("loss") or self.learning.loss or DEFAULT_LOSS,
            "d_steps": settings.d_steps,
            "ema": settings.ema,
            "sync_bn": settings.sync_bn,
            "processes": settings.process_group.size,
            "seed": settings.seed,
            "precision": precision_name(settings.precision),
            "device": str(settings.device),
            "threads": threads,
            "torch": torch.__version__,
            "dcgan": __version__,
            **begun,
        }

    def _length(self, trainer: Trainer) -> Length:
        """As typed, or the length that a set of this size takes."""
        typed = Length(self.run.epochs, self.run.steps, self.run.minutes)
        if typed != Length():
            return typed
        return usual_length(trainer.recipe, trainer.steps_per_epoch)


def _assess(end: Finished, trainer: Trainer) -> SampleVerdict | None:
    """What the last samples are; None where a signal comes first."""
    try:
        with trainer.interruptible():
            if end.images is None:
                return None
            usual = usual_steps(trainer.recipe.batch_size)
            return assess_samples(end.images, trainer.real_images(PHOTOGRAPHS), end.step, usual)
    except Interrupted:
        return None


def _close(trainer: Trainer) -> None:
    """Let go of the images; nothing can be read of them afterwards."""
    trainer.batches.close()
    if isinstance(trainer.batches.images, DecodedImages):
        trainer.batches.images.close()

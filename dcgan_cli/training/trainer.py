"""The training loop: steps, epochs, checkpoints and diagnostics, as a stream of events.

All randomness is addressed by seed, epoch and step (see runtime.numpy_stream), so the state of a
run is its weights, the optimizer's moments and one number, how many steps were made. That is why a
resumed run equals an uninterrupted one bit for bit. With several ranks, each runs this loop in
lockstep.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dcgan_cli.checkpoint.format import Checkpoint, load
from dcgan_cli.data.batches import Address, Batches
from dcgan_cli.data.pixels import to_uint8
from dcgan_cli.errors import CheckpointError, DiagnosisError, Interrupted, SourceError
from dcgan_cli.model.batch_norm_statistics import (
    REFERENCE_BATCH,
    REFERENCE_BATCHES,
    BatchNormMode,
    draw_settings,
    fix_statistics,
)
from dcgan_cli.model.config import ModelConfig
from dcgan_cli.model.generator import Generator
from dcgan_cli.model.latents import seeded_latents
from dcgan_cli.model.recipe import Recipe
from dcgan_cli.report import DrawSettings, Estimate, Images
from dcgan_cli.training.diagnostics import Diagnosis, Diagnostics, diversity
from dcgan_cli.training.evaluations import Evaluations
from dcgan_cli.training.events import (
    Clock,
    DiagnosisEvent,
    EpochDone,
    Evaluated,
    Event,
    Finished,
    GridAnnounced,
    Length,
    Policy,
    ProgressEvent,
    RecordingFailed,
)
from dcgan_cli.training.run_folder import PAPER_EPOCHS, RunFolder
from dcgan_cli.training.step import METRICS, StepSettings, Updater
from dcgan_cli.wording import counted, counted_are

SAMPLES = 64
"""Number of fixed latent vectors whose images show the progress of a run."""

SAMPLES_BN: BatchNormMode = "reestimated"
"""The batch-norm statistics with which sample images are generated."""

DIVERSITY_EVERY = 200

SHORT_EPOCH_STEPS, FIRST_EPOCHS = 50, 10
"""After FIRST_EPOCHS, epochs of fewer steps than SHORT_EPOCH_STEPS are finished several at a time:
with 50 images, sampling and saving after each would take ten times as long as training."""

ROLLBACKS = 3

Evaluator = Callable[[Generator], Estimate]
"""The KID of a generator's samples; its statistics are fixed already."""

WRITE_SECONDS_PER_PIXEL = 4e-7
"""Approximate seconds to write a pixel of an image grid as PNG and as a frame of the film."""

ANNOUNCED_SECONDS = 2.0
"""If an image grid takes longer than this, it is announced first."""


@dataclass(eq=False)
class Trainer:
    """Trains both networks on `batches` and writes to `folder`.

    `about` is stored in every checkpoint: plain values for "training" and "data".

    Example:
        for event in trainer.run(Length(epochs=25)):
            print(event)

    Attributes:
        interruptible: around work that a signal may cut short by Interrupted: the state is saved
            already.
        grid_seconds: how long an image grid takes, drawn, written and saved: estimated when the
            fixed samples are first generated, then measured.
        diagnosis_events: what the diagnostics found in this invocation.
    """

    model: ModelConfig
    recipe: Recipe
    settings: StepSettings
    batches: Batches
    folder: RunFolder
    about: dict[str, dict[str, Any]]
    _: KW_ONLY
    policy: Policy = "warn"
    keep: int | None = 2
    save_minutes: float = 10.0
    evaluator: Evaluator | None = None
    evaluate_every: int = 1

    def __post_init__(self) -> None:
        model, settings, batches = self.model, self.settings, self.batches
        self.process_group = settings.process_group
        self.updater = Updater(model, self.recipe, settings)
        self.steps_per_epoch = batches.per_epoch // self.updater.batches_per_step
        if self.steps_per_epoch == 0:
            needed = self.updater.batches_per_step * self.recipe.batch_size
            raise SourceError(
                f"{counted_are(len(batches.images), 'image')} too few: one step takes {needed} "
                f"({counted(self.updater.batches_per_step, 'batch')} of {self.recipe.batch_size}); "
                "lower --batch-size or --d-steps, or type --updates together"
            )
        self.latents = seeded_latents(settings.seed, SAMPLES, model.z_dim, model.z_dist)
        self.diagnostics = Diagnostics(settings.loss.probabilities)
        self.step = self.attempt = 0
        self.seconds = self.grid_seconds = self._seconds_on_grids = 0.0
        self.signal: int | None = None
        self.interruptible: Callable[[], AbstractContextManager[None]] = nullcontext
        self.diagnosis_events: list[DiagnosisEvent] = []
        self.evaluations = Evaluations()
        self._evaluation_seconds = 0.0
        self._last_grid: tuple[int, Images | None] | None = None
        self._real_diversity: float | None = None
        self._pending: list[Tensor] = []
        self._between_steps = True
        self._metrics: dict[str, float] = {}

    @property
    def epoch(self) -> float:
        """Passes over the data so far, fractions included."""
        return self.step / self.steps_per_epoch

    @property
    def _epochs_done(self) -> int:
        """Complete passes over the data so far."""
        return self.step // self.steps_per_epoch

    def request_stop(self, signal: int) -> None:
        """Ask the loop to save and end after the current step (safe in a signal handler)."""
        self.signal = signal

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continue from `checkpoint`. Raises CheckpointError if it holds no training state."""
        if not checkpoint.optimizers:
            raise CheckpointError(
                "the checkpoint holds no optimizer state: it cannot be trained on"
            )
        self.updater.load_networks(checkpoint)
        self.updater.load_optimizers(**checkpoint.optimizers)
        progress = checkpoint.progress
        self.step = progress["step"]
        self.seconds = progress["seconds"]
        self.attempt = progress["attempt"]
        self.diagnostics.restore(progress["health"])
        self.evaluations = Evaluations.read(progress.get("evaluations", {}))
        self.folder.rewind_metrics(self.step)

    def checkpoint(self) -> Checkpoint:
        """The current state of the run."""
        updater = self.updater
        average = updater.average
        return Checkpoint(
            model=self.model,
            generator=updater.generator.state_dict(),
            discriminator=updater.discriminator.state_dict(),
            average=None if average is None else average.state_dict(),
            optimizers={
                "generator": updater.g_optimizer.state_dict(),
                "discriminator": updater.d_optimizer.state_dict(),
            },
            recipe=self.recipe.to_dict(),
            training=self.about["training"],
            data=self.about["data"],
            progress={
                "step": self.step,
                "epoch": self.epoch,
                "seconds": self.seconds,
                "attempt": self.attempt,
                "health": self.diagnostics.state(),
                "evaluations": self.evaluations.to_dict(),
            },
        )

    def run(self, length: Length) -> Iterator[Event]:
        """Train for `length`; the last event is Finished, after last.pt was written.

        Raises:
            SourceError: the images can no longer be read. last.pt is the state after the last
                complete step, unless the next one had already changed the networks; then it is the
                state before.
            DiagnosisError: values are not finite, the policy is "stop", or the policy is "rollback"
                and ROLLBACKS of them did not help. last.pt is the last good state.
            StorageError: a file could not be written; last.pt is unchanged.
        """
        try:
            yield from self._run(length)
        except SourceError as error:
            if not self._between_steps:
                raise
            if self._pending:
                self._diagnose(False)
            self._save(self.folder.last)
            raise SourceError(f"{error}; step {self.step:,} is saved, --resume goes on") from error

    def _run(self, length: Length) -> Iterator[Event]:
        clock = Clock(self.seconds, self.step)
        last_step = self.last_step(length)
        if not self.folder.last.exists():
            self._save(self.folder.last)  # so that a rollback is always possible
        elif (
            self.step
            and self._is_finished(self.step)
            and self.folder.is_grid_missing(self._epochs_done)
        ):
            # the run was killed after saving the epoch: only its samples are made again
            yield EpochDone(
                self._epochs_done, self.step, self._grid(), self.latents, self.checkpoint().hash
            )
        (over,) = self.process_group.agree(self._is_over(last_step, length.minutes, clock))
        while not over:
            if (fault := self._advance()) is not None:
                yield RecordingFailed(fault)
            self.seconds = clock.seconds()
            epoch_done = self._is_finished(self.step)
            with_diversity = epoch_done or self.step % DIVERSITY_EVERY == 0
            # Checked once a step, so that a later signal cannot skip the diagnostics of these values.
            over, due = self.process_group.agree(
                self._is_over(last_step, length.minutes, clock),
                with_diversity or (self.process_group.is_main and clock.report_is_due()),
            )
            if not (over or due):
                continue
            reached = self.step
            diagnoses = self._diagnose(with_diversity)
            yield self._progress(last_step, length.minutes, clock)
            for diagnosis in diagnoses:
                self.diagnosis_events.append(self._apply_policy(diagnosis))
                yield self.diagnosis_events[-1]
                if self.step < reached:
                    break  # rolled back, which undoes the other failures too
            if self.step < reached:
                (over,) = self.process_group.agree(self._is_over(last_step, length.minutes, clock))
            elif epoch_done:
                yield from self._finish_epoch()
                clock.saved = time.monotonic()
                # Everything is saved: if a signal arrived meanwhile, end without another step.
                over = over or any(self.process_group.agree(self.signal is not None))
            elif clock.save_is_due(self.save_minutes):
                self._save(self.folder.last)
        final = self._save(self.folder.last)
        yield from self._announce()
        images = self._grid()
        (signal,) = self.process_group.agree(self.signal or 0)
        yield Finished(
            self.step,
            self.epoch,
            self.seconds,
            images,
            self.latents,
            final.hash,
            signal or None,
            dict(self._metrics),
        )

    def draw(self) -> Images:
        """Images of the fixed latent vectors, by the EMA generator if there is one.

        They are generated by a copy with re-estimated batch-norm statistics, as `dcgan sample`
        does, without changing the state of the run and without communicating with other ranks.
        """
        network = self.checkpoint().build_generator().to(self.settings.device)
        fix_statistics(network, SAMPLES_BN)
        return self._sample_images(network)

    @property
    def draw_settings(self) -> DrawSettings:
        """The settings with which `draw` generates images."""
        return draw_settings(SAMPLES_BN, self.settings.ema is not None)

    def last_step(self, length: Length) -> int | None:
        """The step at which a run of `length` ends; None if only the clock ends it."""
        steps = length.steps
        if length.epochs is not None:
            of_epochs = math.ceil(length.epochs * self.steps_per_epoch)
            return of_epochs if steps is None else min(steps, of_epochs)
        return steps

    def _seconds_left(
        self, each: float, last_step: int | None, minutes: float | None, elapsed: float = 0.0
    ) -> float | None:
        """Seconds until the end if a step takes `each`, image grids included; None if unknown."""
        left = math.inf
        if last_step is not None:
            grids = self._grids_until(last_step)
            left = each * max(0, last_step - self.step) + self.grid_seconds * grids
            if self.evaluator is not None:
                epochs = (last_step - self.step) // self.steps_per_epoch
                left += self._evaluation_seconds * (epochs // self.evaluate_every)
        if minutes is not None:
            left = min(left, 60 * minutes - elapsed + self.grid_seconds)
        return None if math.isinf(left) else left

    def _grids_until(self, last_step: int) -> int:
        """How many image grids remain until `last_step`, including the final one."""

        def finished(step: int) -> int:
            number, together = step // self.steps_per_epoch, self._epochs_together
            later = max(number // together - FIRST_EPOCHS // together, 0)
            return min(number, FIRST_EPOCHS) + later

        between = finished(last_step) - finished(self.step)
        return max(between, 0) + (not self._is_finished(last_step))

    @property
    def _epochs_together(self) -> int:
        """How many epochs are finished together after FIRST_EPOCHS."""
        return math.ceil(SHORT_EPOCH_STEPS / self.steps_per_epoch)

    def _is_over(self, last_step: int | None, minutes: float | None, clock: Clock) -> bool:
        return (
            self.signal is not None
            or (last_step is not None and self.step >= last_step)
            or (minutes is not None and clock.elapsed() >= 60 * minutes)
        )

    def _is_finished(self, step: int) -> bool:
        """Whether `step` ends an epoch after which samples and checkpoints are written."""
        number, rest = divmod(step, self.steps_per_epoch)
        return rest == 0 and (number <= FIRST_EPOCHS or number % self._epochs_together == 0)

    def _advance(self) -> str | None:
        """Make one step. Returns why steps cannot be recorded, if this step showed it."""
        recorded = self.updater.recorded
        before = recorded and recorded.fault
        metrics = self.updater.step(self.step, self.attempt, self.batch)
        self._pending.append(metrics)
        self.step += 1
        self._between_steps = True
        return recorded.fault if recorded is not None and before is None else None

    def batch(self, j: int) -> Tensor:
        """Batch `j` of this step; meanwhile the following batch is prepared."""
        if j + 1 < self.updater.batches_per_step:
            following = self._address(self.step, j + 1)
        else:
            following = self._address(self.step + 1, self.updater.first_image_index)
        images = self.batches.get(self._address(self.step, j), following)
        self._between_steps = False  # the networks may change from here on
        return images

    def _address(self, step: int, j: int) -> Address:
        """The address of batch `j` of `step` in the data."""
        epoch, position = divmod(step, self.steps_per_epoch)
        return epoch, position * self.updater.batches_per_step + j

    def _diagnose(self, with_diversity: bool) -> list[Diagnosis]:
        """Fetch and log the metrics since the last call; returns new diagnoses.

        With `with_diversity`, the fixed samples are generated too and their diversity is evaluated.
        """
        rows = torch.stack(self._pending).cpu().numpy().astype(np.float64)
        self._pending.clear()
        self._log(rows)
        diagnoses = self.diagnostics.observe_steps(rows)
        if with_diversity and np.isfinite(rows).all():
            ratio = self.process_group.broadcast_from_main(self._diversity)
            diagnoses += self.diagnostics.observe_diversity(self.step, ratio)
        return diagnoses

    def _log(self, rows: NDArray[np.float64]) -> None:
        first = self.step - len(rows) + 1
        named = [dict(zip(METRICS, row, strict=True)) for row in rows.tolist()]
        self._metrics = named[-1]
        self.folder.append_metrics(
            {"step": first + i, "epoch": (first + i) / self.steps_per_epoch, **metrics}
            for i, metrics in enumerate(named)
        )

    def _diversity(self) -> float:
        """The diversity of the fixed samples relative to as many real images.

        By the generator itself, not its EMA, whose first images are still the gray of the initial
        weights.
        """
        if self._real_diversity is None:
            self._real_diversity = max(diversity(self.real_images(SAMPLES)), 1.0)
        began = time.monotonic()
        images = self._sample_images(self.updater.generator)
        if not self.grid_seconds:
            each = (time.monotonic() - began) / SAMPLES
            drawn = REFERENCE_BATCH * REFERENCE_BATCHES + SAMPLES
            self.grid_seconds = (
                each * drawn + WRITE_SECONDS_PER_PIXEL * SAMPLES * self.model.size**2
            )
        return diversity(images) / self._real_diversity

    def real_images(self, count: int) -> Images:
        """The centers of at most `count` training images, evenly spaced: uint8 [N, size, size, C]."""
        images = self.batches.images
        count = min(count, len(images))
        rows = images.take(np.linspace(0, len(images) - 1, count).astype(np.int64))
        start = (rows.shape[1] - self.model.size) // 2
        inside = slice(start, start + self.model.size)
        return rows[:, inside, inside]

    @torch.no_grad()
    def _sample_images(self, network: Generator) -> Images:
        """Images of the fixed latent vectors, with the statistics that `network` holds."""
        network.eval()
        z = torch.from_numpy(self.latents).to(self.settings.device)
        return to_uint8(network(z))

    def _progress(
        self, last_step: int | None, minutes: float | None, clock: Clock
    ) -> ProgressEvent:
        made = self.step - clock.first_step
        each = (clock.elapsed() - self._seconds_on_grids) / max(made, 1)
        left = self._seconds_left(each, last_step, minutes, clock.elapsed())
        images = self.settings.d_steps * self.recipe.batch_size
        return ProgressEvent(
            self.step, last_step, self.epoch, images / each, self.seconds, left, self._metrics
        )

    def _finish_epoch(self) -> Iterator[Event]:
        began = time.monotonic()
        number = self._epochs_done
        if self.keep != 0 or number in PAPER_EPOCHS:
            self._save(self.folder.epoch(number))
        # Saved last: a run that is killed between the two saves makes both again.
        state = self._save(self.folder.last)
        self.folder.drop_epochs(self.keep)
        yield from self._announce()
        yield EpochDone(number, self.step, self._grid(), self.latents, state.hash)
        self.grid_seconds = time.monotonic() - began
        yield from self._evaluate(number)
        self._seconds_on_grids += time.monotonic() - began

    def _evaluate(self, epoch: int) -> Iterator[Event]:
        """Compare samples with real images, where it is due; the best state is best.pt."""
        evaluator, past = self.evaluator, self.evaluations
        if evaluator is None or self.signal is not None:
            return
        if epoch - past.last_epoch < self.evaluate_every:
            return
        began = time.monotonic()
        generator = self.checkpoint().build_generator().to(self.settings.device)
        fix_statistics(generator, SAMPLES_BN)
        try:
            with self.interruptible():
                kid = self.process_group.broadcast_from_main(lambda: evaluator(generator))
        except Interrupted:
            return
        self._evaluation_seconds = time.monotonic() - began
        is_best = self.evaluations.add(epoch, self.step, kid)
        row = {"step": self.step, "epoch": float(epoch), "kid": kid.value}
        self.folder.append_metrics([{**row, "kid_low": kid.low, "kid_high": kid.high}])
        yield Evaluated(epoch, self.step, kid, is_best)
        if is_best:
            self._save(self.folder.best)
        elif past.best is not None:
            for diagnosis in self.diagnostics.observe_kid(kid, past.best, past.best_epoch):
                self.diagnosis_events.append(self._apply_policy(diagnosis))
                yield self.diagnosis_events[-1]
        self._save(self.folder.last)  # which knows of the evaluation

    def _announce(self) -> Iterator[Event]:
        """Announce an image grid that will take a while."""
        is_there = self._last_grid is not None and self._last_grid[0] == self.step
        if self.grid_seconds > ANNOUNCED_SECONDS and not is_there and self.signal is None:
            yield GridAnnounced(self.step, self.grid_seconds)

    def _grid(self) -> Images | None:
        """The result of `draw`, computed once a step; None if a signal interrupted it."""
        if self._last_grid is None or self._last_grid[0] != self.step:
            try:
                with self.interruptible():
                    self._last_grid = self.step, self.draw()
            except Interrupted:
                self._last_grid = self.step, None
        return self._last_grid[1]

    def _save(self, path: Path) -> Checkpoint:
        state = self.checkpoint()
        weights = [*state.generator.values(), *state.discriminator.values()]
        if not all(bool(tensor.isfinite().all()) for tensor in weights):
            raise DiagnosisError(
                f"the weights of step {self.step} are no longer finite; "
                f"{self.folder.last} is the last good state; try a lower --lr"
            )
        self.folder.save(path, state)
        return state

    def _apply_policy(self, diagnosis: Diagnosis) -> DiagnosisEvent:
        """Act on `diagnosis` as the policy says."""
        step = self.step
        if self.policy == "rollback" and diagnosis.name != "past its best":
            return DiagnosisEvent(diagnosis, step, self._roll_back(diagnosis))
        if self.policy == "stop" or diagnosis.name == "not finite":
            if diagnosis.name != "not finite":
                self._save(self.folder.last)
            raise DiagnosisError(
                f"step {step}: {diagnosis.name} ({diagnosis.sign}); {self.folder.last} is the last "
                f"good state; try --on-unhealthy rollback, {diagnosis.remedy}"
            )
        return DiagnosisEvent(diagnosis, step, "going on")

    def _roll_back(self, diagnosis: Diagnosis) -> str:
        """Return to last.pt with other latent vectors and, each time, half the learning rate."""
        if self.attempt >= ROLLBACKS:
            raise DiagnosisError(
                f"step {self.step}: {diagnosis.name} ({diagnosis.sign}) after {ROLLBACKS} rollbacks; "
                f"try {diagnosis.remedy}"
            )
        attempt = self.attempt + 1
        self.restore(self.process_group.broadcast_from_main(lambda: load(self.folder.last)))
        self.attempt = attempt
        rates = [rate * 0.5**attempt for rate in self.updater.learning_rates]
        optimizers = (self.updater.g_optimizer, self.updater.d_optimizer)
        for optimizer, rate in zip(optimizers, rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate
        self.updater.discard_recording()
        found = " and ".join(f"{rate:.3g}" for rate in dict.fromkeys(rates))
        return f"back to step {self.step}, learning rate {found}"

"""The training loop: exact resuming, what each step sees, what is saved and kept."""

import json
import pickle
import random
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch

from dcgan_cli.checkpoint.format import Checkpoint, load
from dcgan_cli.data.pixels import normalize, to_uint8
from dcgan_cli.errors import CheckpointError, SourceError
from dcgan_cli.model.batch_norm_statistics import BatchNormMode, fix_statistics
from dcgan_cli.model.latents import seeded_latents
from dcgan_cli.report import Images
from dcgan_cli.runtime import numpy_stream
from dcgan_cli.training import events
from dcgan_cli.training import step as training_step
from dcgan_cli.training.events import EpochDone, Event, Finished, Length, ProgressEvent
from dcgan_cli.training.losses import LOSSES
from dcgan_cli.training.run_folder import RunFolder
from dcgan_cli.training.trainer import SAMPLES, Trainer


def final(trainer: Trainer) -> Checkpoint:
    return load(trainer.folder.last)


def straight(path: Path, steps: int, **options: Any) -> Checkpoint:
    with tiny.trainer(path, **options) as trainer:
        tiny.train(trainer, steps)
        return final(trainer)


def resumed(path: Path, stops: list[int], **options: Any) -> Checkpoint:
    """Train to each of `stops` in turn, each time with all objects made anew."""
    for place, stop in enumerate(stops):
        with tiny.trainer(path, **options) as trainer:
            if place:
                trainer.restore(load(trainer.folder.last))
                assert trainer.step == stops[place - 1]
            tiny.train(trainer, stop)
    return load(path / "last.pt")


@pytest.mark.parametrize("updates", ["together", "alternate"])
@pytest.mark.parametrize("loss", LOSSES)
def test_resuming_is_exact(loss: str, updates: Any, tmp_path: Path) -> None:
    """11 steps of 4 or 2 an epoch equal 3, then 2, then 6 more, in every bit of the state."""
    options: dict[str, Any] = {
        "loss": loss,
        "recipe": replace(tiny.RECIPE, updates=updates, weight_decay=1e-3),
        "ema": 0.9,
    }
    whole = straight(tmp_path / "straight", 11, **options)
    parts = resumed(tmp_path / "resumed", [3, 5, 11], **options)
    assert tiny.differences(whole, parts) == []
    assert whole.hash == parts.hash
    assert whole.progress["step"] == 11


def test_the_comparison_sees_every_part_of_the_state(tmp_path: Path) -> None:
    """What the tests of resuming rest on: each part is there, and one wrong bit is found."""
    state = straight(tmp_path, 3, ema=0.9)
    paths = tiny.flat(state)
    for part in (
        "generator/project.norm.num_batches_tracked",
        "discriminator/layers.1.1.running_var",
        "average/hidden.0.1.running_mean",
        "optimizers/generator/state/0/exp_avg_sq",
        "optimizers/discriminator/state/0/step",
        "optimizers/discriminator/param_groups/0/lr",
        "progress/health/window/2/0",
        "progress/attempt",
    ):
        assert part in paths
    assert state.optimizers["generator"]["state"][0]["step"] == 3
    other = load(tmp_path / "last.pt")
    assert tiny.differences(state, other) == []
    bits = other.optimizers["discriminator"]["state"][1]["exp_avg"].view(torch.int32)
    bits.view(-1)[0] ^= 1
    assert tiny.differences(state, other) == ["optimizers/discriminator/state/1/exp_avg"]


@pytest.mark.parametrize(
    ("recipe", "side", "d_steps"),
    [
        (replace(tiny.RECIPE, flip=True), 16, 1),
        (replace(tiny.RECIPE, flip=True, crop="random"), 24, 1),
        (replace(tiny.RECIPE, updates="alternate", crop="random"), 24, 2),
    ],
)
def test_resuming_is_exact_with_flips_and_random_crops(
    recipe: Any, side: int, d_steps: int, tmp_path: Path
) -> None:
    options: dict[str, Any] = {
        "recipe": recipe,
        "images": tiny.Noise(26, side),
        "d_steps": d_steps,
    }
    whole = straight(tmp_path / "straight", 9, **options)
    parts = resumed(tmp_path / "resumed", [4, 7, 9], **options)
    assert tiny.differences(whole, parts) == []


def test_resuming_is_exact_past_the_windows_of_diagnostics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """210 steps: the window is full, diversity was evaluated; and reports come at other times."""
    whole = straight(tmp_path / "straight", 210, images=tiny.Noise(300))
    monkeypatch.setattr(events, "REPORT_SECONDS", 0.0)
    stops = [99, 101, 200, 210]
    parts = resumed(tmp_path / "resumed", stops, images=tiny.Noise(300))
    assert tiny.differences(whole, parts) == []
    diagnostics = whole.progress["health"]
    assert len(diagnostics["window"]) == 100
    assert diagnostics["first_gradient"] > 0
    assert diagnostics["best_diversity"] > 0


def test_resuming_from_the_first_instant_is_exact(tmp_path: Path) -> None:
    """Before any step last.pt is there already: Adam has no moments yet."""
    whole = straight(tmp_path / "straight", 3)
    assert tiny.differences(whole, resumed(tmp_path / "resumed", [0, 3])) == []


@pytest.mark.parametrize("updates", ["together", "alternate"])
def test_no_batch_is_prepared_in_vain(updates: Any, tmp_path: Path) -> None:
    """Over epoch ends and left-over batches too; at most one is ready when the run ends."""
    recipe = replace(tiny.RECIPE, updates=updates)
    with tiny.trainer(tmp_path, recipe=recipe, d_steps=2) as trainer:
        prepared: list[tuple[int, int]] = []
        prepare = trainer.batches._prepare
        trainer.batches._prepare = lambda address: prepared.append(address) or prepare(address)  # type: ignore[method-assign]
        steps = 2 * trainer.steps_per_epoch + 1
        tiny.train(trainer, steps)
        trainer.batches.close()
        assert len(set(prepared)) == len(prepared)
        assert 2 * steps <= len(prepared) <= 2 * steps + 1


@pytest.mark.parametrize("stop_at", [1, 4, 6])
def test_a_signal_saves_after_the_step_and_nothing_is_lost(stop_at: int, tmp_path: Path) -> None:
    """Asked in the middle of a step, as a signal handler does; 4 is the end of an epoch."""
    whole = straight(tmp_path / "straight", 7)
    with tiny.trainer(tmp_path / "stopped") as trainer:
        take = trainer.batches.get

        def interrupt(*addresses: Any) -> torch.Tensor:
            if trainer.step == stop_at - 1:
                trainer.request_stop(signal.SIGTERM)
            return take(*addresses)

        trainer.batches.get = interrupt  # type: ignore[method-assign]
        end = tiny.train(trainer, 7)[-1]
        assert isinstance(end, Finished)
        assert (end.step, end.signal) == (stop_at, signal.SIGTERM)
        assert end.checkpoint == final(trainer).hash
        assert len(trainer.folder.read_metrics()) == stop_at
    with tiny.trainer(tmp_path / "stopped") as trainer:
        trainer.restore(load(trainer.folder.last))
        end = tiny.train(trainer, 7)[-1]
        assert isinstance(end, Finished)
        assert end.signal is None
        assert tiny.differences(whole, final(trainer)) == []


def test_a_stop_before_the_first_step_saves_where_it_is(tmp_path: Path) -> None:
    with tiny.trainer(tmp_path) as trainer:
        trainer.request_stop(signal.SIGINT)
        (end,) = tiny.train(trainer, 5)
        assert isinstance(end, Finished)
        assert (end.step, end.signal) == (0, signal.SIGINT)
        assert final(trainer).progress["step"] == 0


def test_metrics_of_a_resumed_run_are_those_of_an_uninterrupted_one(tmp_path: Path) -> None:
    straight(tmp_path / "straight", 11)
    resumed(tmp_path / "resumed", [3, 5, 11])
    text = (tmp_path / "straight" / "metrics.jsonl").read_text()
    assert (tmp_path / "resumed" / "metrics.jsonl").read_text() == text
    rows = [json.loads(line) for line in text.splitlines()]
    assert [row["step"] for row in rows] == list(range(1, 12))
    assert [row["epoch"] for row in rows] == [step / 4 for step in range(1, 12)]
    assert all(np.isfinite(list(row.values())).all() for row in rows)


def test_going_back_to_an_older_state_rewinds_the_metrics(tmp_path: Path) -> None:
    whole = straight(tmp_path / "straight", 6)
    straight(tmp_path / "run", 6)
    metrics = tmp_path / "run" / "metrics.jsonl"
    text = metrics.read_text()
    with tiny.trainer(tmp_path / "run") as trainer:
        trainer.restore(load(trainer.folder.epoch(1)))
        assert metrics.read_text() == "".join(text.splitlines(keepends=True)[:4])
        tiny.train(trainer, 6)
        assert metrics.read_text() == text
        assert tiny.differences(whole, final(trainer)) == []


def test_a_line_that_was_cut_off_is_dropped_on_resuming(tmp_path: Path) -> None:
    straight(tmp_path / "run", 3)
    metrics = tmp_path / "run" / "metrics.jsonl"
    text = metrics.read_text()
    metrics.write_text(text + '{"step": 4, "epo')
    with tiny.trainer(tmp_path / "run") as trainer:
        trainer.restore(load(trainer.folder.last))
        assert metrics.read_text() == text


def test_nothing_is_drawn_from_the_global_generators(tmp_path: Path) -> None:
    def states() -> list[bytes]:
        return [
            torch.get_rng_state().numpy().tobytes(),
            pickle.dumps(np.random.get_state()),  # noqa: NPY002
            pickle.dumps(random.getstate()),
        ]

    before = states()
    options: dict[str, Any] = {"loss": "wgan-gp", "ema": 0.9, "keep": None}
    options["recipe"] = replace(tiny.RECIPE, flip=True)
    resumed(tmp_path, [5, 9], **options)
    assert states() == before


def test_global_generators_decide_nothing(tmp_path: Path) -> None:
    states: list[Checkpoint] = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        random.seed(seed)
        states.append(straight(tmp_path / str(seed), 5, recipe=replace(tiny.RECIPE, flip=True)))
    assert tiny.differences(*states) == []
    other = straight(tmp_path / "other", 5, seed=8)
    assert tiny.differences(states[0], other) != []


@pytest.mark.parametrize(
    ("updates", "d_steps", "used"),
    [("together", 1, 1), ("together", 2, 2), ("alternate", 1, 2), ("alternate", 2, 3)],
)
def test_every_update_sees_its_own_batch(
    updates: Any, d_steps: int, used: int, tmp_path: Path
) -> None:
    """26 images are 6 batches of 4 an epoch, handed out in order, across the epoch's end."""
    noise = tiny.Noise(26)
    recipe = replace(tiny.RECIPE, updates=updates)
    with tiny.trainer(tmp_path, recipe=recipe, images=noise, d_steps=d_steps) as trainer:
        per_epoch = 6 // used
        assert trainer.steps_per_epoch == per_epoch
        seen: list[torch.Tensor] = []
        trainer.updater.discriminator.register_forward_pre_hook(
            lambda _, inputs: seen.append(inputs[0].detach().clone())
        )
        tiny.train(trainer, per_epoch + 2)
    expected: list[torch.Tensor] = []
    for step in range(per_epoch + 2):
        epoch, position = divmod(step, per_epoch)
        order = numpy_stream(7, "order", epoch).permutation(26)
        passed_by = used - d_steps
        for j in range(passed_by, used):
            first = 4 * (position * used + j)
            expected.append(normalize(torch.from_numpy(noise.take(order[first : first + 4]))))
    reals = [batch for batch in seen if any(torch.equal(batch, e) for e in expected)]
    assert len(reals) == len(expected)
    assert all(map(torch.equal, reals, expected))


def test_too_few_images_for_a_step_say_what_to_type(tmp_path: Path) -> None:
    recipe = replace(tiny.RECIPE, updates="alternate")
    with (
        pytest.raises(SourceError, match=r"16 images are too few: one step takes 20 .*--d-steps"),
        tiny.trainer(tmp_path, recipe=recipe, d_steps=4),
    ):
        pass


def test_a_state_without_optimizers_cannot_be_resumed(tmp_path: Path) -> None:
    state = straight(tmp_path / "run", 1)
    with (
        tiny.trainer(tmp_path / "other") as trainer,
        pytest.raises(CheckpointError, match="no optimizer state"),
    ):
        trainer.restore(replace(state, optimizers={}))


@pytest.mark.parametrize(
    ("length", "steps"),
    [
        (Length(steps=5), 5),
        (Length(epochs=1.5), 6),
        (Length(epochs=0.01), 1),
        (Length(epochs=1, steps=7), 4),
        (Length(epochs=3, steps=7), 7),
        (Length(steps=5, minutes=60), 5),
        (Length(minutes=0), 0),
    ],
)
def test_a_run_ends_at_whichever_length_comes_first(
    length: Length, steps: int, tmp_path: Path
) -> None:
    with tiny.trainer(tmp_path) as trainer:
        *_, end = trainer.run(length)
        assert isinstance(end, Finished)
        assert end.step == steps
        assert end.epoch == steps / 4
        assert final(trainer).progress["step"] == steps


def test_minutes_are_those_of_this_invocation(tmp_path: Path) -> None:
    with tiny.trainer(tmp_path) as trainer:
        trainer.seconds = 3600.0
        *_, end = trainer.run(Length(minutes=0.005))
        assert isinstance(end, Finished)
        assert end.step > 0
        assert 3600.3 <= end.seconds < 3610


def kinds(told: list[Event]) -> list[str]:
    return [type(event).__name__ for event in told]


def test_events_of_a_short_run(tmp_path: Path) -> None:
    with tiny.trainer(tmp_path, ema=0.5) as trainer:
        told = tiny.train(trainer, 6)
        assert kinds(told) == ["ProgressEvent", "EpochDone", "ProgressEvent", "Finished"]
        _, done, last, end = told
        assert isinstance(done, EpochDone)
        assert isinstance(last, ProgressEvent)
        assert isinstance(end, Finished)
        assert (done.epoch, done.step) == (1, 4)
        assert done.checkpoint == load(trainer.folder.epoch(1)).hash
        assert done.images.shape == (64, 16, 16, 1)
        assert (last.step, last.steps, last.epoch) == (6, 6, 1.5)
        assert last.metrics == {
            name: value
            for name, value in trainer.folder.read_metrics()[-1].items()
            if name not in ("step", "epoch")
        }
        assert last.images_per_second > 0
        # no step is left, but one image grid, which takes as long as the first one took
        assert last.seconds_left == pytest.approx(trainer.grid_seconds)
        assert np.array_equal(end.images, trainer.draw())
        assert np.array_equal(end.latents, done.latents)


def test_short_epochs_are_finished_together_after_the_first_ones(tmp_path: Path) -> None:
    """Of 4 steps: all up to the tenth, then every thirteenth (52 steps)."""
    with tiny.trainer(tmp_path) as trainer:
        told = tiny.train(trainer, 30 * 4)
    done = [event.epoch for event in told if isinstance(event, EpochDone)]
    assert done == [*range(1, 11), 13, 26]


def test_images_are_drawn_by_the_average_and_classified_by_the_generator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow EMA must not be taken for collapse: the diagnostics use the images of G itself."""
    monkeypatch.setattr(training_step, "update_ema", lambda *_: None)
    with tiny.trainer(tmp_path, ema=1.0, recipe=replace(tiny.RECIPE, lr=0.01)) as trainer:
        begun = trainer.draw()
        tiny.train(trainer, 40)
        assert np.array_equal(trainer.draw(), begun)
        diverse = trainer.diagnostics.state()["best_diversity"]
    with tiny.trainer(tmp_path / "plain", recipe=replace(tiny.RECIPE, lr=0.01)) as trainer:
        tiny.train(trainer, 40)
        assert trainer.diagnostics.state()["best_diversity"] == diverse > 0


def test_drawing_does_not_change_the_training(tmp_path: Path) -> None:
    plain = straight(tmp_path / "plain", 6)
    with tiny.trainer(tmp_path / "drawn") as trainer:
        for event in trainer.run(Length(steps=6)):
            assert event
            trainer.draw()
        assert tiny.differences(plain, final(trainer)) == []


@pytest.mark.parametrize(
    ("keep", "kept"),
    [(None, [1, 2, 3, 4, 5, 6, 7]), (2, [1, 5, 6, 7]), (1, [1, 5, 7]), (0, [1, 5])],
)
def test_epochs_are_kept_as_asked_and_the_papers_always(
    keep: int | None, kept: list[int], tmp_path: Path
) -> None:
    with tiny.trainer(tmp_path, keep=keep, images=tiny.Noise(4)) as trainer:
        tiny.train(trainer, 7)
    assert sorted(file.name for file in tmp_path.glob("epoch-*")) == [
        f"epoch-{number:04d}.pt" for number in kept
    ]
    assert [load(tmp_path / f"epoch-{n:04d}.pt").progress["step"] for n in kept] == kept


def test_samples_are_drawn_with_reestimated_statistics(tmp_path: Path) -> None:
    """As `dcgan sample` draws: the moving averages of a few steps are still those of no image."""

    def drawn(checkpoint: Checkpoint, mode: BatchNormMode) -> Images:
        network = checkpoint.build_generator()
        fix_statistics(network, mode)
        z = seeded_latents(tiny.settings().seed, SAMPLES, tiny.MODEL.z_dim, tiny.MODEL.z_dist)
        with torch.no_grad():
            return to_uint8(network(torch.from_numpy(z)))

    with tiny.trainer(tmp_path, ema=0.5) as trainer:
        end = tiny.train(trainer, 5)[-1]
        state = final(trainer)
        assert isinstance(end, Finished)
        assert np.array_equal(end.images, drawn(state, "reestimated"))
        assert not np.array_equal(end.images, drawn(state, "running"))
        assert np.array_equal(trainer.draw(), end.images), "drawing changes nothing"


def test_last_is_saved_as_often_as_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "REPORT_SECONDS", 0.0)
    images = tiny.Noise(400)

    def saved(minutes: float) -> list[int]:
        steps: list[int] = []
        with tiny.trainer(tmp_path / str(minutes), images=images, save_minutes=minutes) as trainer:
            steps += [
                load(trainer.folder.last).progress["step"] for _ in trainer.run(Length(steps=5))
            ]
        return steps

    assert saved(10.0) == [0, 0, 0, 0, 0, 5]
    assert saved(0.0) == [0, 1, 2, 3, 4, 5]


def test_seconds_add_up_over_invocations(tmp_path: Path) -> None:
    first = straight(tmp_path, 2).progress["seconds"]
    assert first > 0
    with tiny.trainer(tmp_path) as trainer:
        trainer.restore(load(trainer.folder.last))
        tiny.train(trainer, 4)
        assert final(trainer).progress["seconds"] > first


def test_a_run_folder_is_cleared_of_everything_a_run_has_written(tmp_path: Path) -> None:
    straight(tmp_path, 5)
    mine = ["notes.txt", "samples/mine.png", "tensorboard/notes.txt"]
    with RunFolder(tmp_path) as folder:
        for name in ("samples/epoch-0001.png", "curves.png", "samples.gif"):
            folder.write(name, b"drawn")
        (folder.board() / "events.out.tfevents.1.here.2.0.dcgan").touch()
        folder.write_config({})
        for name in mine:
            (tmp_path / name).write_text("mine")
        folder.clear()
    left = sorted(str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file())
    assert left == [".lock", *mine[:1], "run.json", *mine[1:]]


@pytest.mark.parametrize("make", [lambda p: RunFolder(p / "deep" / "run"), RunFolder])
def test_a_run_folder_is_made_where_asked(
    make: Callable[[Path], RunFolder], tmp_path: Path
) -> None:
    with make(tmp_path) as folder:
        assert folder.path.is_dir()
        folder.write("samples/last.png", b"grid")
        assert (folder.samples / "last.png").read_bytes() == b"grid"
        assert folder.read_metrics() == []

"""Steps recorded on a GPU: what a recording needs, and what happens where it cannot be made.

Without a card a recorder stands in that, as CUDA does, makes nothing while it records, and replays
what it was given then. What needs a card is marked.
"""

# pyright: reportPrivateUsage=false

from collections.abc import Callable
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from test_cli import dcgan
from torch import Tensor, nn

from dcgan_cli.cli.console import Console
from dcgan_cli.cli.train.display import Display
from dcgan_cli.data.batches import Batches
from dcgan_cli.data.resident import copy_to
from dcgan_cli.model.presets import PRESETS, with_options
from dcgan_cli.runtime import send
from dcgan_cli.training import step
from dcgan_cli.training.events import Length, RecordingFailed
from dcgan_cli.training.losses import LOSSES
from dcgan_cli.training.profile import profile_steps
from dcgan_cli.training.recording import WARM_UP, RecordedUpdate, UpdateInputs
from dcgan_cli.training.step import METRICS, Updater


class Replays:
    """A recorder without a GPU: what is recorded is made again, from the same places, at each replay.

    As CUDA does, it refuses to record the updating of a weight that autograd still knows from
    before.
    """

    def __init__(self, updater: Updater, spoil: Callable[[], None] = lambda: None) -> None:
        self.recordings = self.replays = self.plain = 0
        self.spoil = spoil
        self.weights = [*updater.generator.parameters(), *updater.discriminator.parameters()]

    def on_capture_stream(self, work: Callable[[], Tensor]) -> Tensor:
        self.plain += 1
        metrics = work()
        for weight in self.weights:
            accumulates(weight).metadata["of an earlier stream"] = True
        return metrics

    def record(self, work: Callable[[], Tensor]) -> Callable[[], Tensor]:
        self.recordings += 1
        if any(accumulates(weight).metadata for weight in self.weights):
            raise RuntimeError("stale reference to the default stream")
        metrics = torch.zeros(len(METRICS))

        def replay() -> Tensor:
            self.replays += 1
            metrics.copy_(work())
            self.spoil()
            return metrics  # always the same memory, as a graph's

        return replay


def accumulates(weight: Tensor) -> Any:
    """The node of autograd that adds up the gradient of `weight`: the same as long as anybody holds it."""
    grad_fn = weight.view_as(weight).grad_fn
    assert grad_fn is not None
    return grad_fn.next_functions[0][0]


def images(number: int) -> Callable[[int], Tensor]:
    def batch(j: int) -> Tensor:
        rows = np.random.default_rng((number, j)).uniform(-1, 1, (4, 1, 16, 16))
        return torch.from_numpy(rows.astype(np.float32))

    return batch


def make(loss: str = "non-saturating", updates: Any = "together", **changes: Any) -> Updater:
    model = tiny.PER_IMAGE if loss == "wgan-gp" else tiny.MODEL
    recipe = replace(tiny.RECIPE, updates=updates)
    return Updater(model, recipe, tiny.settings(loss, **changes))


def record(updater: Updater, recorder: Any) -> RecordedUpdate:
    updater.recorded = RecordedUpdate(updater.update, updater._state, recorder)
    return updater.recorded


def same(one: Updater, other: Updater) -> bool:
    pairs = list(zip(one._state(), other._state(), strict=True))
    return len(pairs) > 20 and all(torch.equal(*pair) for pair in pairs)


@pytest.mark.parametrize("updates", ["together", "alternate"])
@pytest.mark.parametrize("loss", LOSSES)
def test_recorded_steps_are_the_plain_ones(loss: str, updates: str) -> None:
    """Latents, batches and mixes of each step reach what was recorded in an earlier one."""
    plain = make(loss, updates, d_steps=2, ema=0.9)
    recorded = make(loss, updates, d_steps=2, ema=0.9)
    recorder = Replays(recorded)
    state = record(recorded, recorder)
    kept: list[tuple[Tensor, Tensor]] = []
    for number in range(WARM_UP + 4):
        pair = (plain.step(number, 0, images(number)), recorded.step(number, 0, images(number)))
        kept.append(pair)
    assert all(torch.equal(*pair) for pair in kept), "values are not overwritten by later steps"
    assert same(plain, recorded)
    assert plain.average is not None
    assert recorded.average is not None
    for one, two in zip(plain.average.parameters(), recorded.average.parameters(), strict=True):
        assert torch.equal(one, two)
    assert state.fault is None
    assert (recorder.recordings, recorder.plain, recorder.replays) == (1, WARM_UP + 1, 4)


def test_lazy_steps_have_a_recording_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every second step has penalties: both kinds are recorded, after their own warm-up."""
    monkeypatch.setattr(step, "LAZY_STEPS", 2)
    recipe = replace(tiny.RECIPE, r1=0.5, r2=0.5, augment="color,translation,cutout")
    plain, recorded = (Updater(tiny.MODEL, recipe, tiny.settings("relativistic")) for _ in range(2))
    recorder = Replays(recorded)
    state = record(recorded, recorder)
    for number in range(2 * (WARM_UP + 3)):
        one, two = (updater.step(number, 0, images(number)) for updater in (plain, recorded))
        assert torch.equal(one, two)
    assert same(plain, recorded)
    assert state.fault is None
    assert (recorder.recordings, recorder.plain) == (2, 2 * (WARM_UP + 1))


def test_what_may_change_between_steps_is_recorded_anew() -> None:
    plain, recorded = make(), make()
    recorder = Replays(recorded)
    record(recorded, recorder)
    for updater in (plain, recorded):
        for number in range(WARM_UP + 2):
            updater.step(number, 0, images(number))
        for optimizer in (updater.g_optimizer, updater.d_optimizer):
            optimizer.param_groups[0]["lr"] = 1e-3
        updater.discard_recording()
        for number in range(WARM_UP + 2):
            updater.step(number, 1, images(number))
    assert recorder.recordings == 2
    assert same(plain, recorded)
    recorded.load_optimizers(plain.g_optimizer.state_dict(), plain.d_optimizer.state_dict())
    assert recorded.recorded is not None
    assert not recorded.recorded.is_replaying, "Adam's state lies elsewhere"


@pytest.mark.parametrize("damage", ["weight", "moment", "statistic", "counter", "not a number"])
def test_a_recording_that_leads_elsewhere_is_dropped(damage: str) -> None:
    plain, recorded = make(), make()

    def spoil() -> None:
        conv = recorded.discriminator.head
        norm = next(m for m in recorded.discriminator.modules() if isinstance(m, nn.BatchNorm2d))
        assert norm.running_mean is not None
        assert norm.num_batches_tracked is not None
        with torch.no_grad():
            if damage == "weight":
                conv.weight += 1e-4
            elif damage == "moment":
                recorded.g_optimizer.state[recorded.generator.to_rgb.weight]["exp_avg"].zero_()
            elif damage == "statistic":
                norm.running_mean += 0.1
            elif damage == "counter":
                norm.num_batches_tracked -= 1
            else:
                conv.weight.fill_(torch.nan)

    state = record(recorded, Replays(recorded, spoil))
    for number in range(WARM_UP + 3):
        metrics = recorded.step(number, 0, images(number))
        assert torch.equal(metrics, plain.step(number, 0, images(number)))
    assert state.fault is not None
    assert state.fault.startswith("the recording's numbers are off by")
    assert same(plain, recorded), "the step on which it was tried counts, once"


@pytest.mark.parametrize("far", [False, True])
def test_what_cannot_be_recorded_is_not(far: bool) -> None:
    plain, recorded = make(), make()

    class Refuses(Replays):
        def record(self, work: Callable[[], Tensor]) -> Callable[[], Tensor]:
            self.recordings += 1
            try:
                if far:
                    work()
                raise RuntimeError("operation not permitted when stream is capturing\nCompile ...")
            finally:
                raise RuntimeError("operation failed due to a previous error during capture")

    recorder = Refuses(recorded)
    state = record(recorded, recorder)
    for number in range(3 * (WARM_UP + 1)):
        recorded.step(number, 0, images(number))
        plain.step(number, 0, images(number))
    assert state.fault == "operation not permitted when stream is capturing"
    assert recorder.recordings == 1, "asked once"
    assert same(plain, recorded)


def test_a_run_says_once_that_its_steps_are_not_recorded(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    class Refuses(Replays):
        def record(self, work: Callable[[], Tensor]) -> Callable[[], Tensor]:
            self.recordings += 1
            raise RuntimeError("out of memory\nTried to allocate")

    with tiny.trainer(tmp_path) as trainer:
        recorder = Refuses(trainer.updater)
        record(trainer.updater, recorder)
        display = Display(Console(), trainer.folder, "small", False, trainer.draw_settings)
        events = list(trainer.run(Length(steps=3 * (WARM_UP + 1))))
        trainer.updater.discard_recording()
        events = [*events[:-1], *trainer.run(Length(steps=6 * (WARM_UP + 1)))]
        display.follow(iter(events))
        notes = profile_steps(trainer, steps=1).notes
    assert recorder.recordings == 1
    assert [e for e in events if isinstance(e, RecordingFailed)] == [
        RecordingFailed("out of memory")
    ]
    assert notes == ("steps are not recorded on this GPU: out of memory; slower",)
    said = capfd.readouterr().err
    assert said.count("steps are not recorded on this GPU: out of memory; slower\n") == 1


def test_a_run_that_is_unhealthy_speaks_neither_for_nor_against_a_recording() -> None:
    recorded = make()
    recorder = Replays(recorded)
    state = record(recorded, recorder)

    def lost(j: int) -> Tensor:
        return images(0)(j) * torch.nan

    healthy = [part.detach().clone() for part in recorded._state()]
    for number in range(WARM_UP + 1):
        recorded.step(number, 0, lost)
    assert (state.fault, recorder.recordings) == (None, 0)
    with torch.no_grad():
        for part, value in zip(recorded._state(), healthy, strict=False):
            part.copy_(value)
    for optimizer in (recorded.g_optimizer, recorded.d_optimizer):
        optimizer.state.clear()
    state.reset()
    for number in range(WARM_UP + 2):
        recorded.step(number, 1, images(number))
    assert (state.fault, recorder.recordings) == (None, 1)


@pytest.mark.parametrize("updates", ["together", "alternate"])
@pytest.mark.parametrize("loss", LOSSES)
def test_no_value_is_asked_for_and_no_memory_of_another_device_read(
    loss: str, updates: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tensors of the device "meta" have no values, and do not mix with others: as in a recording."""
    monkeypatch.setattr(step, "autocast", lambda *_: nullcontext())
    updater = make(loss, updates, d_steps=2)
    for network in (updater.generator, updater.discriminator):
        network.to("meta")
    for optimizer, network in (
        (updater.g_optimizer, updater.generator),
        (updater.d_optimizer, updater.discriminator),
    ):
        optimizer.param_groups[0] |= {
            "params": list(network.parameters()),
            "fused": False,
            "foreach": True,
            "capturable": False,
        }
    given = [
        UpdateInputs(*(None if part is None else part.to("meta") for part in each))  # type: ignore[arg-type]
        for each in updater._draw_inputs(0, 0, images(0))
    ]
    for _ in range(2):
        metrics = updater.update(given)
        assert metrics.device.type == "meta"
        assert metrics.shape == (len(METRICS),)
    with pytest.raises(RuntimeError, match="meta"):
        float(metrics[0])  # that a value cannot be had is what the test rests on
    with pytest.raises(RuntimeError, match="device"):
        updater.update([each._replace(z=torch.ones(4, 4)) for each in given])


def test_on_the_cpu_nothing_is_recorded() -> None:
    assert make().recorded is None


def test_a_run_from_another_device_takes_the_ways_of_this_one() -> None:
    updater = make()
    updater.step(0, 0, images(0))
    states = [updater.g_optimizer.state_dict(), updater.d_optimizer.state_dict()]
    for state in states:
        state["param_groups"][0] |= {"fused": False, "capturable": True}
    updater.load_optimizers(*states)
    for optimizer in (updater.g_optimizer, updater.d_optimizer):
        assert optimizer.param_groups[0]["fused"] is True
        assert optimizer.param_groups[0]["capturable"] is False


needs_card = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def on_card(number: int) -> Callable[[int], Tensor]:
    return lambda j: images(number)(j).to("cuda")


def strayed(one: Updater, other: Updater, start: Updater) -> float:
    """How far weights of two that began as `start` are apart, as a share of the way of the first."""
    shares = [
        float((theirs - ours).norm() / (ours - past.to(ours.device)).norm())
        for network in ("generator", "discriminator", "average")
        if getattr(start, network) is not None
        for ours, theirs, past in zip(
            *(list(getattr(updater, network).parameters()) for updater in (one, other, start)),
            strict=True,
        )
    ]
    return max(shares)


@pytest.mark.cuda
@needs_card
@pytest.mark.parametrize("updates", ["together", "alternate"])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_cuda_graphs_lead_where_plain_steps_do(
    loss: str, updates: str, precision: torch.dtype
) -> None:
    start = make(loss, updates, d_steps=2, ema=0.9)
    device = torch.device("cuda")
    plain, recorded = (
        make(loss, updates, d_steps=2, ema=0.9, device=device, precision=precision)
        for _ in range(2)
    )
    plain.recorded = None
    assert recorded.recorded is not None
    adams = [(updater, (updater.g_optimizer, updater.d_optimizer)) for updater in (plain, recorded)]
    for change in ("none", "rate", "moments elsewhere"):
        for updater, pair in adams:
            if change == "rate":  # as a rollback does
                for optimizer in pair:
                    optimizer.param_groups[0]["lr"] = 1e-3
                updater.discard_recording()
            elif change == "moments elsewhere":  # as what goes on from a file does
                updater.load_optimizers(*(deepcopy(adam.state_dict()) for adam in pair))
        for number in range(WARM_UP + 5):
            one = plain.step(number, 0, on_card(number))
            other = recorded.step(number, 0, on_card(number))
            torch.testing.assert_close(other[:5], one[:5], rtol=0.02, atol=0.01)
        assert recorded.recorded.fault is None
        assert recorded.recorded.is_replaying
        assert strayed(plain, recorded, start) < 0.1


@pytest.mark.cuda
@needs_card
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_networks_of_real_size_are_recorded_and_never_wait(precision: torch.dtype) -> None:
    """As `dcgan train` makes a step: images cut on the card, or sent from pinned memory."""
    device = torch.device("cuda")
    model, recipe = with_options(PRESETS["tutorial"], {"size": 64, "batch_size": 128})
    updater = Updater(model, recipe, tiny.settings(device=device, precision=precision, ema=0.99))
    noise = tiny.Noise(300, 72, 3)
    options: dict[str, Any] = {"size": 64, "batch_size": 128, "seed": 0, "flip": True}
    sources = [
        Batches(noise, **options, device=device, resident=copy_to(noise, device)),
        Batches(noise, **options, device=device),
    ]
    assert updater.recorded is not None
    for number in range(WARM_UP + 2):
        updater.step(number, 0, lambda j: sources[number % 2].get((0, j)))  # noqa: B023
    assert updater.recorded.fault is None
    assert updater.recorded.is_replaying
    torch.cuda.set_sync_debug_mode("error")
    try:
        for number in range(10):
            for source in sources:
                updater.step(number, 1, lambda j: source.get((number, j)))  # noqa: B023
    finally:
        torch.cuda.set_sync_debug_mode("default")
    for source in sources:
        source.close()


@pytest.mark.cuda
@needs_card
def test_batches_on_the_card_are_those_of_the_cpu() -> None:
    device = torch.device("cuda")
    noise = tiny.Noise(50, 20, 3)
    options: dict[str, Any] = {"size": 16, "batch_size": 16, "seed": 3, "flip": True}
    sources = [
        Batches(noise, **options, look_ahead=False),
        Batches(noise, **options, device=device),
        Batches(noise, **options, device=device, resident=copy_to(noise, device)),
    ]
    for epoch in range(3):
        for j in range(3):
            there = (epoch, j + 1) if j < 2 else (epoch + 1, 0)
            plain, *others = (source.get((epoch, j), there).cpu() for source in sources)
            assert all(torch.equal(plain, other) for other in others)
    for source in sources:
        source.close()


@pytest.mark.cuda
@needs_card
def test_what_cuda_cannot_record_leaves_the_run_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    device = torch.device("cuda")
    start = make()
    plain, recorded = make(device=device), make(device=device)
    plain.recorded = None
    assert recorded.recorded is not None
    classifier = Updater._mean_probability

    def asks(self: Updater, logits: Tensor) -> Tensor:
        logits.sum().item()
        return classifier(self, logits)

    monkeypatch.setattr(Updater, "_mean_probability", asks)
    stream = torch.cuda.current_stream()
    for number in range(WARM_UP + 3):
        plain.step(number, 0, on_card(number))
        recorded.step(number, 0, on_card(number))
    assert recorded.recorded.fault is not None
    assert torch.cuda.current_stream() == stream
    torch.cuda.empty_cache()
    assert strayed(plain, recorded, start) < 0.1


@pytest.mark.cuda
@needs_card
def test_a_run_goes_on_on_another_device(tmp_path: Path) -> None:
    typed = ["train", "digits", "--preset", "small", "--size", "16", "--batch-size", "16"]
    for number, device in enumerate(("cuda", "cpu", "cuda"), 1):
        steps = str(2 * number * (WARM_UP + 1))
        result = dcgan(*typed, "--device", device, "--steps", steps, folder=tmp_path)
        said = result.stderr.decode()
        assert result.returncode == 0, said
        assert f"done at step {steps}" in said
        assert "not recorded" not in said
        assert ("all images are on cuda" in said) == (device == "cuda")
        typed = ["train", "--run", "digits", "--resume"]


@pytest.mark.cuda
@needs_card
def test_pinned_memory_is_not_used_again_before_it_was_fetched() -> None:
    device = torch.device("cuda")
    sent = [send(np.full(1 << 20, number, np.uint8), device) for number in range(64)]
    assert [int(tensor.min()) for tensor in sent] == list(range(64))
    assert [int(tensor.max()) for tensor in sent] == list(range(64))

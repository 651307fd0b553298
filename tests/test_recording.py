"""Steps recorded on a GPU: what a recording needs, and what happens where it cannot be made.

Without a card a recorder stands in that, as CUDA does, makes nothing while it records, and replays
what it was given then. What needs a card is marked.
"""

# pyright: reportPrivateUsage=false

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from torch import Tensor, nn

from dcgan_cli.training import step
from dcgan_cli.training.losses import LOSSES
from dcgan_cli.training.recording import WARM_UP, Given, RecordedUpdate
from dcgan_cli.training.step import FIGURES, Updater


class Replays:
    """A recorder without a GPU: what is recorded is made again, from the same places, at each replay."""

    def __init__(self, spoil: Callable[[], None] = lambda: None) -> None:
        self.recordings = self.replays = self.plain = 0
        self.spoil = spoil

    def aside(self, work: Callable[[], Tensor]) -> Tensor:
        self.plain += 1
        return work()

    def record(self, work: Callable[[], Tensor]) -> Callable[[], Tensor]:
        self.recordings += 1
        figures = torch.zeros(len(FIGURES))

        def replay() -> Tensor:
            self.replays += 1
            figures.copy_(work())
            self.spoil()
            return figures  # always the same memory, as a graph's

        return replay


def pictures(number: int) -> Callable[[int], Tensor]:
    def batch(j: int) -> Tensor:
        rows = np.random.default_rng((number, j)).uniform(-1, 1, (4, 1, 16, 16))
        return torch.from_numpy(rows.astype(np.float32))

    return batch


def make(loss: str = "non-saturating", updates: Any = "together", **changes: Any) -> Updater:
    model = tiny.PER_PICTURE if loss == "wgan-gp" else tiny.MODEL
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
    """Latents, minibatches and mixes of each step reach what was recorded in an earlier one."""
    plain = make(loss, updates, d_steps=2, ema=0.9)
    recorded = make(loss, updates, d_steps=2, ema=0.9)
    recorder = Replays()
    state = record(recorded, recorder)
    kept: list[tuple[Tensor, Tensor]] = []
    for number in range(WARM_UP + 4):
        pair = (plain.step(number, 0, pictures(number)), recorded.step(number, 0, pictures(number)))
        kept.append(pair)
    assert all(torch.equal(*pair) for pair in kept), "figures are not overwritten by later steps"
    assert same(plain, recorded)
    assert plain.average is not None
    assert recorded.average is not None
    for one, two in zip(plain.average.parameters(), recorded.average.parameters(), strict=True):
        assert torch.equal(one, two)
    assert state.fault is None
    assert (recorder.recordings, recorder.plain, recorder.replays) == (1, WARM_UP + 1, 4)


def test_what_may_change_between_steps_is_recorded_anew() -> None:
    plain, recorded = make(), make()
    recorder = Replays()
    record(recorded, recorder)
    for updater in (plain, recorded):
        for number in range(WARM_UP + 2):
            updater.step(number, 0, pictures(number))
        for optimiser in (updater.g_optimiser, updater.d_optimiser):
            optimiser.param_groups[0]["lr"] = 1e-3
        updater.rates_changed()
        for number in range(WARM_UP + 2):
            updater.step(number, 1, pictures(number))
    assert recorder.recordings == 2
    assert same(plain, recorded)
    recorded.load_optimisers(plain.g_optimiser.state_dict(), plain.d_optimiser.state_dict())
    assert recorded.recorded is not None
    assert recorded.recorded._replay is None, "Adam's state lies elsewhere"


@pytest.mark.parametrize("damage", ["weight", "moment", "statistic", "counter", "not a number"])
def test_a_recording_that_leads_elsewhere_is_dropped(damage: str) -> None:
    plain, recorded = make(), make()

    def spoil() -> None:
        conv = recorded.discriminator.decide
        norm = next(m for m in recorded.discriminator.modules() if isinstance(m, nn.BatchNorm2d))
        assert norm.running_mean is not None
        assert norm.num_batches_tracked is not None
        with torch.no_grad():
            if damage == "weight":
                conv.weight += 1e-4
            elif damage == "moment":
                recorded.g_optimiser.state[recorded.generator.paint.weight]["exp_avg"].zero_()
            elif damage == "statistic":
                norm.running_mean += 0.1
            elif damage == "counter":
                norm.num_batches_tracked -= 1
            else:
                conv.weight.fill_(torch.nan)

    state = record(recorded, Replays(spoil))
    for number in range(WARM_UP + 3):
        figures = recorded.step(number, 0, pictures(number))
        assert torch.equal(figures, plain.step(number, 0, pictures(number)))
    assert state.fault is not None
    assert state.fault.startswith("its numbers are off by")
    assert same(plain, recorded), "the step on which it was tried counts, once"


def test_what_cannot_be_recorded_is_not() -> None:
    plain, recorded = make(), make()

    class Refuses(Replays):
        def record(self, work: Callable[[], Tensor]) -> Callable[[], Tensor]:
            self.recordings += 1
            raise RuntimeError("operation not permitted when stream is capturing\nCompile with ...")

    recorder = Refuses()
    state = record(recorded, recorder)
    for number in range(WARM_UP + 3):
        recorded.step(number, 0, pictures(number))
        plain.step(number, 0, pictures(number))
    assert state.fault == "operation not permitted when stream is capturing"
    assert recorder.recordings == 1, "asked once"
    assert same(plain, recorded)


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
    for optimiser, network in (
        (updater.g_optimiser, updater.generator),
        (updater.d_optimiser, updater.discriminator),
    ):
        optimiser.param_groups[0] |= {
            "params": list(network.parameters()),
            "fused": False,
            "foreach": True,
            "capturable": False,
        }
    given = [
        Given(*(None if part is None else part.to("meta") for part in each))
        for each in updater._given(0, 0, pictures(0))
    ]
    for _ in range(2):
        figures = updater.update(given)
        assert figures.device.type == "meta"
        assert figures.shape == (len(FIGURES),)
    with pytest.raises(RuntimeError, match="meta"):
        float(figures[0])  # that a value cannot be had is what the test rests on
    with pytest.raises(RuntimeError, match="device"):
        updater.update([each._replace(z=torch.ones(4, 4)) for each in given])


def test_on_the_cpu_nothing_is_recorded() -> None:
    assert make().recorded is None


def test_a_run_from_another_device_takes_the_ways_of_this_one() -> None:
    updater = make()
    updater.step(0, 0, pictures(0))
    states = [updater.g_optimiser.state_dict(), updater.d_optimiser.state_dict()]
    for state in states:
        state["param_groups"][0] |= {"fused": False, "capturable": True}
    updater.load_optimisers(*states)
    for optimiser in (updater.g_optimiser, updater.d_optimiser):
        assert optimiser.param_groups[0]["fused"] is True
        assert optimiser.param_groups[0]["capturable"] is False


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("updates", ["together", "alternate"])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_cuda_graphs_lead_where_plain_steps_do(
    loss: str, updates: str, precision: torch.dtype
) -> None:
    device = torch.device("cuda")
    plain, recorded = (
        make(loss, updates, d_steps=2, device=device, precision=precision) for _ in range(2)
    )
    plain.recorded = None
    assert recorded.recorded is not None

    def on_gpu(number: int) -> Callable[[int], Tensor]:
        return lambda j: pictures(number)(j).to(device)

    for number in range(WARM_UP + 5):
        one = plain.step(number, 0, on_gpu(number))
        other = recorded.step(number, 0, on_gpu(number))
        torch.testing.assert_close(other[:5], one[:5], rtol=0.02, atol=0.01)
    assert recorded.recorded.fault is None
    assert recorded.recorded._replay is not None
    rows: Sequence[tuple[Tensor, Tensor]] = list(
        zip(plain.generator.parameters(), recorded.generator.parameters(), strict=True)
    )
    for ours, theirs in rows:
        torch.testing.assert_close(theirs, ours, rtol=0.02, atol=2e-3)

"""Several processes make the run that one makes; and all of them end it together, however it ends.

Importing PyTorch takes seconds, so one warm parent (this file, run as a script) forks the ranks of
every scenario, and the tests look at what they left. torchrun itself is tried in test_torchrun.py.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from test_kill import warm_up
from torch import Tensor, nn

from dcgan_cli.checkpoint.format import Checkpoint, load
from dcgan_cli.data.batches import Batches
from dcgan_cli.errors import UsageError
from dcgan_cli.model.config import ModelConfig
from dcgan_cli.report import Images
from dcgan_cli.runtime import choose_device
from dcgan_cli.training import events
from dcgan_cli.training.distributed import ProcessGroup, join
from dcgan_cli.training.events import Finished, Length, Policy
from dcgan_cli.training.run_folder import NullRunFolder, RunFolder
from dcgan_cli.training.step import Updater, batch_slice
from dcgan_cli.training.sync_batch_norm import synchronize
from dcgan_cli.training.trainer import Trainer

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")

RECIPE = replace(tiny.RECIPE, batch_size=6)
COUNT = 24
"""Images: four batches of six, which two and three ranks can share."""

STEPS = 6

VARIANTS: dict[str, dict[str, Any]] = {
    "together": {},
    "alternate": {
        "recipe": replace(RECIPE, updates="alternate", flip=True, crop="random", weight_decay=1e-3),
        "model": replace(tiny.MODEL, projection="unit"),
        "side": 24,
        "ema": 0.9,
    },
    # every random number of an image is the same, whichever rank has it
    "augmented": {
        "recipe": replace(RECIPE, augment="color,translation,cutout", r1=0.5, r2=0.5, lr_d=1e-3),
        "loss": "relativistic",
    },
    "spectral": {"model": replace(tiny.MODEL, d_norm="spectral"), "loss": "hinge"},
    # the penalty differentiates batch norm twice
    "penalised": {"loss": "wgan-gp", "d_steps": 2},
}


class Recorded(tiny.Noise):
    """Images that remember which of them were taken."""

    def __init__(self, side: int) -> None:
        super().__init__(COUNT, side)
        self.taken: list[list[int]] = []

    def take(self, indices: NDArray[np.int64]) -> Images:
        self.taken.append(indices.tolist())
        return super().take(indices)


@contextmanager
def trainer(
    path: Path,
    process_group: ProcessGroup,
    *,
    loss: str = "non-saturating",
    recipe: Any = RECIPE,
    model: ModelConfig = tiny.MODEL,
    side: int = 16,
    policy: Policy = "warn",
    save_minutes: float = 10.0,
    **changes: Any,
) -> Generator[Trainer]:
    """As `dcgan train` makes one on every rank."""
    step = tiny.settings(loss, process_group=process_group, **changes)
    batches = Batches(
        Recorded(side),
        share=batch_slice(recipe, step),
        size=model.size,
        batch_size=recipe.batch_size,
        seed=step.seed,
        flip=recipe.flip,
        look_ahead=False,
    )
    about: dict[str, dict[str, Any]] = {"training": {}, "data": {}}
    with (RunFolder if process_group.is_main else NullRunFolder)(path) as folder:
        yield Trainer(
            model, recipe, step, batches, folder, about, policy=policy, save_minutes=save_minutes
        )
    batches.close()


Work = Callable[[ProcessGroup], Any]


def in_ranks(count: int, work: Work) -> list[Any]:
    """What `work` returns in each of `count` processes; the text of its error; or how it ended."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    children: list[tuple[int, int]] = []
    for rank in range(count):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            os.environ.update(
                RANK=str(rank),
                WORLD_SIZE=str(count),
                LOCAL_RANK=str(rank),
                LOCAL_WORLD_SIZE=str(count),
                MASTER_ADDR="127.0.0.1",
                MASTER_PORT=str(port),
            )
            with os.fdopen(writer, "w") as answer:
                answer.write(json.dumps(one_life(work)))
            os._exit(0)
        os.close(writer)
        children.append((child, reader))
    answers: list[Any] = []
    for child, reader in children:
        with os.fdopen(reader) as file:
            answer = file.read()
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        answers.append(json.loads(answer) if answer else {"code": code})
    failed = [a for a in answers if isinstance(a, dict) and a.get("kind") == "AssertionError"]
    assert not failed, failed
    return answers


def one_life(work: Work) -> Any:
    try:
        process_group = join()
        with process_group.working():
            process_group.begin(torch.device("cpu"))
            assert threads_of_gloo() or process_group.size == 1 or sys.platform != "linux"
            result = work(process_group)
    except Exception as error:  # noqa: BLE001  # told to the parent, which classifiers
        result = {"error": str(error), "kind": type(error).__name__}
    deadline = time.monotonic() + 60
    while threads_of_gloo():
        if time.monotonic() > deadline:
            return {"error": "threads of gloo may abort the process", "kind": "AssertionError"}
        time.sleep(0.01)
    return result


def threads_of_gloo() -> list[str]:
    """By name, in this process; none where Linux cannot be asked."""
    names: list[str] = []
    for file in Path("/proc/self/task").glob("*/comm"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # ended meanwhile
            names.append(file.read_text().strip())
    return [name for name in names if "gloo" in name]


# Scenarios: each is run in the warm parent and returns what its tests need to know.


def whole_runs(path: Path) -> Any:
    """Every variant by one, two and three ranks; and what each rank took."""
    taken: dict[str, Any] = {}
    for name, options in VARIANTS.items():
        for count in (1, 2, 3):
            place = path / name / str(count)

            def work(process_group: ProcessGroup) -> Any:
                with trainer(place, process_group, **options) as made:  # noqa: B023
                    tiny.train(made, STEPS)
                    assert isinstance(made.batches.images, Recorded)
                    return made.batches.images.taken

            taken[f"{name} {count}"] = in_ranks(count, work)
    return taken


def per_replica(path: Path) -> Any:
    def work(process_group: ProcessGroup) -> None:
        with trainer(path, process_group, sync_bn=False) as made:
            tiny.train(made, STEPS)

    return in_ranks(2, work)


def gradients(path: Path) -> Any:
    """The gradients of both networks after one step, as each rank has them."""
    path.mkdir()
    for count in (1, 2, 3):

        def work(process_group: ProcessGroup) -> None:
            made = Updater(tiny.MODEL, RECIPE, tiny.settings(process_group=process_group))
            images = torch.from_numpy(tiny.Noise(6).images).float().movedim(3, 1) / 128 - 1
            made.step(0, 0, lambda _: images[made.share])
            networks = (made.generator, made.discriminator)
            found = [p.grad for network in networks for p in network.parameters()]
            torch.save(found, path / f"{process_group.size}-{process_group.rank}.pt")

        in_ranks(count, work)


def resuming(path: Path) -> Any:
    def until(place: Path, stop: int) -> Work:
        def work(process_group: ProcessGroup) -> int:
            with trainer(place, process_group, ema=0.9) as made:
                if stop != STOPS[0] and place.name != "straight":
                    made.restore(process_group.broadcast_from_main(lambda: load(made.folder.last)))
                begun = made.step
                tiny.train(made, stop)
                return begun

        return work

    STOPS = (3, 5, 9)  # noqa: N806
    begun = [in_ranks(n, until(path / "mixed", s)) for n, s in zip((2, 1, 3), STOPS, strict=True)]
    for stop in STOPS:
        in_ranks(2, until(path / "two", stop))
    in_ranks(1, until(path / "one" / "straight", STOPS[-1]))
    in_ranks(2, until(path / "both" / "straight", STOPS[-1]))
    return begun


def disturbed(made: Trainer, at: int, disturb: Callable[[], None]) -> None:
    """Have `disturb` called in the middle of the step after step `at`."""
    take = made.batches.get

    def get(*addresses: Any) -> Tensor:
        if made.step == at:
            disturb()
        return take(*addresses)

    made.batches.get = get  # type: ignore[method-assign]


def interrupted(path: Path) -> Any:
    def work(process_group: ProcessGroup) -> Any:
        with trainer(path, process_group) as made:
            if process_group.rank == 1:
                disturbed(made, 3, lambda: made.request_stop(signal.SIGTERM))
            end = tiny.train(made, 100)[-1]
            assert isinstance(end, Finished)
            return end.step, end.signal

    return in_ranks(3, work)


def out_of_time(path: Path) -> Any:
    """Ranks whose clocks differ: the time of rank 1 is up long before that of the others."""

    def work(process_group: ProcessGroup) -> Any:
        with trainer(path, process_group) as made:
            *_, end = made.run(Length(steps=5000, minutes=0.0 if process_group.rank == 1 else 60.0))
            assert isinstance(end, Finished)
            return end.step

    return in_ranks(2, work)


def killed(path: Path) -> Any:
    """Rank 1 dies in the middle of step 6; every step before it was saved."""
    events.REPORT_SECONDS = 0.0

    def work(process_group: ProcessGroup) -> None:
        with trainer(path, process_group, save_minutes=0.0) as made:
            if process_group.rank == 1:
                disturbed(made, 5, lambda: os.kill(os.getpid(), signal.SIGKILL))
            tiny.train(made, 100)

    began = time.monotonic()
    try:
        return {"answers": in_ranks(3, work), "seconds": time.monotonic() - began}
    finally:
        events.REPORT_SECONDS = 0.5


def diagnosis_event(path: Path) -> Any:
    """Rank 0 alone sees a collapse at step 8, and the other's values look well."""

    def work(process_group: ProcessGroup) -> Any:
        seen = iter([1.0, 0.0, 1.0] if process_group.is_main else [1.0] * 3)
        with trainer(path, process_group, policy="rollback") as made:
            made._diversity = lambda: next(seen)  # type: ignore[method-assign]
            told = tiny.train(made, 10)
            kinds = [type(event).__name__ for event in told]
            return [made.step, made.attempt, made.checkpoint().hash, kinds.count("DiagnosisEvent")]

    return in_ranks(2, work)


def refused(path: Path) -> Any:
    def attempt(process_group: ProcessGroup, batch_size: int, sync_bn: bool) -> str:
        step = tiny.settings(process_group=process_group, sync_bn=sync_bn)
        try:
            share = batch_slice(replace(RECIPE, batch_size=batch_size), step)
        except UsageError as error:
            return str(error)
        return f"{share.start} to {share.stop}"

    cases = ((7, True), (2, True), (3, True), (3, False), (9, False))
    return in_ranks(3, lambda process_group: [attempt(process_group, *case) for case in cases])


def in_the_layer(path: Path) -> Any:
    """One batch norm on six rows: all that it gives, twice differentiated, by one and three ranks."""
    path.mkdir()
    for kind, shape in ((nn.BatchNorm2d, (6, 4, 5, 5)), (nn.BatchNorm1d, (6, 4))):
        rows = torch.from_numpy(np.random.default_rng(3).normal(3, 2, shape).astype("float32"))

        def work(process_group: ProcessGroup) -> None:
            made = nn.Sequential(kind(4, eps=1e-5))  # noqa: B023
            if process_group.size > 1:
                synchronize(made, process_group)
            mine = rows[process_group.share(6)]  # noqa: B023
            torch.save(through(made, mine, process_group), file(process_group))

        def file(process_group: ProcessGroup) -> Path:
            return path / f"{kind.__name__}-{process_group.size}-{process_group.rank}.pt"  # noqa: B023

        for count in (1, 3):
            in_ranks(count, work)


def through(network: nn.Module, rows: Tensor, process_group: ProcessGroup) -> dict[str, Tensor]:
    """Output, slopes by the input, and the weight's gradient of a penalty on those slopes."""
    rows = rows.clone().requires_grad_(True)
    output = network(rows)
    (slopes,) = torch.autograd.grad(output.pow(3).sum(), rows, create_graph=True)
    slopes.square().sum().backward()
    assert rows.grad is not None
    weight = network.get_parameter("0.weight")
    assert weight.grad is not None
    return {
        "output": output.detach(),
        "slopes": slopes.detach(),
        "again": rows.grad,
        "weight": process_group.mean(weight.grad) * process_group.size,
        **{name: value.float() for name, value in network.named_buffers()},
    }


SCENARIOS: Sequence[Callable[[Path], Any]] = (
    whole_runs,
    per_replica,
    gradients,
    resuming,
    interrupted,
    out_of_time,
    killed,
    diagnosis_event,
    refused,
    in_the_layer,
)


def main(path: Path) -> None:
    """Play all scenarios, or those that are named, each in a folder of its own under `path`."""
    warm_up(path / "warm")
    report: dict[str, Any] = {}
    for scenario in SCENARIOS:
        if sys.argv[2:] and scenario.__name__ not in sys.argv[2:]:
            continue
        began = time.monotonic()
        report[scenario.__name__] = scenario(path / scenario.__name__)
        print(f"{scenario.__name__}: {time.monotonic() - began:.1f} s", file=sys.stderr)
    (path / "report.json").write_text(json.dumps(report))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where every scenario was played, each in a folder of its own name."""
    path = tmp_path_factory.mktemp("ranks")
    done = subprocess.run(
        [sys.executable, __file__, str(path)],
        capture_output=True,
        text=True,
        timeout=900,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture(scope="module")
def report(place: Path) -> Any:
    return json.loads((place / "report.json").read_text())


def assert_rounding(one: Tensor, other: Tensor) -> None:
    """Apart by no more than 1e-5 of the largest number."""
    assert one.shape == other.shape
    assert float((one - other).abs().max()) <= 1e-5 * float(other.abs().max())


def assert_close(one: Checkpoint, other: Checkpoint) -> None:
    """All weights, statistics and moments are the same to rounding: far below a step of lr 2e-4."""
    first, second = tiny.flat(one), tiny.flat(other)
    assert first.keys() == second.keys()
    for path, value in first.items():
        if isinstance(value, Tensor):
            torch.testing.assert_close(value, second[path], rtol=2e-3, atol=1e-5, msg=path)
        elif isinstance(value, float):
            assert value == pytest.approx(second[path], rel=1e-3, abs=1e-4), path
        else:
            assert value == second[path], path


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("variant", VARIANTS)
def test_any_number_of_ranks_makes_the_run_of_one(variant: str, count: int, place: Path) -> None:
    runs = place / "whole_runs" / variant
    one, several = (load(runs / str(n) / "last.pt") for n in (1, count))
    assert several.progress["step"] == STEPS
    assert_close(one, several)


@pytest.mark.slow
def test_per_replica_batch_norm_is_another_run(place: Path) -> None:
    """What shows that the comparison above would see batch norm over shares."""
    one = load(place / "whole_runs" / "together" / "1" / "last.pt")
    with pytest.raises(AssertionError):
        assert_close(one, load(place / "per_replica" / "last.pt"))


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 3])
def test_averaged_gradients_are_those_of_one_process(count: int, place: Path) -> None:
    folder = place / "gradients"
    one = torch.load(folder / "1-0.pt")
    first, *others = (torch.load(folder / f"{count}-{rank}.pt") for rank in range(count))
    for rank in others:
        assert all(map(torch.equal, first, rank))
    assert any(float(gradient.abs().max()) > 1e-3 for gradient in one)
    for gradient, expected in zip(first, one, strict=True):
        assert_rounding(gradient, expected)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["BatchNorm1d", "BatchNorm2d"])
def test_synchronized_batch_norm_is_batch_norm_of_all_rows(kind: str, place: Path) -> None:
    folder = place / "in_the_layer"
    whole = torch.load(folder / f"{kind}-1-0.pt")
    parts = [torch.load(folder / f"{kind}-3-{rank}.pt") for rank in range(3)]
    for name in ("output", "slopes", "again"):
        assert_rounding(torch.cat([part[name] for part in parts]), whole[name])
    for part in parts:
        for name in ("weight", "0.running_mean", "0.running_var", "0.num_batches_tracked"):
            assert_rounding(part[name], whole[name])


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2, 3])
def test_every_image_is_seen_once_an_epoch(count: int, report: Any) -> None:
    taken = report["whole_runs"][f"together {count}"]
    assert all(len(rows) == 6 // count for rank in taken for rows in rank[:4])
    epoch = [row for rank in taken for rows in rank[:4] for row in rows]
    assert sorted(epoch) == list(range(COUNT))


@given(
    ranks=st.integers(1, 4),
    each=st.integers(1, 3),
    left=st.integers(0, 3),
    margin=st.integers(0, 2),
    flip=st.booleans(),
    epoch=st.integers(0, 2),
)
@settings(max_examples=40, deadline=None)
def test_shares_are_the_batch_of_one_process(
    ranks: int, each: int, left: int, margin: int, flip: bool, epoch: int
) -> None:
    """Row by row, crops and mirrors included, whatever the order the ranks look at them in."""
    size = ranks * each
    images = tiny.Noise(3 * size + left, 4 + margin)
    options: dict[str, Any] = {"size": 4, "batch_size": size, "seed": 5, "flip": flip}
    whole = Batches(images, **options)
    parts = [
        Batches(images, share=slice(rank * each, (rank + 1) * each), **options)
        for rank in range(ranks)
    ]
    for position in (2, 0, 1):
        address = (epoch, position)
        shares = torch.cat([part.get(address) for part in parts])
        assert torch.equal(shares, whole.get(address))
    for batches in (whole, *parts):
        batches.close()


@pytest.mark.slow
def test_a_run_goes_on_with_another_number_of_ranks(place: Path, report: Any) -> None:
    """Two ranks, then one, then three: the run of one process; two and two: every bit the same."""
    folder = place / "resuming"
    assert report["resuming"] == [[0, 0], [3], [5, 5, 5]]
    assert_close(load(folder / "one/straight/last.pt"), load(folder / "mixed/last.pt"))
    both = load(folder / "both/straight/last.pt")
    assert tiny.differences(both, load(folder / "two/last.pt")) == []
    rows = [json.loads(line) for line in (folder / "mixed/metrics.jsonl").open()]
    assert [row["step"] for row in rows] == list(range(1, 10))


@pytest.mark.slow
def test_a_signal_to_one_rank_stops_all_at_the_same_step(place: Path, report: Any) -> None:
    assert report["interrupted"] == [[4, signal.SIGTERM]] * 3
    assert load(place / "interrupted" / "last.pt").progress["step"] == 4


@pytest.mark.slow
def test_when_the_time_of_one_is_up_that_of_all_is(report: Any) -> None:
    assert report["out_of_time"] == [0, 0]


@pytest.mark.slow
def test_a_killed_rank_ends_all_at_once_and_loses_nothing_saved(place: Path, report: Any) -> None:
    first, dead, last = report["killed"]["answers"]
    assert dead == {"code": -signal.SIGKILL}
    for rank, answer in ((0, first), (2, last)):
        assert answer["kind"] == "DcganError"
        assert answer["error"].startswith(f"rank {rank} of 3: another process of this run")
        assert "--resume" in answer["error"]
        assert "\n" not in answer["error"]
    assert report["killed"]["seconds"] < 180
    assert load(place / "killed" / "last.pt").progress["step"] == 5


@pytest.mark.slow
def test_the_verdict_of_rank_0_on_diagnostics_is_everyones(report: Any) -> None:
    """Both go back once, to the same state, and reach the end with the same weights."""
    first, second = report["diagnosis_event"]
    assert first == second
    assert first[:2] == [10, 1]
    assert first[3] == 1


@pytest.mark.slow
def test_rank_0_alone_writes(place: Path) -> None:
    one, three = (
        sorted(file.name for file in (place / "whole_runs/together" / n).iterdir())
        for n in ("1", "3")
    )
    assert one == three
    lines = (place / "whole_runs/together/3/metrics.jsonl").read_text().splitlines()
    assert len(lines) == STEPS


def test_the_folder_of_another_rank_is_left_alone(tmp_path: Path) -> None:
    with NullRunFolder(tmp_path / "run") as folder:
        folder.clear()
        folder.write_config({})
        folder.append_metrics([{"step": 1}])
        folder.rewind_metrics(0)
        folder.drop_epochs(0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_what_cannot_be_shared_out_is_refused(report: Any) -> None:
    for rank, (seven, two, three, alone, nine) in enumerate(report["refused"]):
        assert seven.startswith("--batch-size 7: ")
        assert seven.endswith("type 6 or 9")
        assert two.endswith("type 3")
        assert three == f"{rank} to {rank + 1}"
        assert alone.endswith("type 6, or --sync-bn")
        assert nine == f"{3 * rank} to {3 * rank + 3}"


def test_alone_nothing_is_exchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "1")
    process_group = join()
    assert (process_group.is_main, process_group.size, process_group.local_rank) == (True, 1, None)
    assert process_group.agree(3, 0) == (3, 0)
    tensor = torch.ones(2)
    assert process_group.mean(tensor) is tensor


def test_each_process_takes_a_device_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [choose_device("auto", rank).index for rank in (0, 1)] == [0, 1]
    assert choose_device("cuda", 1) == torch.device("cuda:1")
    assert choose_device("cpu", 1).type == "cpu"
    with pytest.raises(UsageError, match="--nproc-per-node 2"):
        choose_device("auto", 2)
    with pytest.raises(UsageError, match="expected auto, cuda or cpu"):
        choose_device("cuda:1", 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
